"""A run directory as plain values and numpy arrays: what is there, and what is still to be made."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from wmdd.config import RunConfig
from wmdd.config.load import parse, read_yaml
from wmdd.core.bounded import RECORD, check_tensor_names
from wmdd.core.errors import RunError
from wmdd.core.records import STAGES, UnitRecord, unit_record
from wmdd.report.curves import Curve, read_curves
from wmdd.storage.json import read_json, read_sealed

Array = NDArray[Any]

WMDD, RANDOM_REAL = "wmdd", "random-real"


@dataclass(frozen=True)
class Score:
    """What one student reached on the validation images, in percent."""

    protocol: str
    method: str
    student: str
    seed: int
    top1: float
    top5: float
    per_class: tuple[float, ...]
    recipe: dict[str, Any]


@dataclass(frozen=True)
class Barycenters:
    """Those of the finished classes: ``cost [G]``, ``iterations [G]``, ``converged [G]``, ``weights [G, m]``.

    ``history[g]`` is the cost after each iteration; ``curve_cost [G, S]`` what ``curve_ipc [S]`` atoms of free weights
    would cost (NaN where a class has fewer features).
    """

    classes: tuple[int, ...]
    cost: Array
    iterations: Array
    converged: Array
    weights: Array
    history: tuple[Array, ...]
    curve_ipc: Array
    curve_cost: Array
    method: str

    @property
    def ipc(self) -> int:
        """Atoms of a class."""
        return int(self.weights.shape[1])

    @property
    def variance(self) -> Array:
        """The variance ``[G]`` of each class, which is its cost with one atom; NaN where it is zero."""
        return np.where(self.curve_cost[:, 0] > 0, self.curve_cost[:, 0], np.nan)

    @property
    def left(self) -> Array:
        """What the atoms leave of the variance of each class, in percent ``[G]``."""
        return np.asarray(100 * self.cost / self.variance)


@dataclass(frozen=True)
class Progress:
    """How far a stage is: ``done`` of ``expected`` ``things``; a finished one may be expected to do nothing at all."""

    stage: str
    done: int
    expected: int
    things: str

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return self.done >= self.expected


@dataclass(frozen=True)
class RunData:
    """Everything the page tells. ``teacher`` is empty, ``barycenters`` None, and so on, where a stage has not run."""

    path: Path
    config: RunConfig
    data: dict[str, Any]
    class_names: tuple[str, ...]
    units: Mapping[str, Sequence[UnitRecord]]
    teacher: dict[str, Any]
    scores: tuple[Score, ...]
    barycenters: Barycenters | None
    curves: tuple[Curve, ...]
    progress: tuple[Progress, ...]

    def paths(self, unit: UnitRecord, suffix: str) -> list[Path]:
        """The unit's files whose names end so.

        Raises:
            RunError: one lies outside the run.
        """
        return [_inside(self.path, name) for name in unit.files if name.endswith(suffix)]

    def bytes_of(self, units: Iterable[UnitRecord], suffix: str) -> int:
        """The size on disk of the units' files whose names end so."""
        paths = [path for unit in units for path in self.paths(unit, suffix)]
        return sum(path.stat().st_size for path in paths if path.is_file())

    def home(self, stage: str, k: int) -> UnitRecord | None:
        """The finished unit of ``stage`` that covers class ``k``."""
        return next((unit for unit in self.units[stage] if k in unit.classes), None)

    @property
    def synthesized(self) -> list[int]:
        """The classes that have images."""
        return sorted(k for unit in self.units["synthesis"] for k in unit.classes)


def read_run(path: Path) -> RunData:
    """Read what the run in ``path`` has left so far.

    Raises:
        RunError: there is no run, or one of its files is damaged.
    """
    if not (path / "config.yaml").is_file():
        raise RunError(f"there is no run in {path}: make one with `wmdd run {path} --data ...`.")
    try:
        return _read_run(path)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, StopIteration) as error:
        # JSON of another shape: by hand, or of another program
        raise RunError(f"{path} is damaged ({error!r:.200}): `wmdd run {path}` fixes what it has made.") from error


def _read_run(path: Path) -> RunData:
    config = parse(read_yaml(path / "config.yaml"), str(path / "config.yaml"))
    manifest = read_sealed(path / "manifest.json") if (path / "manifest.json").is_file() else {}
    data = dict(manifest.get("data", {}))
    units = {stage: _read_units(path, stage) for stage in STAGES}
    teacher = _read_facts(path, units["teacher"])
    indices: dict[str, int] = data.get("classes", {})
    names = tuple(teacher.get("class_names", ())) or tuple(sorted(indices, key=indices.__getitem__))
    _refuse_unnamed(path, units, len(names))
    return RunData(
        path=path,
        config=config,
        data=data,
        class_names=names,
        units=units,
        teacher=teacher,
        scores=tuple(_read_score(_inside(path, name)) for unit in units["evaluation"] for name in unit.files),
        barycenters=_read_barycenters(path, units["barycenters"]),
        curves=tuple(read_curves(path / "metrics.jsonl")),
        progress=tuple(_progress(stage, units[stage], config, len(names)) for stage in STAGES),
    )


def read_tensors(path: Path, names: Sequence[str]) -> dict[str, Array]:
    """The named tensors of a safetensors file.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        check_tensor_names(path)
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError, ValueError) as error:
        raise RunError(f"{path} is missing or damaged ({error}).") from error


def _inside(run: Path, name: str) -> Path:
    path = run / name
    if not path.resolve().is_relative_to(run.resolve()):
        raise RunError(f"{run} names a file outside itself ({name!r}): the run cannot be trusted.")
    return path


def _refuse_unnamed(run: Path, units: Mapping[str, Sequence[UnitRecord]], num_classes: int) -> None:
    """Refuse units of classes that neither the teacher nor the manifest names, as when both are gone."""
    last = max((k for made in units.values() for unit in made for k in unit.classes), default=-1)
    if last >= num_classes:
        raise RunError(f"{run} covers class {last}, but names only {num_classes} classes: `wmdd run {run}` fixes it.")


# --- units ------------------------------------------------------------------------------------------------------------


def _read_units(path: Path, stage: str) -> tuple[UnitRecord, ...]:
    units = []
    for file in sorted((path / "artifacts" / stage / "units").glob("[!.]*.json")):
        try:
            units.append(unit_record(read_sealed(file, RECORD)))
        except ValueError as error:
            raise RunError(f"{file} is not a valid record of a unit: `wmdd run {path}` makes it again.") from error
    return tuple(units)


def _read_facts(path: Path, units: Sequence[UnitRecord]) -> dict[str, Any]:
    names = [name for unit in units for name in unit.files if name.endswith(".json")]
    if not names:
        return {}
    facts = dict(read_json(_inside(path, names[0])))
    if missing := [name for name in _FACTS if name not in facts]:
        raise RunError(f"{path / names[0]} does not say the teacher's {missing[0]}: `wmdd run {path}` makes it again.")
    return facts


_FACTS = (
    *("arch", "stem_is", "image_size", "class_names", "trained", "sha256", "parameters"),
    *("top1", "top5", "per_class", "chance"),
)
"""What the page tells of a teacher."""


def _read_score(path: Path) -> Score:
    found = read_json(path)
    try:
        return Score(**{**found, "per_class": tuple(found["per_class"])})
    except (TypeError, KeyError) as error:
        raise RunError(f"{path} is not a student's score ({error}).") from error


def _read_barycenters(path: Path, units: Sequence[UnitRecord]) -> Barycenters | None:
    rows: dict[int, tuple[Array, ...]] = {}
    curve_ipc, method = np.zeros(0, dtype=np.int64), ""
    names = ("cost", "iterations", "converged", "weights", "curve_cost", "history", "curve_ipc")
    for unit in units:
        file = next(_inside(path, name) for name in unit.files)
        tensors = read_tensors(file, names)
        curve_ipc = tensors.pop("curve_ipc")
        rows |= dict(zip(unit.classes, zip(*tensors.values(), strict=True), strict=True))
        with safe_open(file, framework="numpy") as opened:
            method = (opened.metadata() or {}).get("method", "")
    if not rows:
        return None
    classes = tuple(sorted(rows))
    cost, iterations, converged, weights, curve_cost = (np.stack([rows[k][i] for k in classes]) for i in range(5))
    history = tuple(rows[k][5][~np.isnan(rows[k][5])] for k in classes)
    return Barycenters(classes, cost, iterations, converged, weights, history, curve_ipc, curve_cost, method)


# --- what is still to be made -----------------------------------------------------------------------------------------


def _progress(stage: str, units: Sequence[UnitRecord], config: RunConfig, num_classes: int) -> Progress:
    if stage == "teacher":
        return Progress(stage, len(units), 1, "network")
    if stage == "relabel":
        wanted = {"protocol": protocol_names(config, num_classes), "images": _image_sets(config)}
        made = [
            unit.covers["epochs"]
            for unit in units
            if unit.label_form == config.evaluation.labels and _is_among(unit, wanted)
        ]
        done = sum(last - first for first, last in made)
        return Progress(stage, done, _label_epochs(config, num_classes), "epochs of labels")
    if stage == "evaluation":
        asked: dict[str, Sequence[Any]] = {
            "protocol": protocol_names(config, num_classes),
            "method": (WMDD, RANDOM_REAL) if config.evaluation.random_real else (WMDD,),
            "student": config.evaluation.students,
            "seed": config.evaluation.seeds,
        }
        done = sum(_is_among(unit, asked) for unit in units)
        return Progress(stage, done, prod(map(len, asked.values())), "students")
    return Progress(stage, sum(len(unit.classes) for unit in units), max(num_classes, 1), "classes")


def _is_among(unit: UnitRecord, wanted: Mapping[str, Sequence[Any]]) -> bool:
    """Whether a unit is one of those that the settings, which may have changed since, still ask for."""
    return all(unit.covers.get(name) in values for name, values in wanted.items())


def protocol_names(config: RunConfig, num_classes: int) -> list[str]:
    """The protocols by which students are trained, by their names with the epochs."""
    return [protocol.name for protocol in config.evaluation.chosen_protocols(config.ipc * max(num_classes, 1))]


def _image_sets(config: RunConfig) -> list[str]:
    """The sets that get labels: the distilled one, and a draw of random real images for each seed."""
    draws = config.evaluation.seeds if config.evaluation.random_real else ()
    return [WMDD, *(f"{RANDOM_REAL}-{seed}" for seed in draws)]


def _label_epochs(config: RunConfig, num_classes: int) -> int:
    """Epochs of stored soft labels over all sets."""
    if config.evaluation.labels == "online":
        return 0
    protocols = config.evaluation.chosen_protocols(config.ipc * max(num_classes, 1))
    epochs = sum(config.evaluation.label_epochs(found.epochs) for found in protocols if found.labels == "soft")
    return epochs * len(_image_sets(config))
