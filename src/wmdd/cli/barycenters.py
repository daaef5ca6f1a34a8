"""The table of barycenters on standard output."""

import math
from dataclasses import dataclass, fields
from statistics import fmean

from wmdd.core.types import Barycenters
from wmdd.pipeline.artifacts import load_barycenters, teacher_facts
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.runtime.progress import print_table

MOST_LINES = 50
WORST = 10


@dataclass(frozen=True)
class _Line:
    """How one barycenter stands for its class; weights are times IPC, so that 1 is the weight of equal ones."""

    cost: float
    percent_left: float
    least_weight: float
    largest_weight: float
    iterations: int
    converged: bool

    def cells(self) -> list[str]:
        left = "unknown" if math.isnan(self.percent_left) else f"{self.percent_left:.1f} %"
        weights = [f"{self.least_weight:.2f}", f"{self.largest_weight:.2f}"]
        return [f"{self.cost:.4g}", left, *weights, str(self.iterations), "yes" if self.converged else "no"]


_COLUMNS = ["W2^2", "variance left", "smallest weight", "largest weight", "iterations", "converged"]
_WEIGHTS = "weights are times IPC: 1 is uniform"


def print_barycenters(run: RunDirectory) -> None:
    """Cost, weights and convergence of each class's barycenter, of those that are done; of many, the worst."""
    records = run.records("barycenters").values()
    classes = sorted(k for record in records for k in record.covers["classes"])
    if not classes:
        return
    names, found = teacher_facts(run)["class_names"], load_barycenters(run, classes)
    lines = {names[k]: line for k, line in zip(classes, _lines(found), strict=True)}
    if len(lines) > MOST_LINES:
        print_table(
            f"Barycenters of {len(lines)} classes ({_WEIGHTS})", ["", *_COLUMNS[:-1]], _summary(list(lines.values()))
        )
        worst = sorted(lines, key=lambda name: _badness(lines[name]), reverse=True)[:WORST]
        print_table(f"The {WORST} that explain least of their class", ["class", *_COLUMNS], _rows(lines, worst))
    else:
        print_table(f"Barycenters ({_WEIGHTS})", ["class", *_COLUMNS], _rows(lines, list(lines)))
    print(_together(found, list(lines.values()), sum(record.seconds for record in records)))


def _lines(found: Barycenters) -> list[_Line]:
    weights = found.weights.double() * found.weights.shape[1]
    columns = (found.cost, 100 * found.share_left, weights.amin(1), weights.amax(1), found.iterations, found.converged)
    return [_Line(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def _rows(lines: dict[str, _Line], names: list[str]) -> list[list[str]]:
    return [[name, *lines[name].cells()] for name in names]


def _badness(line: _Line) -> tuple[float, float]:
    return (-1.0 if math.isnan(line.percent_left) else line.percent_left, line.cost)


def _summary(lines: list[_Line]) -> list[list[str]]:
    """The smallest, median and largest value of every column, each by itself."""
    columns = [[getattr(line, field.name) for line in lines] for field in fields(_Line)]
    columns = [sorted(value for value in column if not math.isnan(value)) or [math.nan] for column in columns]
    halves = {"smallest": 0, "median": 1, "largest": 2}
    return [
        [name, *_Line(*(column[(len(column) - 1) * half // 2] for column in columns)).cells()[:-1]]
        for name, half in halves.items()
    ]


def _together(found: Barycenters, lines: list[_Line], seconds: float) -> str:
    done = sum(line.converged for line in lines)
    left = [line.percent_left for line in lines if not math.isnan(line.percent_left)]
    share = f" ({fmean(left):.1f} % of the variance)" if left else ""
    return (
        f"solver {found.method}, IPC {found.weights.shape[1]}: {done} of {len(lines)} classes converged, "
        f"mean cost {fmean(line.cost for line in lines):.4g}{share}, "
        f"{seconds:.1f} s ({seconds / len(lines):.2g} s a class)"
    )
