"""Numbers that no set has are refused in every form, and so are shards with something hidden in them."""

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_export import small_set, write_export

from wmdd.core.errors import RunError
from wmdd.exports import FORMS, load_export


def fault(folder: Path) -> str:
    with pytest.raises(RunError) as caught:
        load_export(folder)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize("form", FORMS)
def test_the_small_set_comes_back(tmp_path: Path, form: str) -> None:
    made, back = small_set(), load_export(write_export(form, tmp_path / "out"))
    assert back.logits is not None
    assert made.logits is not None
    assert torch.equal(back.images, made.images)
    assert torch.equal(back.weights, made.weights)
    assert torch.equal(back.logits, made.logits)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [float("inf"), -float("inf"), float("nan")])
@pytest.mark.parametrize("name", ["weights", "logits"])
def test_numbers_that_are_not_finite(tmp_path: Path, form: str, value: float, name: str) -> None:
    made = small_set()
    values = getattr(made, name).clone()
    values[1] = value
    said = fault(write_export(form, tmp_path / "out", replace(made, **{name: values})))
    assert f"is damaged: {name} should be" in said
    assert "finite" in said


def test_weights_below_0(tmp_path: Path) -> None:
    made = replace(small_set(), weights=torch.tensor([1.0, 0.5, -0.5, 1.0]))
    assert "weights should be numbers of at least 0" in fault(write_export("folder", tmp_path / "out", made))


@pytest.mark.parametrize("form", ["hf", "webdataset"])
def test_a_number_of_images_that_is_none(tmp_path: Path, form: str) -> None:
    folder = write_export(form, tmp_path / "out")
    written = (folder / "manifest.json").read_text().replace('"count": 4', f'"count": "{"a" * 5000}"')
    (folder / "manifest.json").write_text(written)
    assert f"has 4 of the {'a' * 20} images" in fault(folder)


def sparse_header() -> bytes:
    """Of a file in GNU's old form whose map is said to go on."""
    info = tarfile.TarInfo("00000003.png")
    info.type = tarfile.GNUTYPE_SPARSE
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[482] = 1
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def endless() -> bytes:
    """A header that leads back to itself."""
    info = tarfile.TarInfo("00000003.png")
    info.size = -1024
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    ("ending", "says"),
    [
        (sparse_header(), "a sparse file"),
        (endless(), "a member of -1,024 bytes"),
        (b"", "it is cut off"),
        (b"x" * 512, "invalid header"),
    ],
    ids=["sparse", "endless", "cut off", "damaged"],
)
def test_shards_with_something_in_place_of_their_end(tmp_path: Path, ending: bytes, says: str) -> None:
    shard = write_export("webdataset", tmp_path / "out") / "train-000000.tar"
    content = shard.read_bytes()
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.getmembers()
        end = archive.offset
    shard.write_bytes(content[:end] + ending)
    assert says in fault(tmp_path / "out")
