"""WebDataset shards, written by the webdataset library itself, and a sentence for each that cannot be used."""

import tarfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import webdataset
from PIL import Image

from wmdd.config import DataConfig
from wmdd.core.errors import DataError
from wmdd.data import ImageSource, open_source


def image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)


def write(path: Path, count: int, classes: int = 3, first: int = 0, label: str = "cls") -> None:
    with webdataset.TarWriter(str(path)) as writer:
        for i in range(first, first + count):
            value = {"label": i % classes} if label == "json" else i % classes
            writer.write({"__key__": f"{i:06d}", "png": image(i), label: value})


def opened(path: Path) -> ImageSource:
    return open_source(DataConfig(source=str(path)))


def fault(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        opened(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("label", ["cls", "json"])
def test_shards_of_two_splits(tmp_path: Path, label: str) -> None:
    write(tmp_path / "train-000000.tar", 6, label=label)
    write(tmp_path / "train-000001.tar", 3, first=6, label=label)
    write(tmp_path / "val-000000.tar", 3, first=9, label=label)
    source = opened(tmp_path)
    assert source.class_names == ("0", "1", "2")
    assert source.train.labels.tolist() == [0, 1, 2] * 3
    assert source.validation.labels.tolist() == [0, 1, 2]
    assert source.train.names[6] == "train/train-000001.tar/000006.png"
    for i in range(9):
        np.testing.assert_array_equal(source.train.read(i), image(i))
    np.testing.assert_array_equal(source.validation.read(2), image(11))


def test_one_shard_is_split_and_its_classes_named(tmp_path: Path) -> None:
    write(tmp_path / "birds.tar", 30)
    (tmp_path / "classnames.txt").write_text("ant\nbee\ncat\n")
    source = opened(tmp_path / "birds.tar")
    assert (source.name, source.class_names) == ("birds", ("ant", "bee", "cat"))
    assert (len(source.train), len(source.validation)) == (24, 6)
    for split in (source.train, source.validation):
        for i, name in enumerate(split.names):
            number = int(Path(name).stem)
            assert split.labels[i] == number % 3
            np.testing.assert_array_equal(split.read(i), image(number))


def member(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, BytesIO(content))


def png() -> bytes:
    file = BytesIO()
    Image.fromarray(image(0)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ({"0.png": png(), "0.cls": b"0", "1.png": png()}, "1.png has no label"),
        ({"0.png": png(), "0.cls": b"cat"}, "0.cls holds no label"),
        ({"0.png": png(), "0.cls": b"-1", "1.png": png(), "1.cls": b"1"}, "two classes from 0|label -1"),
        ({"0.png": png(), "0.cls": b"0", "1.png": png(), "1.cls": b"70"}, "at least two classes"),
        ({"../0.png": png(), "0.cls": b"0"}, "leads outside"),
        ({"0.png": png(), "0.mask.png": png(), "0.cls": b"0"}, "0.png are images of one sample|0.mask.png are images"),
    ],
)
def test_a_shard_that_cannot_be_used(tmp_path: Path, members: dict[str, bytes], complaint: str) -> None:
    with tarfile.open(tmp_path / "train-0.tar", "w") as archive:
        for name, content in members.items():
            member(archive, name, content)
    with pytest.raises(DataError, match=complaint):
        opened(tmp_path)


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    write(tmp_path / "train-0.tar", 6)
    path = tmp_path / "train-1.tar"
    write(path, 6, first=6)
    path.write_bytes(path.read_bytes()[:3000])
    assert "train-1.tar" in fault(tmp_path)
    path.write_bytes(b"no archive")
    assert "train-1.tar" in fault(tmp_path)


def test_shards_to_score_on_alone_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "val-0.tar", 6)
    assert "training shards" in fault(tmp_path)


@pytest.mark.parametrize(
    ("name", "is_to_score_on"),
    [
        ("val000.tar", True),
        ("Dev-1.tar", True),
        ("testing-0.tar", True),
        ("valley-0.tar", False),
        ("devices.tar", False),
    ],
)
def test_what_a_shards_name_begins_with(tmp_path: Path, name: str, is_to_score_on: bool) -> None:
    write(tmp_path / "train-0.tar", 12)
    write(tmp_path / name, 6, first=12)
    source = open_source(DataConfig(source=str(tmp_path)))
    assert len(source.validation) == (6 if is_to_score_on else 3)
