"""The synthetic images beside their nearest real ones: one sheet of tiles for each class."""

import base64
import io
from dataclasses import dataclass
from math import isqrt
from pathlib import Path

import numpy as np
from PIL import Image

from wmdd.report.collect import Array, RunData, read_tensors
from wmdd.report.plane import spread_out
from wmdd.storage.pictures import read_picture

SHOW_ALL_UP_TO = 200
MOST_PAIRS = 240
MOST_CLASSES = 100
_MOST_IN_STRIP = 10
_STRIP_SIDE = 96  # pixels of an image in a strip at most
_MOST_RAW_BYTES = 7_500_000
"""Of all sheets before compression, so that the page stays small even where nothing can be compressed."""


@dataclass(frozen=True)
class Sheet:
    """One class: a PNG data URI with the synthetic images in its upper row, and their nearest real ones below."""

    k: int
    uri: str
    distances: tuple[float, ...]


@dataclass(frozen=True)
class Gallery:
    """The shown classes; tiles are ``side`` pixels (less than the images where they were scaled down)."""

    sheets: tuple[Sheet, ...]
    side: int
    image_size: int
    shown: int
    total: int
    median_distance: float

    @property
    def look(self) -> str:
        """Words for the style sheet: small tiles, drawn pixel by pixel; several classes beside one another."""
        words = {
            "small": self.side <= 64,
            "pixels": self.image_size <= 64,
            "narrow": len(self.sheets[0].distances) <= 4,
        }
        return " ".join(word for word, holds in words.items() if holds)


def build_gallery(run: RunData) -> Gallery | None:
    """The gallery of the classes that have images; None before there are any, or where their teacher is gone."""
    classes = run.synthesized
    if not classes or not run.teacher:
        return None
    ipc, total = run.config.ipc, len(classes) * run.config.ipc
    shown_classes, each = classes, ipc
    if total > SHOW_ALL_UP_TO:
        shown_classes = spread_out(classes, MOST_CLASSES)
        each = min(ipc, 10 if len(shown_classes) <= 24 else 4, max(1, MOST_PAIRS // len(shown_classes)))
    size = int(run.teacher["image_size"])
    side = min(size, isqrt(_MOST_RAW_BYTES // (2 * 3 * each * len(shown_classes))))
    sheets = tuple(_sheet(run, k, each, side) for k in shown_classes)
    distances = [distance for sheet in sheets for distance in sheet.distances]
    return Gallery(sheets, side, size, each * len(shown_classes), total, float(np.median(distances)))


def _sheet(run: RunData, k: int, count: int, side: int) -> Sheet:
    unit = run.home("synthesis", k)
    assert unit is not None
    facts = run.paths(unit, f"class-{k:04d}.safetensors")[0]
    found = read_tensors(facts, ("nearest_images", "nearest_distance"))
    paths = [path for path in run.paths(unit, ".png") if path.parent.name == f"class-{k:04d}"][:count]
    synthetic = [shown(read_picture(path)) for path in paths]
    real = [shown(image) for image in found["nearest_images"][:count]]
    rows = [np.concatenate([scaled(image, side) for image in images], axis=1) for images in (synthetic, real)]
    return Sheet(k, png_uri(np.concatenate(rows)), tuple(found["nearest_distance"][:count].tolist()))


def shown(image: Array) -> Array:
    """What can be seen of ``uint8 [C, S, S]``, as ``[S, S, 3]``: its first three channels, or its first in grey."""
    return (image[:3] if len(image) >= 3 else image[:1].repeat(3, axis=0)).transpose(1, 2, 0)


def scaled(image: Array, side: int) -> Array:
    """``uint8 [S, S, 3]``, with ``side`` pixels where it had more."""
    if image.shape[0] <= side:
        return image
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.LANCZOS))


def strip(run: Path) -> Array | None:
    """The first image of some classes of ``run``, side by side, ``uint8 [S, W, 3]``; None before there are any.

    Raises:
        RunError: an image is missing or damaged.
    """
    files = sorted(run.glob("artifacts/synthesis/*/class-*/000.png"), key=lambda path: path.parent.name)
    if not files:
        return None
    some = files[:: -(-len(files) // _MOST_IN_STRIP)]
    return np.concatenate([scaled(shown(read_picture(path)), _STRIP_SIDE) for path in some], axis=1)


def png_uri(pixels: Array) -> str:
    """``uint8 [H, W, 3]`` as a data URI; no more colours than are used."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if (pixels == pixels[..., :1]).all():
        image = image.convert("L")
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
