"""The plan of a run: peak memory, disk, operations and time of each stage."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from wmdd.config import RunConfig
from wmdd.config.load import to_values
from wmdd.data import ImageSource
from wmdd.pipeline.plan.disk import disk_bytes
from wmdd.pipeline.plan.parts import (
    Parts,
    barycenter_parts,
    evaluation_parts,
    relabel_parts,
    statistics_parts,
    synthesis_parts,
    teacher_parts,
)
from wmdd.pipeline.plan.rehearsal import Rehearsal
from wmdd.pipeline.plan.traffic import folder_bytes
from wmdd.pipeline.plan.workers import Work
from wmdd.pipeline.stages import ALL_STAGES
from wmdd.pipeline.units import Unit
from wmdd.runtime.progress import Reporter
from wmdd.runtime.usage import machine_name

_PARTS: dict[str, Callable[[Rehearsal, Sequence[Unit]], Parts]] = {
    "teacher": teacher_parts,
    "statistics": statistics_parts,
    "barycenters": barycenter_parts,
    "synthesis": synthesis_parts,
    "relabel": relabel_parts,
    "evaluation": evaluation_parts,
}


@dataclass(frozen=True)
class StagePlan:
    """What a stage will take: ``peak_mb`` of the process or the GPU, ``disk_mb`` in the run directory."""

    stage: str
    units: int
    seconds: float
    peak_mb: float
    disk_mb: float
    flops: float


@dataclass(frozen=True)
class SharedPlan:
    """What a stage will take with several workers: ``seconds``, and ``team`` of them at a unit together.

    ``folder_mb`` are read and written in shared folders by all of them, ``gradients_mb`` sent by each to the others.
    """

    stage: str
    team: int
    seconds: float
    folder_mb: float
    gradients_mb: float


@dataclass(frozen=True)
class Plan:
    """What a run will take, stage by stage, with one process on this machine; and with ``workers`` like it."""

    config: RunConfig
    machine: str
    stages: tuple[StagePlan, ...]
    work: tuple[Work, ...] = ()
    workers: int | None = None
    shared: tuple[SharedPlan, ...] = ()

    @property
    def total(self) -> StagePlan:
        """All stages together: the largest peak, the sum of everything else."""
        units, seconds, disk, flops = (
            sum(getattr(stage, name) for stage in self.stages) for name in ("units", "seconds", "disk_mb", "flops")
        )
        return StagePlan("together", units, seconds, max(stage.peak_mb for stage in self.stages), disk, flops)

    @property
    def shared_total(self) -> SharedPlan:
        """All stages of several workers together."""
        seconds, folder, gradients = (
            sum(getattr(stage, name) for stage in self.shared) for name in ("seconds", "folder_mb", "gradients_mb")
        )
        return SharedPlan("together", max(stage.team for stage in self.shared), seconds, folder, gradients)

    @property
    def memory_of(self) -> str:
        """Whose memory the peaks are."""
        return "process" if self.config.runtime.device == "cpu" else "GPU"

    def values(self) -> dict[str, Any]:
        """Plain values: ``machine``, the resolved ``settings``, ``stages`` by name, and ``together``.

        With several workers there are also their number, ``workers``, and ``shared`` like ``stages``.
        """
        found = {"machine": self.machine, "settings": to_values(self.config), **_by_name(self.stages, self.total)}
        if self.workers is not None:
            found |= {"workers": self.workers, "shared": _by_name(self.shared, self.shared_total)}
        return found


def _by_name(stages: Sequence[StagePlan | SharedPlan], total: StagePlan | SharedPlan) -> dict[str, Any]:
    named = {stage.stage: asdict(stage) for stage in (*stages, total)}
    for stage in named.values():
        del stage["stage"]
    together = named.pop("together")
    return {"stages": named, "together": together}


def make_plan(config: RunConfig, source: ImageSource, reporter: Reporter, workers: int | None = None) -> Plan:
    """Measure some steps of every stage of resolved settings, in the order of the run, and multiply."""
    rehearsal = Rehearsal(config, source, divided=workers is not None)
    units = {stage.name: list(stage.units(rehearsal.work)) for stage in ALL_STAGES}
    disk = disk_bytes(rehearsal, units)
    stages, work = [], []
    with reporter.task("measuring a few steps of every stage") as task:
        for done, stage in enumerate(ALL_STAGES, start=1):
            mine = units[stage.name]
            parts = _PARTS[stage.name](rehearsal, mine) if mine else Parts(())  # none: labels that are made online
            stages.append(_stage(stage.name, len(mine), parts, rehearsal, disk[stage.name]))
            work.append(Work(stage.name, mine, stage.most_together(rehearsal.work), parts))
            task.update(done, len(units))
    threads = config.runtime.threads
    assert isinstance(threads, int), "settings are resolved before they are planned"
    machine = machine_name(rehearsal.machine.device, threads)
    shared = () if workers is None else _shared(rehearsal, units, disk, work, workers)
    return Plan(config, machine, tuple(stages), tuple(work), workers, shared)


def _stage(name: str, units: int, parts: Parts, rehearsal: Rehearsal, disk: int) -> StagePlan:
    held = parts.on_device + (parts.on_host if rehearsal.machine.device.type == "cpu" else 0)
    return StagePlan(
        stage=name,
        units=units,
        seconds=round(sum(part.seconds for part in parts.parts), 3),
        peak_mb=round(max((part.probe.peak_mb for part in parts.parts), default=0.0) + held / 1e6, 1),
        disk_mb=disk / 1e6,
        flops=sum((part.flops for part in parts.parts), start=0.0),
    )


def _shared(
    rehearsal: Rehearsal, units: dict[str, list[Unit]], disk: dict[str, int], work: Sequence[Work], workers: int
) -> tuple[SharedPlan, ...]:
    folder = folder_bytes(rehearsal, units, disk, workers)
    return tuple(
        SharedPlan(
            stage=one.stage,
            team=one.team(workers),
            seconds=round(one.seconds(workers), 3),
            folder_mb=folder[one.stage] / 1e6,
            gradients_mb=one.gradients(workers) / 1e6,
        )
        for one in work
    )
