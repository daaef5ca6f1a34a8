"""A few steps of a stage, measured."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import torch
from torch import Tensor

from wmdd.runtime.allocator import give_back
from wmdd.runtime.graphs import unrecorded
from wmdd.runtime.usage import measured
from wmdd.stages.training import Log

STEADY_STEPS = 2  # after the first, which also pays for what comes before it
BYTES_PER_SECOND = 10e9 / 8  # between processes: 10 Gbit/s
_SECONDS = 1.0  # quick steps are repeated for so long: two of them would measure noise

Task = Callable[[Log], object]
"""A stage that reports to a log; it is the log that ends it."""


class _EnoughError(Exception):
    """What ends a stage when enough of it is measured."""


@dataclass
class _Stopwatch:
    """A :class:`~wmdd.stages.training.Log` that notes the time, and ends the stage after some steps and seconds."""

    steps: int
    seconds: float = 0.0
    ends: list[float] = field(default_factory=list)
    begin: float = field(default_factory=lambda: time.perf_counter())

    def __call__(self, step: int, total: int, **values: float | Tensor) -> None:
        for value in values.values():
            float(value)  # a step has ended when what it measured is there
        self.ends.append(time.perf_counter())
        if len(self.ends) >= self.steps and self.ends[-1] - self.begin >= self.seconds:
            raise _EnoughError

    @property
    def first(self) -> float:
        """Seconds of the first step and of what comes before it."""
        return self.ends[0] - self.begin if self.ends else 0.0

    @property
    def step(self) -> float:
        """Seconds of a further step."""
        return (self.ends[-1] - self.ends[0]) / (len(self.ends) - 1) if len(self.ends) > 1 else self.first


@dataclass(frozen=True)
class Probe:
    """What steps take: seconds of the ``first`` and each further ``step``; the very first takes ``cold`` more.

    ``flops`` are those of a step, of products and convolutions; ``peak_mb`` is what the process or the device held.
    """

    cold: float
    first: float
    step: float
    flops: float
    peak_mb: float


def probe(task: Task, device: torch.device) -> Probe:
    """Measure a few steps of ``task``, which is begun three times."""
    # Imported here: it takes a second, which a run that only looks at its memory need not pay.
    from torch.utils.flop_counter import FlopCounterMode

    give_back()  # or the memory of what was measured before would count as this one's
    with measured(device) as usage:
        cold = _watch(task, _Stopwatch(1))
        warm = _watch(task, _Stopwatch(1 + STEADY_STEPS, _SECONDS))
    with unrecorded(), FlopCounterMode(display=False) as counter:
        _watch(task, _Stopwatch(1))
    return Probe(
        max(0.0, cold.first - warm.first), warm.first, warm.step, float(counter.get_total_flops()), usage.peak_mb
    )


def seconds_of_a_step(task: Task) -> float:
    """Roughly: of the second one."""
    return _watch(task, _Stopwatch(2)).step


def probe_once(task: Callable[[], object], device: torch.device) -> Probe:
    """Measure ``task`` as a single step, done once; operations are not counted."""
    give_back()
    with measured(device) as usage:
        task()
    return Probe(0.0, usage.seconds, usage.seconds, 0.0, usage.peak_mb)


def _watch(task: Task, stopwatch: _Stopwatch) -> _Stopwatch:
    with suppress(_EnoughError):
        task(stopwatch)
    return stopwatch


def repeated(task: Callable[[], object], times: int = 1_000_000) -> Task:
    """``task`` as a stage of which each step does it once."""

    def repeat(log: Log) -> None:
        for done in range(1, times + 1):
            task()
            log(done, times)

    return repeat


@dataclass(frozen=True)
class Shared:
    """How a team divides a step: all but ``fixed`` seconds of it, and ``gradients`` bytes go to all others."""

    fixed: float = 0.0
    gradients: int = 0

    def step(self, alone: float, team: int) -> float:
        """Seconds of a step of a ``team`` that takes one process ``alone`` seconds.

        Gradients are sent while the rest of them is computed, which is two thirds of the work.
        """
        if team == 1:
            return alone
        mine = self.fixed + (alone - self.fixed) / team
        return max(mine, mine / 3 + self.bytes_sent(team) / BYTES_PER_SECOND)

    def bytes_sent(self, team: int) -> float:
        """By each process, and received by it, in a step: a ring passes everything on twice."""
        return 2 * (team - 1) / team * self.gradients


@dataclass(frozen=True)
class Part:
    """Work of a stage: ``steps`` like the probed one (parts of steps count too), begun ``starts`` times.

    It is spread over the ``units`` of these names (none: all), or every process does it for itself (``everyone``).
    """

    probe: Probe
    steps: float
    starts: int = 1
    shared: Shared | None = None
    units: tuple[str, ...] = ()
    everyone: bool = False

    @property
    def seconds(self) -> float:
        """Seconds of all steps of one process."""
        return self.cold + self.seconds_of(1)

    @property
    def cold(self) -> float:
        """Seconds that every process needs once."""
        return self.probe.cold if self.steps > 0 else 0.0

    def seconds_of(self, team: int) -> float:
        """Seconds of all steps of a ``team``, but for what is cold."""
        if self.steps <= 0:
            return 0.0
        step = self.shared.step(self.probe.step, team) if self.shared else self.probe.step
        beginning = max(0.0, self.probe.first - self.probe.step)  # less than nothing is the clock's noise
        return self.starts * beginning + self.steps * step

    @property
    def flops(self) -> float:
        """Operations of all steps."""
        return self.steps * self.probe.flops
