"""A tiny image folder that a small network learns in an epoch or two, settings that suit it, and snapshots of trees."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

Refused = Callable[..., str]
"""The fixture ``refused``: ``(words, *parts, begun=None) -> the sentence on stderr``."""

COLOURS = {"blue": (40, 60, 220), "green": (40, 200, 60), "red": (220, 40, 40)}
TINY_TEACHER = [
    *("--image-size", "16", "--data.workers", "1", "--teacher-epochs", "2", "--ipc", "2"),
    *("--runtime.precision", "float32", "--runtime.threads", "1", "-q"),
]
TINY = [*TINY_TEACHER, "--steps", "2", "--evaluation.epochs", "1", "--seeds", "0"]


def coloured_folder(folder: Path, count: int = 6) -> Path:
    """``CLASS/*.png``: noisy stripes of 16 px, each class in a colour of its own."""
    draw = np.random.default_rng(0)
    for period, (name, colour) in enumerate(COLOURS.items(), start=2):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = np.array(colour) + draw.integers(-30, 31, (16, 16, 3))
            pixels[::period] -= 25
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name / f"{i}.png")
    return folder


def snapshot(folder: Path) -> dict[str, bytes | str]:
    """Everything below ``folder``: the bytes of files, the targets of links."""
    found: dict[str, bytes | str] = {}
    for root, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(root, name)
            if path.is_symlink():
                entry: bytes | str = str(path.readlink())
            else:
                entry = path.read_bytes() if path.is_file() else "folder" if path.is_dir() else "other"
            found[path.relative_to(folder).as_posix()] = entry
    return found
