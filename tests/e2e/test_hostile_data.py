"""Data that want to do harm, or cannot be what they say: one sentence, exit code 2, and nothing begun or written.

What 8-bit RGB cannot hold (CMYK, 16 bits, a damaged EXIF block) is read where ``data.convert`` says so.
"""

import gzip
import io
import os
import pickle
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from coloured_images import TINY, Refused
from datasets import Dataset
from PIL import Image

from wmdd.cli.main import main
from wmdd.config import DataConfig
from wmdd.data import open_source


class Touch:
    """Whatever unpickles this makes the file ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def png(colour: int = 0) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), (colour, 80, 80)).save(file, "PNG")
    return file.getvalue()


def zipped(path: Path, *members: str, content: bytes | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (*[f"{kind}/{i}.png" for kind in "ab" for i in range(4)], *members):
            archive.writestr(name, png() if content is None or name not in members else content)
    return path


def tarred(path: Path, **changed: object) -> Path:
    """A tar archive whose last member is ``changed``."""
    with tarfile.open(path, "w") as archive:
        for name in [*[f"{kind}/{i}.png" for kind in "ab" for i in range(4)], "b/last.png"]:
            member = tarfile.TarInfo(name)
            data = png()
            if name == "b/last.png":
                for key, value in changed.items():
                    setattr(member, key, value)
                data = data if member.isreg() else b""
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def image_in(colours: Path, content: bytes) -> Path:
    (colours / "red" / "3.png").write_bytes(content)
    return colours


def png_of(side: int, bits: int = 8, rows: bytes = b"") -> bytes:
    chunks = [b"IHDR" + struct.pack(">IIBBBBB", side, side, bits, 2, 0, 0, 0), b"IDAT" + zlib.compress(rows), b"IEND"]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks
    )


NOISE = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)


def wide() -> bytes:
    file = io.BytesIO()
    Image.fromarray(NOISE[..., 0].astype(np.uint16) * 257).save(file, "PNG")
    return file.getvalue()


def cmyk() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 30, 60)).convert("CMYK").save(file, "JPEG", quality=98)
    return file.getvalue()


def with_exif(block: bytes) -> bytes:
    file = io.BytesIO()
    Image.fromarray(NOISE).save(file, "PNG", exif=block)
    return file.getvalue()


def animated() -> bytes:
    file = io.BytesIO()
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    frames[0].save(file, "PNG", save_all=True, append_images=frames[1:])
    return file.getvalue()


def parquet(path: Path, **columns: list[object] | pyarrow.Array) -> Path:
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


def arrays(path: Path, **changed: object) -> Path:
    images, labels = np.zeros((8, 16, 16, 3), np.uint8), np.arange(8) % 2
    np.savez(path, **{"images": images, "labels": labels, **changed})  # type: ignore[arg-type]
    return path


def with_a_class(colours: Path, name: str | bytes) -> Path:
    shutil.copytree(os.fsencode(colours / "red"), os.path.join(os.fsencode(colours), os.fsencode(name)))
    return colours


def cifar_with_code(folder: Path) -> Path:
    folder.mkdir()
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": ["a", "b"]}))
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        (folder / name).write_bytes(pickle.dumps({"data": Touch(folder.parent / "ran"), "labels": [0, 1]}))
    return folder


def shards(folder: Path, label: bytes = b"0", broken: bool = False) -> Path:
    folder.mkdir()
    with tarfile.open(folder / "train-000000.tar", "w") as archive:
        for i in range(8):
            for name, data in ((f"{i}.png", png()), (f"{i}.cls", label if i == 5 else str(i % 2).encode())):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    if broken:
        content = (folder / "train-000000.tar").read_bytes()
        (folder / "train-000000.tar").write_bytes(content[:1500] + bytes(range(256)) * 20)
    return folder


def table(path: Path, rows: str) -> Path:
    path.write_text("path,label\n" + rows)
    return path


def saved_elsewhere(folder: Path) -> Path:
    Dataset.from_dict({"label": [0, 1]}).save_to_disk(folder)
    state = folder / "state.json"
    state.write_text(state.read_text().replace("data-00000", "../../data-00000"))
    return folder


def split_elsewhere(folder: Path) -> Path:
    for place in (folder / "train", folder.parent / "other"):
        Dataset.from_dict({"image": PNGS, "label": HALVES}).save_to_disk(place)
    (folder / "dataset_dict.json").write_text('{"splits": ["train", "../other"]}')
    return folder


def sparse_member(path: Path) -> Path:
    """A tar archive that ends with a sparse file, the map of which is said to go on."""
    member = tarfile.TarInfo("b/last.png")
    member.type = tarfile.GNUTYPE_SPARSE
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    block[482], block[148:156] = 1, b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    with tarfile.open(tarred(path)) as archive:
        end = archive.getmembers()[-1].offset
    path.write_bytes(path.read_bytes()[:end] + block)
    return path


def cut_off(path: Path) -> Path:
    """A compressed tar archive without its last bytes."""
    path.write_bytes(gzip.compress(tarred(path).read_bytes())[:-4])
    return path


def nested_cifar(folder: Path) -> Path:
    cifar_with_code(folder)
    (folder / "batches.meta").write_bytes(b"\x80\2}" + b")" + b"\x85" * 300_000 + b"Ns.")
    return folder


def no_array(path: Path) -> Path:
    with zipfile.ZipFile(arrays(path), "a") as archive:
        archive.writestr("class_names.npy", b"ant, bee")
    return path


def not_utf_8(texts: int) -> pyarrow.Array:
    places = pyarrow.py_buffer(np.arange(texts + 1, dtype=np.int32) * 4)
    return pyarrow.Array.from_buffers(pyarrow.string(), texts, [None, places, pyarrow.py_buffer(b"caf\xe9" * texts)])


PNGS = [png(i) for i in range(8)]
HALVES = [0, 1] * 4

HOSTILE: dict[str, tuple[Callable[[Path, Path], Path], str]] = {
    "a member that leads out of a zip": (lambda tmp, _: zipped(tmp / "x.zip", "../evil.png"), "'../evil.png'"),
    "an absolute member of a zip": (lambda tmp, _: zipped(tmp / "x.zip", "/tmp/evil.png"), "'/tmp/evil.png'"),
    "a member that leads out of a tar": (lambda tmp, _: tarred(tmp / "x.tar", name="b/../../e.png"), "'b/../../e.png'"),
    "an absolute member of a tar": (lambda tmp, _: tarred(tmp / "x.tar", name="/etc/e.png"), "'/etc/e.png'"),
    "a symbolic link in a tar": (
        lambda tmp, _: tarred(tmp / "x.tar", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        "link",
    ),
    "a hard link in a tar": (lambda tmp, _: tarred(tmp / "x.tar", type=tarfile.LNKTYPE, linkname="a/0.png"), "link"),
    "a device in a tar": (lambda tmp, _: tarred(tmp / "x.tar", type=tarfile.CHRTYPE), "b/last.png"),
    "a sparse file in a tar": (lambda tmp, _: sparse_member(tmp / "x.tar"), "a sparse file"),
    "a compressed tar that is cut off": (lambda tmp, _: cut_off(tmp / "x.tar.gz"), "make it again"),
    "a zip bomb": (
        lambda tmp, _: zipped(tmp / "x.zip", "b/bomb.png", content=bytes(2**28 + 2**20)),
        "b/bomb.png has 269,484,032 bytes unpacked",
    ),
    "a bomb of gzip": (
        lambda tmp, _: gzipped(tmp / "x.tar.gz", bytes(2**28 + 2**20)),
        "b/bomb.png has 269,484,032 bytes",
    ),
    "an image of 60,000 x 60,000 pixels": (lambda _, colours: image_in(colours, png_of(60_000)), "pixels: store it"),
    "an animated image": (lambda _, colours: image_in(colours, animated()), "3.png is animated"),
    "an image of 16 bits": (lambda _, colours: image_in(colours, wide()), "3.png has 16 bits a channel"),
    "an image of 16 bits in colour": (
        lambda _, colours: image_in(colours, png_of(1, bits=16, rows=bytes(7))),
        "3.png has 16 bits a channel",
    ),
    "an image in CMYK": (lambda _, colours: image_in(colours, cmyk()), "3.png is CMYK"),
    "an EXIF block that is none": (
        lambda _, colours: image_in(colours, with_exif(b"Exif\x00\x00nonsense")),
        "3.png has a damaged EXIF block",
    ),
    "an EXIF block cut off": (
        lambda _, colours: image_in(colours, with_exif(b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x05\x00")),
        "3.png has a damaged EXIF block",
    ),
    "half an image": (lambda _, colours: image_in(colours, png()[:60]), "3.png is damaged"),
    "parquet without labels": (lambda tmp, _: parquet(tmp / "x.parquet", image=PNGS), "no column of labels"),
    "parquet without images": (lambda tmp, _: parquet(tmp / "x.parquet", label=HALVES), "no column of images"),
    "labels of parquet out of range": (
        lambda tmp, _: parquet(tmp / "x.parquet", image=PNGS, label=[0, 1, 1, 0, -7, 1, 0, 1]),
        "has the label -7",
    ),
    "a file elsewhere, named in parquet": (
        lambda tmp, _: parquet(tmp / "x.parquet", image=[{"bytes": None, "path": "/etc/passwd"}] * 8, label=HALVES),
        "names the file '/etc/passwd', which is outside",
    ),
    "a file elsewhere, named by what save_to_disk wrote": (
        lambda tmp, _: saved_elsewhere(tmp / "x"),
        "outside the folder",
    ),
    "a split elsewhere": (lambda tmp, _: split_elsewhere(tmp / "x"), "'../other' is no name of a split"),
    "labels of parquet that are not UTF-8": (
        lambda tmp, _: parquet(tmp / "x.parquet", image=PNGS, label=not_utf_8(8)),
        "labels that are not UTF-8",
    ),
    "a file elsewhere, named in a table": (
        lambda tmp, _: table(tmp / "x.csv", "../../etc/a.png,ant\nb.png,bee\n"),
        "leads out of the table's folder",
    ),
    "labels of arrays out of range": (
        lambda tmp, _: arrays(tmp / "x.npz", labels=np.array([0, 1, 1, 0, -7, 1, 0, 1])),
        "has the label -7",
    ),
    "mixed channel counts": (
        lambda tmp, _: arrays(
            tmp / "x.npz",
            x_train=np.zeros((4, 9, 9, 3), np.uint8),
            y_train=np.arange(4) % 2,
            x_test=np.zeros((4, 9, 9, 4), np.uint8),
            y_test=np.arange(4) % 2,
        ),
        "3 channels and x_test 4",
    ),
    "an array that is none": (lambda tmp, _: no_array(tmp / "x.npz"), "class_names is no array"),
    "code in arrays": (
        lambda tmp, _: arrays(tmp / "x.npz", labels=np.array([Touch(tmp / "ran")] * 8, dtype=object)),
        "not a readable .npz of plain arrays",
    ),
    "code in a batch of CIFAR": (lambda tmp, _: cifar_with_code(tmp / "x"), "x/data_batch_1"),
    "a batch of CIFAR that is nested without end": (lambda tmp, _: nested_cifar(tmp / "x"), "no plain value"),
    "classes that differ in case": (lambda _, colours: with_a_class(colours, "Red"), "differ in case alone"),
    "classes of parquet that differ in case": (
        lambda tmp, _: parquet(tmp / "x.parquet", image=PNGS, label=["ant", "Ant"] * 4),
        "differ in case alone",
    ),
    "a class whose name is not UTF-8": (lambda _, colours: with_a_class(colours, b"caf\xe9"), "not UTF-8"),
    "a shard that cannot be read": (lambda tmp, _: shards(tmp / "x", broken=True), "train-000000.tar"),
    "a label of a shard that is none": (lambda tmp, _: shards(tmp / "x", label=b"-1"), "has the label -1"),
    "a label of a shard that is no number": (lambda tmp, _: shards(tmp / "x", label=b"ant"), "holds no label"),
}


def gzipped(path: Path, content: bytes) -> Path:
    """An image that is small until it is unpacked, in a compressed tar."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name in [*[f"{kind}/{i}.png" for kind in "ab" for i in range(4)], "b/bomb.png"]:
            data = content if name == "b/bomb.png" else png()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    path.write_bytes(gzip.compress(held.getvalue(), 1))
    return path


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_data_are_refused(
    name: str,
    colours: Path,
    tmp_path: Path,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    make, says = HOSTILE[name]
    data = make(tmp_path, colours)
    run = tmp_path / "run"
    refused(["run", run, "--data", data, *TINY], says, begun=run)
    assert not (run / "artifacts" / "teacher").exists()
    assert not (tmp_path / "ran").exists()


def test_a_checkpoint_with_code_in_it(colours: Path, tmp_path: Path, refused: Refused) -> None:
    torch.save({"state_dict": Touch(tmp_path / "ran")}, tmp_path / "w.pt")
    words = ["run", tmp_path / "run", "--data", colours, *TINY, "--teacher.checkpoint", tmp_path / "w.pt"]
    refused(words, "w.pt", "was refused", "plain tensors")
    assert not (tmp_path / "ran").exists()


def test_what_is_more_than_8_bit_rgb_is_read_as_it_lies_where_that_is_asked_for(
    colours: Path, tmp_path: Path, refused: Refused, capsys: pytest.CaptureFixture[str]
) -> None:
    red, run = colours / "red", tmp_path / "run"
    for name, content in (("cmyk", cmyk()), ("exif", with_exif(b"Exif\x00\x00nonsense")), ("wide", wide())):
        (red / f"{name}.png").write_bytes(content)
    assert main(["check", str(colours), "-q", "--all"]) == 2
    out, err = capsys.readouterr()
    told = out.splitlines()
    first = told.index("fault (3): is more than 8-bit RGB can hold: --data.convert true reads it as it lies")
    assert [line.split(",")[0].strip() for line in told[first + 1 : first + 4]] == [
        "red/cmyk.png is CMYK",
        "red/exif.png has a damaged EXIF block",
        "red/wide.png has 16 bits a channel",
    ]
    assert "has 3 fault(s)" in err
    assert main(["check", str(colours), "-q", "--data.convert", "true"]) == 0
    assert "doubt (3): is converted to 8-bit RGB" in capsys.readouterr().out

    words = ["run", run, "--data", colours, *TINY]
    refused(words, "--data.convert true", begun=run)
    assert main([*map(str, words), "--data.convert", "true"]) == 0  # the run that was refused goes on
    assert "convert: true" in (run / "config.yaml").read_text()
    source = open_source(DataConfig(source=str(colours), convert=True))
    pixels = {
        Path(name).stem: split.read(i)
        for split in (source.train, source.validation)
        for i, name in enumerate(split.names)
        if "red/" in name
    }
    assert np.abs(pixels["cmyk"].astype(int) - [200, 30, 60]).max() <= 6
    assert np.array_equal(pixels["exif"], NOISE)
    assert np.array_equal(pixels["wide"], NOISE[..., :1].repeat(3, axis=2))


def test_finished_stages_do_not_depend_on_whether_images_may_be_converted(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("artifacts/**/*")}
    assert main(["run", str(finished), "--data.convert", "true"]) == 0
    assert "teacher: 0 of 1 unit(s) made, 1 there already" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("artifacts/**/*")} == before
