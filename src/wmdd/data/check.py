"""Reading a whole data set once, to say what is wrong with it before hours are spent on it."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from statistics import median
from typing import Literal, NamedTuple

import numpy as np

from wmdd.core.errors import DataError
from wmdd.data.lossy import LossyImageError
from wmdd.data.source import ImageSource, Split

Progress = Callable[[int, int], None]

_UNEVEN = 5  # the largest class over the smallest
_STRIP = 3  # the longer side over the shorter
_SMALL = 32  # px: the smallest side that a run chooses by itself
_ROUNDING = 2  # by how much the channels of a grey image differ in lossy files
_BLOCK = 64  # images per task


@dataclass(frozen=True)
class Finding:
    """One kind of trouble and every place where it is; only a ``fault`` should keep one from beginning a run."""

    kind: Literal["fault", "doubt"]
    what: str
    places: tuple[str, ...]


class Checked(NamedTuple):
    """What reading everything has told: shorter sides in pixels (smallest, median, largest), and how many are grey."""

    findings: tuple[Finding, ...]
    sides: tuple[int, int, int] | None
    grey: int


class _Seen(NamedTuple):
    """What is kept of an image that could be read."""

    split: str
    label: int
    name: str
    width: int
    height: int
    grey: bool
    blank: bool
    pixels: bytes  # a hash
    loss: str | None  # what 8-bit RGB cannot hold of it


def check_source(
    source: ImageSource, threads: int, on_progress: Progress | None = None, *, converts: bool = False
) -> Checked:
    """What is wrong with the images, their classes and their splits, gravest first; each image is decoded once.

    Images are the same if their decoded pixels are, whatever their files. ``on_progress(done, N)`` is called from this
    thread. What 8-bit RGB cannot hold is no fault where a run ``converts`` it.
    """
    total, looked = len(source.train) + len(source.validation), []
    for found in _look_at_all(source, threads):
        looked += found
        if on_progress is not None:
            on_progress(len(looked), total)
    seen = [image for image in looked if isinstance(image, _Seen)]
    findings = [
        Finding("fault", "cannot be read", tuple(image for image in looked if isinstance(image, str))),
        _lossy(seen, converts),
        *_repeated(seen),
        *_odd_images(seen),
        *_odd_classes(source),
    ]
    sides = sorted(min(image.width, image.height) for image in seen)
    return Checked(
        tuple(finding for finding in findings if finding.places),
        (sides[0], int(median(sides)), sides[-1]) if sides else None,
        sum(image.grey for image in seen),
    )


def _look_at_all(source: ImageSource, threads: int) -> Iterator[list[_Seen | str]]:
    """Blocks of images in order, those that cannot be read as sentences."""
    blocks = [
        (name, split, range(start, min(start + _BLOCK, len(split))))
        for name, split in (("train", source.train), ("validation", source.validation))
        for start in range(0, len(split), _BLOCK)
    ]
    alone = source.train.one_at_a_time or source.validation.one_at_a_time
    with ThreadPoolExecutor(1 if alone else max(threads, 1)) as pool:
        yield from pool.map(lambda block: [_look(block[0], block[1], i) for i in block[2]], blocks)


def _look(name: str, split: Split, i: int) -> _Seen | str:
    loss = None
    try:
        pixels = split.read(i)
    except LossyImageError as image:
        pixels, loss = image.pixels, image.loss
    except DataError as error:
        return str(error)
    return _Seen(
        split=name,
        label=int(split.labels[i]),
        name=split.names[i],
        width=pixels.shape[1],
        height=pixels.shape[0],
        grey=_is_grey(pixels),
        blank=bool((pixels == pixels[0, 0]).all()),
        pixels=sha256(f"{pixels.shape}".encode() + pixels.tobytes()).digest(),
        loss=loss,
    )


def _lossy(seen: Sequence[_Seen], converts: bool) -> Finding:
    places = tuple(f"{image.name} {image.loss}" for image in seen if image.loss)
    if converts:
        return Finding("doubt", "is converted to 8-bit RGB, which cannot hold all of it", places)
    return Finding("fault", "is more than 8-bit RGB can hold: --data.convert true reads it as it lies", places)


def _is_grey(pixels: np.ndarray) -> bool:
    if pixels.shape[2] != 3:
        return False
    red, green, blue = (pixels[..., channel].astype(np.int16) for channel in range(3))
    return bool(np.abs(red - green).max() <= _ROUNDING and np.abs(green - blue).max() <= _ROUNDING)


def _repeated(seen: Sequence[_Seen]) -> Iterator[Finding]:
    same: dict[bytes, list[_Seen]] = defaultdict(list)
    for image in seen:
        if not image.blank:
            same[image.pixels].append(image)
    groups = [images for images in same.values() if len(images) > 1]
    crosses = [
        (len({image.split for image in group}) > 1, len({image.label for image in group}) > 1) for group in groups
    ]
    leaked = [group for group, (splits, _) in zip(groups, crosses, strict=True) if splits]
    torn = [group for group, (_, labels) in zip(groups, crosses, strict=True) if labels]
    rest = [group for group, both in zip(groups, crosses, strict=True) if not any(both)]
    yield Finding("fault", "is the same image to train on and to score on", _names(leaked))
    yield Finding("fault", "is the same image in two classes", _names(torn))
    yield Finding("doubt", "is the same image more than once", _names(rest))


def _names(groups: Iterable[Sequence[_Seen]]) -> tuple[str, ...]:
    return tuple(" = ".join(image.name for image in group) for group in groups)


def _odd_images(seen: Sequence[_Seen]) -> Iterator[Finding]:
    def those(condition: Callable[[_Seen], bool]) -> Iterator[_Seen]:
        return (image for image in seen if condition(image))

    def with_sides(images: Iterable[_Seen]) -> tuple[str, ...]:
        return tuple(f"{image.name} ({image.width} x {image.height})" for image in images)

    yield Finding("doubt", "is of one colour", tuple(image.name for image in those(lambda image: image.blank)))
    small = those(lambda image: min(image.width, image.height) < _SMALL)
    yield Finding("doubt", f"has a side below {_SMALL} px, and would be enlarged", with_sides(small))
    strips = those(lambda image: max(image.width, image.height) > _STRIP * min(image.width, image.height))
    yield Finding("doubt", "is a strip, of which only the centre square is used", with_sides(strips))
    grey = tuple(image.name for image in those(lambda image: image.grey and not image.blank))
    yield Finding("doubt", "is grey among images in colour", grey if 2 * len(grey) < len(seen) else ())


def _odd_classes(source: ImageSource) -> Iterator[Finding]:
    for name, split in (("train on", source.train), ("score on", source.validation)):
        counts = split.labels.bincount(minlength=len(source.class_names))
        least, most = int(counts.argmin()), int(counts.argmax())
        few, many = (f"{source.class_names[k]}: {int(counts[k])}" for k in (least, most))
        uneven = counts[most] > _UNEVEN * counts[least]
        yield Finding("doubt", f"have very different numbers of images to {name}", (few, many) if uneven else ())
    names = source.class_names
    swapped = [(a, b) for a, b in pairwise(names) if _by_number(a) > _by_number(b)]
    yield Finding(
        "doubt",
        "are sorted as text, not by number: labels of other tools may differ",
        tuple(f"{a} before {b}" for a, b in swapped),
    )
    ignored = [*source.train.ignored(), *source.validation.ignored()]
    yield Finding("doubt", "is passed over: its name is not that of an image", tuple(dict.fromkeys(ignored)))


def _by_number(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name) if part]
