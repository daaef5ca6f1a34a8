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
class Plan:
    """What a run will take, stage by stage, with one process on this machine."""

    config: RunConfig
    machine: str
    stages: tuple[StagePlan, ...]

    @property
    def total(self) -> StagePlan:
        """All stages together: the largest peak, the sum of everything else."""
        units, seconds, disk, flops = (
            sum(getattr(stage, name) for stage in self.stages) for name in ("units", "seconds", "disk_mb", "flops")
        )
        return StagePlan("together", units, seconds, max(stage.peak_mb for stage in self.stages), disk, flops)

    @property
    def memory_of(self) -> str:
        """Whose memory the peaks are."""
        return "process" if self.config.runtime.device == "cpu" else "GPU"

    def values(self) -> dict[str, Any]:
        """Plain values: ``machine``, the resolved ``settings``, ``stages`` by name, and ``together``."""
        named = {stage.stage: asdict(stage) for stage in (*self.stages, self.total)}
        for stage in named.values():
            del stage["stage"]
        together = named.pop("together")
        return {"machine": self.machine, "settings": to_values(self.config), "stages": named, "together": together}


def make_plan(config: RunConfig, source: ImageSource, reporter: Reporter) -> Plan:
    """Measure some steps of every stage of resolved settings, in the order of the run, and multiply."""
    rehearsal = Rehearsal(config, source)
    units = {stage.name: list(stage.units(rehearsal.work)) for stage in ALL_STAGES}
    disk = disk_bytes(rehearsal, units)
    stages = []
    with reporter.task("measuring a few steps of every stage") as task:
        for done, (name, mine) in enumerate(units.items(), start=1):
            stages.append(_stage(name, mine, rehearsal, disk[name]))
            task.update(done, len(units))
    threads = config.runtime.threads
    assert isinstance(threads, int), "settings are resolved before they are planned"
    return Plan(config, machine_name(rehearsal.machine.device, threads), tuple(stages))


def _stage(name: str, units: Sequence[Unit], rehearsal: Rehearsal, disk: int) -> StagePlan:
    if not units:  # labels that are made online
        return StagePlan(name, 0, 0.0, 0.0, 0.0, 0.0)
    found = _PARTS[name](rehearsal, units)
    held = found.on_device + (found.on_host if rehearsal.machine.device.type == "cpu" else 0)
    return StagePlan(
        stage=name,
        units=len(units),
        seconds=round(sum(part.seconds for part in found.parts), 3),
        peak_mb=round(max(part.probe.peak_mb for part in found.parts) + held / 1e6, 1),
        disk_mb=disk / 1e6,
        flops=sum(part.flops for part in found.parts),
    )
