"""What reading a data set once finds: each planted fault by its place, and nothing in a sound set."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from image_folders import picture
from odd_images import DAMAGED, cmyk_jpeg, wide_png
from PIL import Image
from test_archive import pack

from wmdd.config import DataConfig
from wmdd.data import Checked, check_source, open_source


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """Two classes, 8 images to train on and 4 to score on in each, of 64 x 48 pixels, all different."""
    seed = 0
    for folder, count in {"train/cat": 8, "train/dog": 8, "val/cat": 4, "val/dog": 4}.items():
        (tmp_path / "pets" / folder).mkdir(parents=True)
        for i in range(count):
            picture(seed := seed + 1, 64, 48).save(tmp_path / "pets" / folder / f"{i}.png")
    return tmp_path / "pets"


def checked(path: Path) -> Checked:
    return check_source(open_source(DataConfig(source=str(path))), threads=2)


def test_a_sound_set(sound: Path) -> None:
    assert checked(sound) == ((), (48, 48, 48), 0)


def test_progress_counts_to_the_end(sound: Path) -> None:
    seen: list[tuple[int, int]] = []
    check_source(open_source(DataConfig(source=str(sound))), 2, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (24, 24)


def cut(root: Path) -> None:
    whole = (root / "train/cat/1.png").read_bytes()
    (root / "train/cat/1.png").write_bytes(whole[: len(whole) // 2])


def empty(root: Path) -> None:
    (root / "val/dog/2.png").write_bytes(b"")


def text(root: Path) -> None:
    (root / "train/dog/3.png").write_text("<html>404</html>")


def wide(root: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (48, 64, 3)).astype(np.uint16)
    (root / "train/cat/wide.png").write_bytes(wide_png(values))


def cmyk(root: Path) -> None:
    (root / "train/dog/cmyk.jpg").write_bytes(cmyk_jpeg(picture(95, 64, 48)))


def rotated(root: Path) -> None:
    picture(94, 64, 48).save(root / "val/dog/exif.jpg", exif=DAMAGED["a directory cut off"])


def leak(root: Path) -> None:
    with Image.open(root / "train/dog/4.png") as image:
        image.save(root / "val/dog/copy.webp", lossless=True)


def two_classes(root: Path) -> None:
    shutil.copy(root / "train/dog/5.png", root / "train/cat/five.png")


def twice(root: Path) -> None:
    shutil.copy(root / "val/cat/1.png", root / "val/cat/one.png")


def blank(root: Path) -> None:
    Image.new("RGB", (64, 48), "navy").save(root / "train/cat/blank.png")


def tiny(root: Path) -> None:
    picture(99, 20, 40).save(root / "train/cat/tiny.png")


def strip(root: Path) -> None:
    picture(98, 400, 50).save(root / "train/cat/strip.png")


def grey(root: Path) -> None:
    picture(97, 64, 48).convert("L").save(root / "val/cat/grey.png")


def other_name(root: Path) -> None:
    picture(96, 64, 48).save(root / "train/cat/cat.gif")


def uneven(root: Path) -> None:
    for i in range(40):
        picture(200 + i, 64, 48).save(root / f"train/dog/more-{i}.png")


def numbers(root: Path) -> None:
    for part in ("train", "val"):
        (root / part / "cat").rename(root / part / "10")
        (root / part / "dog").rename(root / part / "9")


PLANTED = [
    (cut, "fault", "cannot be read", "train/cat/1.png is damaged"),
    (empty, "fault", "cannot be read", "val/dog/2.png is empty"),
    (text, "fault", "cannot be read", "train/dog/3.png is not a readable"),
    (wide, "fault", "more than 8-bit RGB can hold", "train/cat/wide.png has 16 bits a channel"),
    (cmyk, "fault", "more than 8-bit RGB can hold", "train/dog/cmyk.jpg is CMYK"),
    (rotated, "fault", "more than 8-bit RGB can hold", "val/dog/exif.jpg has a damaged EXIF block"),
    (leak, "fault", "to train on and to score on", "train/dog/4.png = val/dog/copy.webp"),
    (two_classes, "fault", "in two classes", "train/cat/five.png = train/dog/5.png"),
    (twice, "doubt", "more than once", "val/cat/1.png = val/cat/one.png"),
    (blank, "doubt", "of one colour", "train/cat/blank.png"),
    (tiny, "doubt", "a side below 32 px", "train/cat/tiny.png (20 x 40)"),
    (strip, "doubt", "a strip", "train/cat/strip.png (400 x 50)"),
    (grey, "doubt", "grey among images in colour", "val/cat/grey.png"),
    (other_name, "doubt", "passed over", "train/cat/cat.gif"),
    (uneven, "doubt", "very different numbers of images to train on", "cat: 8"),
    (numbers, "doubt", "sorted as text", "10 before 9"),
]


@pytest.mark.parametrize(("plant", "kind", "what", "place"), PLANTED, ids=lambda value: getattr(value, "__name__", ""))
@pytest.mark.parametrize("archived", [False, True])
def test_one_planted_fault(
    sound: Path, plant: Callable[[Path], None], kind: str, what: str, place: str, archived: bool
) -> None:
    plant(sound)
    (finding,) = checked(pack(sound, sound.with_suffix(".zip")) if archived else sound).findings
    assert finding.kind == kind
    assert what in finding.what
    assert place in finding.places[0]


def test_all_at_once(sound: Path) -> None:
    for plant, *_ in PLANTED[:-2]:
        plant(sound)
    found = {finding.what: finding.places for finding in checked(sound).findings}
    for _, _, what, place in PLANTED[:-2]:
        assert any(what in key and any(place in where for where in places) for key, places in found.items())
    assert len(found["cannot be read"]) == 3


def test_what_is_converted_is_no_fault_but_told(sound: Path) -> None:
    for plant in (wide, cmyk, rotated):
        plant(sound)
    shutil.copy(sound / "train/dog/cmyk.jpg", sound / "val/dog/cmyk.jpg")
    source = open_source(DataConfig(source=str(sound)))
    strict, converting = (check_source(source, 2, converts=converts).findings for converts in (False, True))
    assert [(finding.kind, len(finding.places)) for finding in strict] == [("fault", 4), ("fault", 1)]
    assert [(finding.kind, len(finding.places)) for finding in converting] == [("doubt", 4), ("fault", 1)]
    assert "is converted to 8-bit RGB" in converting[0].what
    assert strict[0].places == converting[0].places
    assert strict[1] == converting[1]  # the same image to train on and to score on: what is left of them is compared


def test_grey_sets_are_not_odd(sound: Path) -> None:
    for path in sound.rglob("*.png"):
        with Image.open(path) as image:
            image.convert("L").save(path)
    assert checked(sound) == ((), (48, 48, 48), 24)


def test_arrays(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 40, 40, 3), dtype=np.uint8)
    pixels[13] = pixels[2]  # a class before
    np.savez(tmp_path / "set.npz", x=pixels, y=np.arange(20) // 10)
    (finding,) = checked(tmp_path / "set.npz").findings
    assert finding.places == ("all/2 = all/13",)
