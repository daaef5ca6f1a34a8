"""What the tests of stages share: a small world in float64, new networks, and a sudden end."""

from dataclasses import dataclass

import torch
from torch import Tensor

from wmdd.config import BarycentersConfig
from wmdd.core.types import ClassStatistics, Preprocessing
from wmdd.data import Images
from wmdd.models import Teacher
from wmdd.models.convnet import ConvNet3
from wmdd.runtime.device import Machine
from wmdd.runtime.random import seeded
from wmdd.stages.barycenters import find_barycenters
from wmdd.stages.nearest import nearest_distinct
from wmdd.stages.synthesis import SynthesisProblem

SIZE = 16


def new_network(seed: int = 0, width: int = 8) -> ConvNet3:
    with seeded(seed, "test-weights"):
        return ConvNet3(10, width=width)


@dataclass(frozen=True)
class World:
    """The digits at 16 px, and a narrow ConvNet that has learned some of them, all in float64."""

    machine: Machine
    preprocessing: Preprocessing
    train: Images
    validation: Images
    teacher: Teacher
    statistics: ClassStatistics

    def problem(self, classes: tuple[int, ...], ipc: int) -> SynthesisProblem:
        """The real problem of ``classes``: their atoms, uneven weights, statistics, nearest images and features."""
        found = find_barycenters(self.statistics, classes, ipc, BarycentersConfig(solver="exact"), 0)
        rows = [self.statistics.classes.index(k) for k in classes]
        starts = []
        for k, atoms in zip(classes, found.atoms, strict=True):
            chosen = self.statistics.index_of(k)[nearest_distinct(atoms, self.statistics.features_of(k))]
            starts.append(self.preprocessing.normalize(self.train.take(chosen), self.machine.dtype))
        moments = {name: type(m)(*(part[rows] for part in m)) for name, m in self.statistics.moments.items()}
        real = tuple(map(self.statistics.features_of, classes))
        return SynthesisProblem(classes, found.atoms, found.weights, moments, torch.stack(starts), real)


class Killed(Exception):
    """What ends a process in the middle of its work."""


class KillAt:
    """A log that notes every step's values and, at the step that it is given, ends everything."""

    def __init__(self, step: int | None = None) -> None:
        self.kill_at = step
        self.seen: list[dict[str, float]] = []

    def __call__(self, step: int, total: int, **values: float | Tensor) -> None:
        self.seen.append({name: float(value) for name, value in values.items()})
        if step == self.kill_at:
            raise Killed
