"""Image folders: both layouts, stable order and fingerprints, and a sentence for everything that is wrong with one."""

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
import torch
from image_folders import picture, write_folder
from PIL import Image

from wmdd.config import DataConfig
from wmdd.core.errors import DataError
from wmdd.data import ImageSource, natural_size, open_source


def source(folder: Path, **settings: object) -> ImageSource:
    return open_source(DataConfig(source=str(folder), **settings))  # type: ignore[arg-type]


def fault(folder: Path) -> str:
    """The one sentence that opening ``folder`` ends in."""
    with pytest.raises(DataError) as caught:
        source(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_train_and_val(tmp_path: Path) -> None:
    write_folder(tmp_path / "pets", {"train/dog": 3, "train/cat": 2, "val/cat": 1, "val/dog": 1})
    pets = source(tmp_path / "pets")
    assert pets.name == "pets"
    assert pets.class_names == ("cat", "dog")
    assert pets.train.names == tuple(f"train/{name}.png" for name in ("cat/0", "cat/1", "dog/0", "dog/1", "dog/2"))
    assert pets.train.labels.tolist() == [0, 0, 1, 1, 1]
    assert pets.train.labels.dtype == torch.int64
    assert pets.validation.names == ("val/cat/0.png", "val/dog/0.png")
    assert pets.train.read(2).tobytes() == picture(0).tobytes()


@pytest.mark.parametrize("present", [("val", "validation", "valid", "test"), ("valid", "test"), ("test",)])
def test_the_first_validation_folder_counts(tmp_path: Path, present: tuple[str, ...]) -> None:
    parts = ("train", *present)
    write_folder(tmp_path, {f"{part}/{name}": 1 for part in parts for name in ("a", "b")})
    assert {name.split("/")[0] for name in source(tmp_path).validation.names} == {present[0]}


@pytest.mark.parametrize(("trained", "scored"), [("training", "testing"), ("Train", "Test"), ("train", "Val")])
def test_splits_by_other_names(tmp_path: Path, trained: str, scored: str) -> None:
    write_folder(tmp_path, {f"{part}/{name}": 1 for part in (trained, scored) for name in ("a", "b")})
    found = source(tmp_path)
    assert found.class_names == ("a", "b")
    assert {name.split("/")[0] for name in found.train.names} == {trained}
    assert {name.split("/")[0] for name in found.validation.names} == {scored}


def test_splits_without_one_to_train_on_are_no_classes(tmp_path: Path) -> None:
    write_folder(tmp_path, {f"{part}/{name}": 2 for part in ("val", "test") for name in ("a", "b")})
    assert fault(tmp_path).endswith("has the folders test, val, but none to train on: call one train")


@pytest.mark.parametrize(("trained", "scored"), [("train", "val"), ("Train", "Test"), ("training", "testing")])
def test_an_archive_beside_the_folders_is_not_the_data(tmp_path: Path, trained: str, scored: str) -> None:
    write_folder(tmp_path, {f"{part}/{name}": 1 for part in (trained, scored) for name in ("a", "b")})
    shutil.make_archive(str(tmp_path / "backup"), "tar", tmp_path / trained)
    assert source(tmp_path).class_names == ("a", "b")


@pytest.mark.parametrize(("one", "other"), [("Train", "train"), ("TEST", "test"), ("Val", "val")])
def test_splits_that_differ_in_case_alone(tmp_path: Path, one: str, other: str) -> None:
    write_folder(tmp_path, {f"{part}/{name}": 2 for part in (one, "training") for name in ("a", "b")})
    if (tmp_path / other).exists():
        pytest.skip("the file system tells no case apart")
    write_folder(tmp_path, {f"{other}/{name}": 2 for name in ("a", "b")})
    assert fault(tmp_path) == (f"{tmp_path} has the folders {one} and {other}, which differ in case alone: rename one")


def test_train_alone_is_split(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train/a": 5, "train/b": 5})
    both = source(tmp_path)
    assert (len(both.train), len(both.validation)) == (8, 2)
    assert all(name.startswith("train/") for name in both.train.names + both.validation.names)


def test_train_may_be_the_name_of_a_class(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train": 3, "car": 3})
    assert source(tmp_path).class_names == ("car", "train")


def test_the_split_is_stratified_and_follows_the_seed(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": 20, "b": 10, "c": 2})
    one = source(tmp_path, validation=0.3)
    assert Counter(one.validation.labels.tolist()) == {0: 6, 1: 3, 2: 1}
    assert Counter(one.train.labels.tolist()) == {0: 14, 1: 7, 2: 1}
    assert not set(one.train.names) & set(one.validation.names)
    assert source(tmp_path, validation=0.3).fingerprint == one.fingerprint
    assert source(tmp_path, validation=0.3, split_seed=1).fingerprint != one.fingerprint


@pytest.mark.parametrize("share", [0.001, 0.999])
def test_every_class_is_in_both_parts(tmp_path: Path, share: float) -> None:
    write_folder(tmp_path, {"a": 5, "b": 2})
    both = source(tmp_path, validation=share)
    assert set(both.train.labels.tolist()) == set(both.validation.labels.tolist()) == {0, 1}


def test_a_class_keeps_its_split_when_others_come_and_go(tmp_path: Path) -> None:
    write_folder(tmp_path, {"b": 20, "c": 5})
    before = [name for name in source(tmp_path).validation.names if name.startswith("b/")]
    write_folder(tmp_path, {"a": 7})
    shutil.rmtree(tmp_path / "c")
    assert [name for name in source(tmp_path).validation.names if name.startswith("b/")] == before


def test_nested_hidden_and_foreign_files(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a/deep/er": 1, "a/b": 1, "b": 2, ".hidden": 1, "a/.thumbs": 1})
    picture().save(tmp_path / "a" / "B.JPG", format="JPEG")
    picture().save(tmp_path / "a" / ".skip.png")
    picture().save(tmp_path / "loose.png")
    (tmp_path / "a" / "notes.txt").write_text("no image")
    found = source(tmp_path)
    assert found.class_names == ("a", "b")
    names = sorted(found.train.names + found.validation.names)
    assert names == ["a/B.JPG", "a/b/0.png", "a/deep/er/0.png", "b/0.png", "b/1.png"]


def test_spaces_and_letters_of_any_script(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "bilder für später", {"große Hunde": 2, "小猫": 2, "naïve cats": 2})
    found = source(root)
    assert found.name == "bilder für später"
    assert found.class_names == ("große Hunde", "naïve cats", "小猫")
    assert found.train.read(2).shape == (10, 12, 3)


def test_the_fingerprint_follows_content_not_place(tmp_path: Path) -> None:
    one = write_folder(tmp_path / "one", {"a": 3, "b": 3})
    two = tmp_path / "elsewhere" / "two"
    shutil.copytree(one, two)
    original = source(one).fingerprint
    assert source(two).fingerprint == original
    picture(width=40).save(two / "b" / "1.png")
    assert source(two).fingerprint != original
    shutil.copy(one / "b" / "1.png", two / "b" / "1.png")
    assert source(two).fingerprint == original
    (two / "b").rename(two / "c")
    assert source(two).fingerprint != original


def test_relative_and_home_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "set", {"a": 2, "b": 2})
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path / "set")
    here, home = source(Path()), source(Path("~/set"))
    monkeypatch.chdir(tmp_path)
    assert here.name == home.name == "set"
    assert here.train.read(0).shape == home.train.read(0).shape
    assert here.fingerprint == home.fingerprint


def test_links_to_folders_and_files_are_followed(tmp_path: Path) -> None:
    write_folder(tmp_path / "other", {"x": 2})
    write_folder(tmp_path / "set", {"a": 2, "b": 2})
    (tmp_path / "set" / "c").symlink_to(tmp_path / "other" / "x")
    (tmp_path / "set" / "a" / "more").symlink_to(tmp_path / "other" / "x")
    (tmp_path / "set" / "b" / "more.png").symlink_to(tmp_path / "other" / "x" / "0.png")
    found = source(tmp_path / "set")
    assert found.class_names == ("a", "b", "c")
    assert len(found.train) + len(found.validation) == 9


@pytest.mark.parametrize(
    ("link", "target"),
    [("a/loop", "a"), ("a/loop", "."), ("a/deep/loop", "a"), ("c", "."), ("a/loop", "..")],
)
def test_links_in_a_circle(tmp_path: Path, link: str, target: str) -> None:
    write_folder(tmp_path / "set", {"a": 2, "a/deep": 1, "b": 2})
    (tmp_path / "set" / link).symlink_to((tmp_path / "set" / target).resolve())
    text = fault(tmp_path / "set")
    assert f"{tmp_path / 'set' / link} is a symbolic link back to" in text


def test_links_in_a_wider_circle(tmp_path: Path) -> None:
    write_folder(tmp_path / "set", {"a": 2, "b": 2})
    write_folder(tmp_path / "other", {"x": 1})
    (tmp_path / "set" / "a" / "out").symlink_to(tmp_path / "other")
    (tmp_path / "other" / "x" / "back").symlink_to(tmp_path / "set" / "a")
    assert "set/a/out/x/back is a symbolic link back to" in fault(tmp_path / "set")


@pytest.mark.parametrize("place", [".", "a"])
def test_a_link_to_itself(tmp_path: Path, place: str) -> None:
    write_folder(tmp_path, {"a": 2, "b": 2})
    (tmp_path / place / "self.png").symlink_to("self.png")
    text = fault(tmp_path)
    assert str(tmp_path / place / "self.png") in text
    assert "links" in text


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": 2, "b": 2})
    (tmp_path / "b" / "gone.png").symlink_to("nowhere.png")
    assert "gone.png is neither a file nor a link to one" in fault(tmp_path)
    (tmp_path / "b" / "gone.png").unlink()
    os.mkfifo(tmp_path / "b" / "pipe.png")
    assert "pipe.png is neither a file nor a link to one" in fault(tmp_path)


def test_no_folder(tmp_path: Path) -> None:
    assert f"{tmp_path / 'none'} does not exist" in fault(tmp_path / "none")
    (tmp_path / "set.txt").touch()
    assert "set.txt is neither a folder nor a .zip" in fault(tmp_path / "set.txt")
    assert "/dev/null is neither a folder nor a file" in fault(Path("/dev/null"))
    with pytest.raises(DataError, match=r"data\.source is empty"):
        open_source(DataConfig(source=""))
    with pytest.raises(DataError, match="~no-such-user/x does not exist"):
        open_source(DataConfig(source="~no-such-user/x"))


def test_too_few_classes_or_images(tmp_path: Path) -> None:
    assert "has no class folders" in fault(tmp_path)
    write_folder(tmp_path, {"a": 1})
    assert "has only the class 'a': it needs at least two" in fault(tmp_path)
    (tmp_path / "b").mkdir()
    assert f"{tmp_path / 'b'} has no images (.png" in fault(tmp_path)
    picture().save(tmp_path / "b" / "0.png")
    assert "a/0.png is the only image of its class" in fault(tmp_path)


def test_validation_classes_must_be_those_of_train(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train/a": 1, "train/b": 1, "val/a": 1})
    assert "val lacks the class 'b' of train/" in fault(tmp_path)
    write_folder(tmp_path, {"val/b": 1, "val/c": 1})
    assert "val has the class 'c', which is not in train/" in fault(tmp_path)
    shutil.rmtree(tmp_path / "val/c")
    (tmp_path / "val/b/0.png").unlink()
    assert "val/b has no images" in fault(tmp_path)


def test_classes_that_differ_in_case_alone(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": 2, "b": 2})
    if (tmp_path / "B").exists():
        pytest.skip("the file system tells no case apart")
    write_folder(tmp_path, {"B": 2})
    assert "has the classes 'B' and 'b', which differ in case alone" in fault(tmp_path)


def test_a_folder_that_may_not_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path, {"a": 2, "b": 2})
    scandir = os.scandir

    # Root may list everything, so the refusal is staged.
    def refuse(where: Path) -> object:
        if where.name == refused:
            raise PermissionError(13, "Permission denied", str(where))
        return scandir(where)

    monkeypatch.setattr(os, "scandir", refuse)
    for refused in ("b", tmp_path.name):
        text = fault(tmp_path)
        assert f"{refused} cannot be read (Permission denied)" in text


def test_a_name_that_is_not_utf_8(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": 2, "b": 2})
    try:
        (tmp_path / "a" / os.fsdecode(b"caf\xe9.png")).write_bytes(b"")
    except OSError:
        pytest.skip("the file system refuses such names")
    assert "a/caf\ufffd.png has a name that is not UTF-8" in fault(tmp_path)


@pytest.mark.parametrize(
    ("sides", "size"), [((20, 20, 20), 32), ((10, 64, 900), 64), ((127, 127, 127), 96), ((500, 300, 400), 224)]
)
def test_natural_size(tmp_path: Path, sides: tuple[int, int, int], size: int) -> None:
    write_folder(tmp_path, {"train/a": 2, "train/b": 1, "val/a": 1, "val/b": 1})
    for name, side in zip(("a/0", "a/1", "b/0"), sides, strict=True):
        Image.new("RGB", (side + 100, side)).save(tmp_path / "train" / f"{name}.png")
    assert natural_size(source(tmp_path)) == size


def test_imagenette(imagenette: Path) -> None:
    found = source(imagenette)
    assert found.class_names == ("n01440764", "n02979186", "n03888257")
    assert (len(found.train), len(found.validation)) == (36, 12)
    assert natural_size(found) == 128
