"""Archives of NumPy arrays: the usual names, and a sentence for each that does not hold images and labels."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from wmdd.config import DataConfig
from wmdd.core.errors import DataError
from wmdd.data import ImageSource, open_source


def images(count: int, *shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *(shape or (9, 7, 3))), dtype=np.uint8)


def labels(count: int, classes: int = 3) -> np.ndarray:
    return np.arange(count) % classes


def opened(folder: Path, **arrays: object) -> ImageSource:
    np.savez(folder / "set.npz", **arrays)  # type: ignore[arg-type]
    return open_source(DataConfig(source=str(folder / "set.npz")))


def fault(folder: Path, **arrays: object) -> str:
    with pytest.raises(DataError) as caught:
        opened(folder, **arrays)
    assert "\n" not in str(caught.value)
    assert str(folder / "set.npz") in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("train", [("x_train", "y_train"), ("train_images", "train_labels")])
@pytest.mark.parametrize("held_out", [("x_val", "y_val"), ("x_test", "y_test"), ("test_images", "test_labels")])
def test_the_usual_names(tmp_path: Path, train: tuple[str, str], held_out: tuple[str, str]) -> None:
    x, y, x_val, y_val = images(12), labels(12), images(6, seed=1), labels(6)[:, None].astype(np.uint8)
    source = opened(tmp_path, **dict(zip(train + held_out, (x, y, x_val, y_val), strict=True)))
    assert source.name == "set"
    assert source.class_names == ("0", "1", "2")
    assert source.train.labels.tolist() == y.tolist()
    assert source.validation.labels.tolist() == y_val[:, 0].tolist()
    assert np.array_equal(np.asarray(source.train.read(5)), x[5])
    assert np.array_equal(np.asarray(source.validation.read(5)), x_val[5])


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 1)])
def test_grey_images(tmp_path: Path, shape: tuple[int, ...]) -> None:
    x = images(12, *shape)
    read = np.asarray(opened(tmp_path, x_train=x, y_train=labels(12), x_val=x, y_val=labels(12)).train.read(4))
    assert all(np.array_equal(read[..., c], x[4].reshape(9, 7)) for c in range(3))


@pytest.mark.parametrize("names", [("images", "labels"), ("x", "y"), ("x_train", "y_train")])
def test_without_a_validation_part_a_share_of_each_class_is_held_out(tmp_path: Path, names: tuple[str, str]) -> None:
    x, y = images(30), labels(30)
    source = opened(tmp_path, **dict(zip(names, (x, y), strict=True)), class_names=np.array(["ant", "bee", "cat"]))
    assert source.class_names == ("ant", "bee", "cat")
    assert source.train.labels.bincount().tolist() == [8, 8, 8]
    assert source.validation.labels.bincount().tolist() == [2, 2, 2]
    assert sorted(source.train.names + source.validation.names) == sorted(f"all/{i}" for i in range(30))
    for split in (source.train, source.validation):
        for i, name in enumerate(split.names):
            row = int(name.removeprefix("all/"))
            assert np.array_equal(np.asarray(split.read(i)), x[row])
            assert int(split.labels[i]) == y[row]


def test_the_fingerprint_follows_pixels(tmp_path: Path) -> None:
    x = images(12)
    first = opened(tmp_path, x=x, y=labels(12)).fingerprint
    assert opened(tmp_path, x=x, y=labels(12)).fingerprint == first
    x[3, 0, 0, 0] ^= 1
    assert opened(tmp_path, x=x, y=labels(12)).fingerprint != first


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"pictures": images(6)}, "has no arrays x_train and y_train"),
        ({}, "has no arrays x_train and y_train"),
        ({"x": images(6).astype(np.float32), "y": labels(6)}, "x is float32 [6, 9, 7, 3], but should be uint8"),
        ({"x": images(6).astype(np.uint16), "y": labels(6)}, "x is uint16"),
        ({"x": images(6, 9, 7, 17), "y": labels(6)}, "x is uint8 [6, 9, 7, 17]"),
        (
            {"x_train": images(6, 9, 7, 5), "y_train": labels(6), "x_val": images(6, 9, 7, 4), "y_val": labels(6)},
            "x_train has 5 channels and x_val 4: both need as many",
        ),
        ({"x": images(6, 63), "y": labels(6)}, "x is uint8 [6, 63]"),
        ({"x": images(6, 0, 7), "y": labels(6)}, "x is empty"),
        ({"x": images(0), "y": labels(0)}, "x is empty"),
        ({"x": images(6), "y": labels(5)}, "y is int64 [5], but should be one whole number for each of the 6 images"),
        ({"x": images(6), "y": labels(6) / 1.0}, "y is float64 [6]"),
        ({"x": images(6), "y": np.eye(6)}, "y is float64 [6, 6]"),
        ({"x": images(6), "y": labels(6) - 1}, "y has the label -1"),
        ({"x": images(6), "y": labels(6), "class_names": np.array(["a", "b"])}, "y has the label 2, but there are the"),
        ({"x": images(6), "y": labels(6), "class_names": np.array(["a", "b", "b"])}, "class_names should be a list"),
        ({"x": images(6), "y": labels(6), "class_names": np.array([1, 2, 3])}, "class_names should be a list"),
        ({"x": images(6), "y": labels(6) * 0}, "y should number at least two classes"),
        ({"x": images(6), "y": labels(6) + 10**9}, "y should number at least two classes from 0 up"),
        ({"x": images(6), "y": labels(6) * 2}, "y has 0 image(s) of class '1'"),
        ({"x": images(4), "y": labels(4)}, "y has 1 image(s) of class '1': every class needs at least 2"),
        ({"x": np.array([{}, {}]), "y": labels(2)}, "is not a readable .npz of plain arrays"),
        (
            {"x_train": images(6), "y_train": labels(6), "x_val": images(2), "y_val": labels(2)},
            "y_val has 0 image(s) of class '2'",
        ),
    ],
)
def test_arrays_that_are_no_data_set(tmp_path: Path, arrays: dict[str, object], sentence: str) -> None:
    assert sentence in fault(tmp_path, **arrays)


def test_more_than_memory_allows(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez_compressed(path, x=np.zeros((100, 100, 100), np.uint8), y=labels(100))
    assert path.stat().st_size < 10_000
    with pytest.raises(DataError, match=r"unpacks to 0\.0 GB, more than data\.memory_gb \(0\.0005\)"):
        open_source(DataConfig(source=str(path), memory_gb=0.0005))


@pytest.mark.parametrize("content", [b"", b"PK\5\6" + bytes(18), b"\x93NUMPY", b"no archive"])
def test_files_that_are_no_npz(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "set.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"set\.npz"):
        open_source(DataConfig(source=str(tmp_path / "set.npz")))


@pytest.mark.parametrize("name", ["x", "y", "class_names"])
def test_a_member_that_is_no_array(tmp_path: Path, name: str) -> None:
    np.savez(tmp_path / "whole.npz", x=images(6), y=labels(6), class_names=np.array(["a", "b", "c"]))
    with zipfile.ZipFile(tmp_path / "whole.npz") as whole, zipfile.ZipFile(tmp_path / "set.npz", "w") as changed:
        for member in whole.namelist():
            changed.writestr(member, b"no array" if member == f"{name}.npy" else whole.read(member))
    with pytest.raises(DataError, match=f"set.npz is not a readable .npz of plain arrays .{name} is no array"):
        open_source(DataConfig(source=str(tmp_path / "set.npz")))


@pytest.mark.parametrize("letter", [0xD800, 0xDFFF, 0x110000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_class_names_of_letters_that_there_are_not(tmp_path: Path, letter: int) -> None:
    names = np.array([[97], [98], [letter]], "<u4").view("<U1")[:, 0]
    assert "class_names should be a list of different strings" in fault(
        tmp_path, x=images(6), y=labels(6), class_names=names
    )


def test_damaged_files_end_in_a_sentence(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "whole.npz", x=images(6), y=labels(6))
    content = (tmp_path / "whole.npz").read_bytes()
    generator = np.random.default_rng(0)
    for place, value in zip(generator.integers(0, len(content), 300), generator.integers(0, 256, 300), strict=True):
        (tmp_path / "set.npz").write_bytes(content[:place] + bytes([value]) + content[place + 1 :])
        try:
            open_source(DataConfig(source=str(tmp_path / "set.npz")))
        except DataError as error:
            text = str(error)
            assert "\n" not in text, text
