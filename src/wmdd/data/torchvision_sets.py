"""Data sets of torchvision, by the name ``torchvision:NAME``."""

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from torchvision import datasets
from torchvision.datasets.utils import download_and_extract_archive

from wmdd.config.data import TORCHVISION
from wmdd.core.errors import DataError
from wmdd.data.cifar import cifar_layout, open_cifar
from wmdd.data.labels import numbered
from wmdd.data.maps import MapSamples
from wmdd.data.samples import sampled_source
from wmdd.data.source import ImageSource

_CIFAR = {"CIFAR10": datasets.CIFAR10, "CIFAR100": datasets.CIFAR100}


class _Set(NamedTuple):
    """How a set is asked for each of its splits (None: it has no second one), and whether its images may be flipped."""

    train: dict[str, Any]
    validation: dict[str, Any] | None
    flips: bool = True


def _by_train(flips: bool = True) -> _Set:
    return _Set({"train": True}, {"train": False}, flips)


def _by_split(train: str, validation: str, flips: bool = True) -> _Set:
    return _Set({"split": train}, {"split": validation}, flips)


_SETS = {
    "MNIST": _by_train(flips=False),
    "FashionMNIST": _by_train(),
    "KMNIST": _by_train(flips=False),
    "USPS": _by_train(flips=False),
    "SVHN": _by_split("train", "test", flips=False),
    "GTSRB": _by_split("train", "test", flips=False),
    "RenderedSST2": _by_split("train", "val", flips=False),
    "STL10": _by_split("train", "test"),
    "Food101": _by_split("train", "test"),
    "Flowers102": _by_split("train", "val"),
    "DTD": _by_split("train", "val"),
    "OxfordIIITPet": _by_split("trainval", "test"),
    "FGVCAircraft": _by_split("train", "val"),
    "Country211": _by_split("train", "valid"),
    "Imagenette": _by_split("train", "val"),
    "EuroSAT": _Set({}, None),
}
"""Those with one class for each image whose files hold no code; CIFAR's, which do, are read by a reader of our own."""


def open_torchvision(source: str, root: Path, download: bool, share: float, seed: int) -> ImageSource:
    """The set that ``source`` names, in the splits that its authors made, from the folder ``root``.

    Without a split to score on, the ``share`` of each class that ``seed`` chooses is held out. It is fetched only where
    ``download`` says so. Raises ``DataError`` if there is no such set or it is not in ``root``.
    """
    name = source.removeprefix(TORCHVISION)
    if name in _CIFAR:
        return _cifar(name, root, download)
    if name not in _SETS:
        known = [*_CIFAR, *_SETS]
        spelled = {other.lower(): other for other in known}
        near = difflib.get_close_matches(name.lower(), spelled, n=1)
        hint = f"did you mean {TORCHVISION}{spelled[near[0]]}?" if near else f"known are {', '.join(known)}"
        raise DataError(f"there is no data set {source!r} here; {hint}")
    wanted = _SETS[name]

    def read(settings: dict[str, Any]) -> Any:
        kind: Callable[..., Any] = getattr(datasets, name)
        return _fetched(source, root, download, lambda: kind(str(root), download=download, **settings))

    train = read(wanted.train)
    samples = MapSamples(train, source)
    validation = None if wanted.validation is None else MapSamples(read(wanted.validation), f"{source} (to score on)")
    classes = class_names_of(train) or numbered(samples.labels)
    return sampled_source(name, classes, samples, validation, share, seed, flips=wanted.flips)


def class_names_of(dataset: Any) -> tuple[str, ...]:
    """The names of the classes that a set of torchvision knows, or none."""
    names = getattr(dataset, "classes", None)
    if not isinstance(names, list | tuple) or not names:
        return ()
    # Imagenette has several words for a class, of which the first is the usual one.
    return tuple(str(name[0]) if isinstance(name, tuple) and name else str(name) for name in names)


def _cifar(name: str, root: Path, download: bool) -> ImageSource:
    published = _CIFAR[name]
    folder = root / published.base_folder

    def fetch() -> None:
        if cifar_layout(folder) is None:
            if not download:
                raise FileNotFoundError(f"there is no {folder}")
            download_and_extract_archive(published.url, str(root), filename=published.filename, md5=published.tgz_md5)

    _fetched(TORCHVISION + name, root, download, fetch)
    layout = cifar_layout(folder)
    if layout is None:
        raise DataError(f"{folder} has no batches of {name}: remove it, and fetch it again with --data.download true")
    return open_cifar(folder, layout)


def _fetched(source: str, root: Path, download: bool, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except ImportError as error:
        raise DataError(
            f"{source} needs {error.name}, which is not installed: run `pip install {error.name}`"
        ) from error
    except Exception as error:  # torchvision says that files are missing or damaged in many ways
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        way = (
            "check the connection and the disk"
            if download
            else "name its folder with --data.root, or let it be fetched with --data.download true"
        )
        raise DataError(f"{source} cannot be read from {root} ({reason}): {way}") from error
