"""Small image folders of real pictures: handwritten digits, and a few of Imagenette where it is at hand."""

import zipfile
from pathlib import Path

from PIL import Image

from wmdd.config import DataConfig
from wmdd.data import open_source

IMAGENETTE = Path(__file__).parents[3] / "shared" / "data" / "imagenette128.zip"


def digit_folder(folder: Path, classes: int, train: int, val: int) -> Path:
    """``train/CLASS/*.png`` and ``val/CLASS/*.png`` of the first digits of each class."""
    source = open_source(DataConfig())
    for name, split, count in (("train", source.train, train), ("val", source.validation, val)):
        for k in range(classes):
            place = folder / name / f"digit {k}"
            place.mkdir(parents=True)
            for i in (split.labels == k).nonzero().squeeze(1)[:count].tolist():
                Image.fromarray(split.read(i)).save(place / f"{i:04d}.png")
    return folder


def imagenette_folder(folder: Path, classes: int, train: int, val: int) -> Path:
    """The first images of the first classes of Imagenette, as they are in the archive."""
    with zipfile.ZipFile(IMAGENETTE) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".webp"))
        for part, count in (("train", train), ("val", val)):
            mine = [name for name in names if f"/{part}/" in name]
            for label in sorted({name.split("/")[-2] for name in mine})[:classes]:
                for name in [name for name in mine if name.split("/")[-2] == label][:count]:
                    archive.extract(name, folder)
    return folder / "imagenette128"
