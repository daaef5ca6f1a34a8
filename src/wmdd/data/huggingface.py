"""Data sets of the Hugging Face hub by name, and parquet and arrow files of its library on disk."""

import glob
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from wmdd.config.data import HUB
from wmdd.core.bounded import RECORD, check_size, read_bounded
from wmdd.core.errors import DataError
from wmdd.data.folder import VALIDATION_FOLDERS
from wmdd.data.rows import RowSamples, class_names
from wmdd.data.samples import sampled_source
from wmdd.data.source import ImageSource

_NAME = re.compile(r"(?P<name>\w[\w.-]*(/\w[\w.-]*)?)(:(?P<config>\w[\w.-]*))?")
_STATE, _INFO, _SPLITS = "state.json", "dataset_info.json", "dataset_dict.json"
_SPLIT = re.compile(r"\w[\w .-]*")


def open_hub(source: str, download: bool, share: float, seed: int) -> ImageSource:
    """The set ``hf:NAME`` or ``hf:NAME:CONFIG`` of the hub, from its library's cache.

    The hub is asked only where ``download`` says so. Raises ``DataError`` if there is no such set, or no column of
    images or labels.
    """
    found = _NAME.fullmatch(source.removeprefix(HUB))
    if found is None:
        raise DataError(f"{source!r} names no data set of the hub: it should be hf:NAME or hf:NAME:CONFIG")
    name, config = found["name"], found["config"]
    if Path(name).exists():  # the library would take it for the one that is meant
        raise DataError(f"{source} is ambiguous, as there is a folder {name} here: say ./{name}, or work elsewhere")
    datasets = _library(source)
    way = (
        "check its name and the connection"
        if download
        else "let it be fetched with --data.download true if it is not in the cache"
    )
    with _quiet(datasets, offline=not download):
        splits = _tried(lambda: datasets.load_dataset(name, config), source, way)
    return _source(name.rpartition("/")[2], source, splits, [Path(datasets.config.HF_CACHE_HOME)], share, seed)


def parquet_files(path: Path) -> list[Path]:
    """The parquet file that ``path`` is, or those in this folder and the folders directly in it, sorted."""
    if path.is_file():
        return [path] if path.suffix.lower() == ".parquet" else []
    return sorted(
        file
        for pattern in ("*.parquet", "*/*.parquet")
        for file in path.glob(pattern)
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )


def open_parquet(path: Path, files: list[Path], share: float, seed: int) -> ImageSource:
    """Parquet ``files`` of ``path``; those to score on are named, or lie in a folder named, ``val``, ``test``, ...

    Raises ``DataError`` as of :func:`open_hub`.
    """
    datasets = _library(str(path))
    parts: dict[str, list[str]] = {}
    for file in files:
        split = _split_of(file.relative_to(path) if path.is_dir() else Path(file.name))
        parts.setdefault(split, []).append(glob.escape(str(file.absolute())))  # the library takes names for patterns
    _check_alike(files)
    with _quiet(datasets, offline=True):
        splits = _tried(
            lambda: datasets.load_dataset("parquet", data_files=parts),
            str(path),
            "write it again, all files with the same columns",
        )
    return _source(path.resolve().name.partition(".")[0], str(path), splits, [_folder(path)], share, seed)


def _check_alike(files: list[Path]) -> None:
    """Refuse files that number their classes differently: the library would take the names of one for all."""
    named = [(file, names) for file in files if (names := _class_labels(file))]
    for file, names in named[1:]:
        if names != named[0][1]:
            raise DataError(
                f"{file} names its classes otherwise than {named[0][0]}: write all files with the same ClassLabel"
            )


def _class_labels(file: Path) -> dict[str, list[str]]:
    """By column, the names that a parquet file has for whole numbers; none where it cannot be read."""
    from pyarrow.parquet import read_schema

    try:
        written = (read_schema(file).metadata or {}).get(b"huggingface", b"{}")
        features = json.loads(written)["info"]["features"]
        return {name: entry["names"] for name, entry in features.items() if entry.get("_type") == "ClassLabel"}
    except Exception:  # the library says it where it is damaged
        return {}


def is_saved(folder: Path) -> bool:
    """Whether ``folder`` is what ``save_to_disk`` of ``datasets`` writes."""
    return (folder / _SPLITS).is_file() or (folder / _STATE).is_file()


def open_saved(folder: Path, share: float, seed: int) -> ImageSource:
    """Arrow files that ``save_to_disk`` has written. Raises ``DataError`` as of :func:`open_hub`."""
    datasets = _library(str(folder))
    way = "save it again with save_to_disk"
    splits = folder / _SPLITS
    names = _tried(partial(_split_names, splits), str(splits), way) if splits.is_file() else []
    for part in (folder, *(folder / name for name in names)):
        _tried(partial(_check_part, part), str(part), way)
    with _quiet(datasets, offline=True):
        loaded = _tried(lambda: datasets.load_from_disk(str(folder)), str(folder), way)
    tables = loaded if isinstance(loaded, dict) else {"train": loaded}
    return _source(folder.resolve().name, str(folder), tables, [folder], share, seed)


def _split_names(path: Path) -> list[str]:
    """The splits that a set lists. Raises ``ValueError`` for one that could lie elsewhere."""
    names = json.loads(read_bounded(path, RECORD))["splits"]
    if not isinstance(names, list):
        raise ValueError("it has no list of splits")
    for name in names:
        if not isinstance(name, str) or not _SPLIT.fullmatch(name):
            raise ValueError(f"{name!r:.100} is no name of a split")
    return names


def _check_part(folder: Path) -> None:
    """Refuse arrow files elsewhere, which the state of a split could name, and more words than describe a split."""
    if (folder / _INFO).is_file():
        check_size(folder / _INFO, RECORD)
    if (folder / _STATE).is_file():
        for entry in json.loads(read_bounded(folder / _STATE, RECORD))["_data_files"]:
            if Path(entry["filename"]).name != entry["filename"]:
                raise ValueError(f"the file {entry['filename']!r} is outside the folder")


def _source(
    name: str, where: str, splits: Mapping[str, Any], roots: list[Path], share: float, seed: int
) -> ImageSource:
    train_name = next(iter(splits)) if len(splits) == 1 else "train"
    if train_name not in splits:
        raise DataError(f"{where} has the splits {', '.join(splits)}, but none to train on: call one train")
    classes = class_names(splits[train_name], where)
    train = RowSamples(splits[train_name], where, classes, roots)
    chosen = next((split for split in VALIDATION_FOLDERS if split in splits and split != train_name), None)
    held_out = None if chosen is None else RowSamples(splits[chosen], f"{where} ({chosen})", classes, roots)
    return sampled_source(name, classes, train, held_out, share, seed)


def _split_of(file: Path) -> str:
    words = [part for parent in file.parts for part in re.split(r"[^a-z]+", parent.lower()) if part]
    return next((word for word in words if word in VALIDATION_FOLDERS), "train")


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _library(what: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise DataError(f"{what} needs the library datasets: run `pip install 'datasets>=4.0'`") from error
    return datasets


@contextmanager
def _quiet(datasets: Any, *, offline: bool) -> Iterator[None]:
    """No bars of the library's own, no warnings, and where ``offline`` no request to any network."""
    from huggingface_hub import constants

    bars, level = datasets.is_progress_bar_enabled(), datasets.logging.get_verbosity()
    before = datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(logging.CRITICAL)  # it logs errors besides raising them
    if offline:
        datasets.config.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE = before
        datasets.logging.set_verbosity(level)
        if bars:
            datasets.enable_progress_bars()


def _tried(make: Callable[[], Any], what: str, way: str) -> Any:
    try:
        return make()
    except Exception as error:  # the library raises whatever a damaged file makes it stumble over
        root = error.__cause__ or error  # its own errors say little more than that there was one
        reason = (str(root).splitlines() or [type(root).__name__])[0].rstrip(".")
        raise DataError(f"{what} cannot be read ({reason}): {way}") from error
