"""Losses and accuracies over steps, out of ``metrics.jsonl``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmdd.storage.json import read_lines

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """One unit's measurements: ``steps [T]`` rising, and each value's ``[T]`` (NaN where a line lacks it)."""

    stage: str
    unit: str
    steps: Floats
    values: dict[str, Floats]


def read_curves(path: Path) -> list[Curve]:
    """The curves of all units, in the order in which they began.

    A resumed or repeated unit goes back to an earlier step: what was measured from there on is taken anew, so the last
    line of each step counts. Lines that a killed process left unfinished are passed over, and so are those of a stage
    that was discarded later.
    """
    units: dict[tuple[str, str], dict[int, dict[str, float]]] = {}
    for line in read_lines(path):
        if isinstance(line, dict) and line.get("discarded"):
            units = {key: steps for key, steps in units.items() if key[0] != str(line.get("stage"))}
        if not (isinstance(line, dict) and isinstance(line.get("step"), int)):
            continue
        steps = units.setdefault((str(line.get("stage")), str(line.get("unit"))), {})
        while steps and next(reversed(steps)) >= line["step"]:
            steps.popitem()
        steps[line["step"]] = _numbers(line)
    return [_curve(stage, unit, steps) for (stage, unit), steps in units.items()]


def _numbers(line: dict[str, Any]) -> dict[str, float]:
    return {name: float(v) for name, v in line.items() if name not in ("step", "of") and isinstance(v, int | float)}


def _curve(stage: str, unit: str, steps: dict[int, dict[str, float]]) -> Curve:
    names = list(dict.fromkeys(name for values in steps.values() for name in values))
    return Curve(
        stage,
        unit,
        np.array(list(steps), dtype=np.float64),
        {name: np.array([values.get(name, np.nan) for values in steps.values()]) for name in names},
    )


def thinned(steps: Floats, values: Floats, points: int = 160) -> tuple[Floats, Floats]:
    """At most ``points`` points: means over stretches of equally many finite measurements."""
    finite = np.isfinite(values)
    steps, values = steps[finite], values[finite]
    if len(steps) <= points:
        return steps, values
    return tuple(np.array([part.mean() for part in np.array_split(row, points)]) for row in (steps, values))  # type: ignore[return-value]


@dataclass(frozen=True)
class Band:
    """Several curves as one: ``steps [T]`` and their ``mean``, ``low`` and ``high`` ``[T]`` there."""

    steps: Floats
    mean: Floats
    low: Floats
    high: Floats


def band(curves: Sequence[Curve], name: str) -> Band:
    """The mean and the range of a value over ``curves``: at each step, of those that have come so far."""
    parts = [thinned(curve.steps, curve.values[name]) for curve in curves if name in curve.values]
    parts = [part for part in parts if len(part[0])]
    grid = max(parts, key=lambda part: part[0][-1])[0]
    rows = np.stack([np.interp(grid, *part, right=np.nan) for part in parts])
    counted = np.isfinite(rows)
    mean = np.where(counted, rows, 0).sum(axis=0) / counted.sum(axis=0)
    return Band(grid, mean, np.fmin.reduce(rows, axis=0), np.fmax.reduce(rows, axis=0))
