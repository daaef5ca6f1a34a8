"""Tables of paths and labels: own splits, and a sentence with its line for what is not usable."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from image_folders import picture, write_folder

from wmdd.config import DataConfig
from wmdd.core.errors import DataError
from wmdd.data import ImageSource, open_source


def write(folder: Path, rows: Sequence[str], header: str = "path,label") -> Path:
    (folder / "birds.csv").write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return folder / "birds.csv"


def source(table: Path) -> ImageSource:
    return open_source(DataConfig(source=str(table)))


def fault(folder: Path, rows: Sequence[str], header: str = "path,label") -> str:
    with pytest.raises(DataError) as caught:
        source(write(folder, rows, header))
    assert "\n" not in str(caught.value)
    assert str(folder / "birds.csv") in str(caught.value)
    return str(caught.value)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six pictures, 0 to 5, in a folder that says nothing of classes."""
    write_folder(tmp_path, {"photos": 6})
    return tmp_path


def rows(labels: str, splits: str = "") -> list[str]:
    if splits:
        return [f"photos/{i}.png,{a},{b}" for i, (a, b) in enumerate(zip(labels.split(), splits.split(), strict=True))]
    return [f"photos/{i}.png,{label}" for i, label in enumerate(labels.split())]


def test_labels_and_splits(photos: Path) -> None:
    table = write(photos, rows("wren owl wren owl owl wren", "train train val test train train"), "path,label,split")
    birds = source(table)
    assert birds.name == "birds"
    assert birds.class_names == ("owl", "wren")
    assert not birds.train.ignored()  # what else lies in the folder is no concern of a list of files
    assert birds.train.names == ("photos/1.png", "photos/4.png", "photos/0.png", "photos/5.png")
    assert birds.train.labels.tolist() == [0, 0, 1, 1]
    assert birds.validation.names == ("photos/3.png", "photos/2.png")
    assert birds.validation.labels.tolist() == [0, 1]
    assert birds.validation.read(0).tobytes() == picture(3).tobytes()


def test_without_splits_a_share_is_held_out(photos: Path) -> None:
    birds = source(write(photos, rows("owl owl owl wren wren wren")))
    assert birds.train.labels.bincount().tolist() == [2, 2]
    assert birds.validation.labels.bincount().tolist() == [1, 1]
    assert not set(birds.train.names) & set(birds.validation.names)


def test_what_a_spreadsheet_writes(photos: Path) -> None:
    table = write(photos, [])
    lines = [
        '"label","notes","path"',
        *(f'"owl, {"big" if i % 2 else "wee"}","x","./photos/{i}.png"' for i in range(6)),
    ]
    table.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    birds = source(table)
    assert birds.class_names == ("owl, big", "owl, wee")
    assert all(name.startswith("photos/") for name in birds.train.names)


def test_the_order_of_rows_does_not_matter(photos: Path) -> None:
    lines = rows("owl owl owl wren wren wren")
    assert source(write(photos, lines)).fingerprint == source(write(photos, lines[::-1])).fingerprint


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("photos/9.png,owl", "line 8: "),
        ("../photos/5.png,owl", "line 8: '../photos/5.png' leads out of the table's folder"),
        ("/etc/passwd,owl", "line 8: '/etc/passwd' leads out"),
        ("photos,owl", "line 8: 'photos' is no image"),
        ("birds.csv,owl", "line 8: 'birds.csv' is no image"),
        ("photos/./5.png,owl", "line 8: 'photos/5.png' stands in line 7 already"),
        ("photos/5.png", "line 8: it should have a value for every column"),
        (",owl", "line 8: it should have a value for every column"),
        ("photos/5.png,", "line 8: it should have a value for every column"),
        ("photos/5.png,owl,extra", "line 8: it should have a value for every column"),
    ],
)
def test_lines_that_are_not_usable(photos: Path, line: str, sentence: str) -> None:
    assert sentence in fault(photos, [*rows("owl owl owl wren wren wren"), line])


@pytest.mark.parametrize(
    ("labels", "splits", "sentence"),
    [
        (
            "owl owl owl wren wren wren",
            "train train more train train val",
            "line 4: split is 'more', but should be train",
        ),
        ("owl owl owl wren wren wren", "train train val train train train", "has no validation images of class 'wren'"),
        ("owl owl owl wren wren wren", "val val val train train val", "to train on: it needs at least two labels"),
        ("owl owl jay wren wren wren", "train val val train train val", "has no training images of class 'jay'"),
    ],
)
def test_splits_that_are_not_usable(photos: Path, labels: str, splits: str, sentence: str) -> None:
    assert sentence in fault(photos, rows(labels, splits), "path,label,split")


def test_tables_that_are_none(photos: Path) -> None:
    assert "has no column 'path'" in fault(photos, rows("owl wren"), "file,label")
    assert "has no column 'label'" in fault(photos, rows("owl wren"), "path,class")
    assert "the classes 'Owl' and 'owl', which differ in case alone" in fault(photos, rows("owl owl Owl Owl"))
    assert "has 0 class(es) to train on" in fault(photos, [])
    assert "has 1 class(es) to train on" in fault(photos, rows("owl owl"))
    table = write(photos, [])
    table.write_bytes(b"path,label\nphotos/0.png,caf\xe9\n")
    with pytest.raises(DataError, match="is not UTF-8 text"):
        source(table)
    table.write_bytes(b"")
    with pytest.raises(DataError, match="has no column 'path'"):
        source(table)
    table.write_bytes(b'path,label\n"photos/0.png,owl\n')
    with pytest.raises(DataError, match="is not a readable CSV"):
        source(table)
