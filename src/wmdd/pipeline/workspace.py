"""What the stages of one process share: settings, machine, and data and teacher once they are needed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from wmdd.config import Protocol, RunConfig
from wmdd.core.types import DistilledDataset, Preprocessing
from wmdd.data import Images, ImageSource, Split, load_images, open_source
from wmdd.models import Teacher
from wmdd.pipeline.artifacts import load_distilled, load_preprocessing, load_teacher
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.runtime.crew import ALONE, Crew
from wmdd.runtime.device import Machine, Precision, open_machine
from wmdd.runtime.progress import Reporter, Task
from wmdd.storage.savepoint import Savepoint

_SECONDS_BETWEEN_METRICS = 0.2


@dataclass
class Workspace:
    """One process at work on one run. A ``lender`` is one on another run of the same images and teacher.

    ``random_real`` are the last random real images, ``uint8 [M, C, S, S]``, and their seed: many units ask for them.
    """

    run: RunDirectory
    config: RunConfig
    reporter: Reporter
    lender: "Workspace | None" = None
    crew: Crew = ALONE
    random_real: tuple[int, Tensor] | None = None

    @property
    def image_size(self) -> int:
        """The side in pixels."""
        assert isinstance(self.config.data.image_size, int), "settings are resolved before work begins"
        return self.config.data.image_size

    @property
    def channels(self) -> int:
        """C of an image."""
        assert self.config.data.channels != "auto", "settings are resolved before work begins"
        return self.config.data.channels

    @property
    def flip(self) -> bool:
        """Whether a mirrored image keeps its class."""
        assert isinstance(self.config.data.flip, bool), "settings are resolved before work begins"
        return self.config.data.flip

    @property
    def group_size(self) -> int:
        """Classes in a unit of synthesis."""
        assert isinstance(self.config.synthesis.group_size, int), "settings are resolved before work begins"
        return self.config.synthesis.group_size

    @property
    def synthesis_seed(self) -> int:
        """The seed of a set: of its atoms, its first images, and the views in synthesis and of students."""
        assert self.config.synthesis.seed != "auto", "settings are resolved before work begins"
        return self.config.synthesis.seed

    @property
    def protocols(self) -> list[Protocol]:
        """How students are trained on sets of this size."""
        return self.config.evaluation.chosen_protocols(len(self.class_names) * self.config.ipc)

    def protocol(self, name: str) -> Protocol:
        """The one of that name."""
        return next(protocol for protocol in self.protocols if protocol.name == name)

    @cached_property
    def machine(self) -> Machine:
        """Device and precision."""
        runtime = self.config.runtime
        assert runtime.precision != "auto", "settings are resolved before work begins"
        assert runtime.threads != "auto", "settings are resolved before work begins"
        precision: Precision = runtime.precision
        return open_machine(runtime.device, precision, runtime.threads, self.crew.local_rank)

    @cached_property
    def source(self) -> ImageSource:
        """The real images, not yet read."""
        return open_source(self.config.data)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes in the order of their indices."""
        return self.source.class_names

    @cached_property
    def train(self) -> Images:
        """The real training images."""
        return self.lender.train if self.lender else self._load(self.source.train, "reading training images")

    @cached_property
    def validation(self) -> Images:
        """The real validation images: to score on, and for nothing else."""
        return (
            self.lender.validation if self.lender else self._load(self.source.validation, "reading validation images")
        )

    def _load(self, split: Split, what: str) -> Images:
        with self.reporter.task(what) as task:
            return load_images(split, self.image_size, self.config.data, self.machine.device, task.update)

    @cached_property
    def teacher(self) -> Teacher:
        """The run's teacher, on the machine."""
        if self.lender:
            return self.lender.teacher
        teacher = load_teacher(self.run)
        self.machine.place(teacher.network)
        return teacher

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """How images enter the run's networks, the teacher and the students."""
        return load_preprocessing(self.lender.run if self.lender else self.run)

    @cached_property
    def distilled(self) -> DistilledDataset:
        """The distilled set, once synthesis has finished."""
        # By this process's own settings: those on disk may have been changed meanwhile.
        return load_distilled(self.run, self.config, by_column=True)


@dataclass
class UnitContext:
    """One unit at work: a :class:`~wmdd.stages.training.Log` that shows and keeps metrics, and its savepoint.

    ``crew`` are the processes that make the unit together; only their leader shows and keeps anything.
    """

    run: RunDirectory
    stage: str
    unit: str
    task: Task
    savepoint: Savepoint
    crew: Crew = ALONE
    _last: float = 0.0

    def __call__(self, step: int, total: int, **values: float | Tensor) -> None:
        """Show and keep what a step measured; of quick steps only a few a second."""
        if not self.crew.leads:
            return
        now = time.monotonic()
        last = step == total
        if not last and now - self._last < _SECONDS_BETWEEN_METRICS:
            return
        self._last = now
        shown = {name: float(value) for name, value in values.items()}
        self.task.update(step, total, **shown)
        if shown:
            self.run.log(self.stage, self.unit, step, {"of": total, **shown})


@contextmanager
def unit_context(
    work: Workspace, stage: str, unit: str, title: str, key: str, crew: Crew = ALONE
) -> Iterator[UnitContext]:
    """Show a unit's progress while the block lasts."""
    savepoint = Savepoint(work.run.savepoint_path(stage, unit), key, saves=crew.leads)
    with work.reporter.task(title) as task:
        yield UnitContext(work.run, stage, unit, task, savepoint, crew)
