"""WebDataset shards: plain tar archives in which KEY.jpg and KEY.cls (or KEY.json) are one sample."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wmdd.core.bounded import RECORD, read_bounded
from wmdd.core.errors import DataError
from wmdd.data.decode import decode_image
from wmdd.data.folder import VALIDATION_FOLDERS
from wmdd.data.labels import numbered
from wmdd.data.samples import Samples, sampled_source
from wmdd.data.source import ImageSource
from wmdd.data.tar_archive import TarTree

_LABELS = (".cls", ".json")
_NAMES = "classnames.txt"


class ShardSamples(Samples):
    """The images of some shards, in the order of the shards' names and of the keys.

    Raises ``DataError`` for a shard that cannot be read, and for an image without a label.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.where = str(paths[0]) if len(paths) == 1 else f"{paths[0].parent} ({len(paths)} shards)"
        self._shards = [TarTree(path) for path in paths]
        self._files = [(shard, file) for shard in self._shards for file in shard.images("")]
        self._refuse_two_of_a_sample()
        labels = {id(shard): _labels(shard) for shard in self._shards}
        self.labels = np.array(
            [_label_of(shard, file.path, labels[id(shard)]) for shard, file in self._files], np.int64
        )

    def _refuse_two_of_a_sample(self) -> None:
        seen: dict[tuple[int, str], str] = {}
        for shard, file in self._files:
            if (other := seen.setdefault((id(shard), _key(file.path)), file.path)) != file.path:
                raise DataError(
                    f"{shard.where(file.path)} and {other} are images of one sample: leave one of them in the shard"
                )

    def read(self, i: int) -> np.ndarray:
        shard, file = self._files[i]
        return np.asarray(decode_image(shard.read(file.path), shard.where(file.path)))

    def name(self, i: int) -> str:
        shard, file = self._files[i]
        return f"{shard.path.name}/{file.path}"

    def stamp(self, i: int) -> int | str:
        return self._files[i][1].size


def shards_in(folder: Path) -> list[Path]:
    """The plain tar archives directly in ``folder``, sorted by name."""
    return sorted(path for path in folder.glob("*.tar") if path.is_file() and not path.name.startswith("."))


def holds_samples(path: Path) -> bool:
    """Whether a plain tar archive holds labels beside its images, as a shard does."""
    return any(name.endswith(".cls") for name in TarTree(path).others())


def open_shards(folder: Path, paths: Sequence[Path], validation: float, seed: int) -> ImageSource:
    """Shards as a source. Those whose names begin with one of ``VALIDATION_FOLDERS`` are to score on.

    Without any the share ``validation`` of each class is held out, chosen by ``seed``. Labels are whole numbers from 0;
    ``classnames.txt`` beside the shards may name the classes, a line for each. Raises ``DataError`` if something cannot
    be read or labels are missing.
    """
    scored = [path for path in paths if _first_word(path.name) in VALIDATION_FOLDERS]
    trained = [path for path in paths if path not in scored]
    if not trained:
        raise DataError(f"{folder} has shards to score on only: put training shards there, named train-*.tar")
    train, held_out = ShardSamples(trained), ShardSamples(scored) if scored else None
    name = folder.resolve().name if len(paths) > 1 else paths[0].name.partition(".")[0]
    return sampled_source(name, _class_names(folder / _NAMES, train.labels), train, held_out, validation, seed)


def _first_word(name: str) -> str:
    """``val`` of ``val-000.tar`` and of ``val000.tar``, but not of ``valley-000.tar``."""
    return re.split(r"[^a-z]", name.lower(), maxsplit=1)[0]


def _class_names(path: Path, labels: np.ndarray) -> tuple[str, ...]:
    if not path.is_file():
        return numbered(labels)
    try:
        return tuple(read_bounded(path, RECORD).decode().splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not readable UTF-8 text ({error}): write one class name on each line") from error


def _labels(shard: TarTree) -> dict[str, str]:
    """By key, the member that holds its label; ``.cls`` goes before ``.json``."""
    others = shard.others()
    return {_key(name): name for ending in reversed(_LABELS) for name in others if name.endswith(ending)}


def _label_of(shard: TarTree, image: str, labels: dict[str, str]) -> int:
    member = labels.get(_key(image))
    if member is None:
        raise DataError(f"{shard.where(image)} has no label: put {_key(image)}.cls beside it, holding a whole number")
    text = shard.read(member)
    try:
        label = json.loads(text)
        label = label["label"] if isinstance(label, dict) else label
    except (ValueError, KeyError, RecursionError):
        label = None
    if type(label) is not int or abs(label) >= 2**31:
        raise DataError(f"{shard.where(member)} holds no label: it should be a whole number from 0 up")
    return label


def _key(name: str) -> str:
    """A member's name up to the first dot of its last part: what WebDataset joins a sample by."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.partition(".")[0]
