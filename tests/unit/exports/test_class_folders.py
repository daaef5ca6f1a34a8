"""Folder names of classes: safe, different, and sorted as the classes are, for that numbers the labels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wmdd.exports.manifest import class_folders


@pytest.mark.parametrize(
    ("names", "folders"),
    [
        (["cat", "dog"], ["cat", "dog"]),
        (["owl, big", "owl, wee"], ["owl, big", "owl, wee"]),
        (["a/b", "a_b"], ["0 a_b", "1 a_b"]),
        (["dog", "cat"], ["0 dog", "1 cat"]),
        (["0", "1", "10", "2"], ["0", "1", "10", "2"]),
        ([str(k) for k in range(11)], [f"{k:02d} {k}" for k in range(11)]),
        (["Cat", "cat"], ["0 Cat", "1 cat"]),
        (["..", "x"], ["0", "1 x"]),
        (["été", "日本"], ["été", "日本"]),
    ],
)
def test_examples(names: list[str], folders: list[str]) -> None:
    assert class_folders(names) == folders


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=2, unique=True))
def test_any_names(names: list[str]) -> None:
    folders = class_folders(names)
    assert folders == sorted(folders)
    assert len({folder.casefold() for folder in folders}) == len(names)
    assert not any(set(folder) & set('/\\\0:*?"<>|\n') or folder in ("", ".", "..") for folder in folders)
