"""Doing a run: stages in order, units that are done are skipped, everything is recorded as soon as it is finished.

Any number of processes may do one run: whoever is free takes the next unit that is neither done nor claimed, so a slow
process takes fewer, and a unit whose process has died is taken over. What a unit comes to does not depend on who makes
it. Only a teacher, and students when there are fewer of them than processes, are made by several of a crew together.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from wmdd.config.load import dotted
from wmdd.core.errors import RunError
from wmdd.core.hashing import digest, digest_file
from wmdd.core.records import STAGES, UnitRecord
from wmdd.pipeline.opening import concerns
from wmdd.pipeline.results import write_results
from wmdd.pipeline.stage import Stage
from wmdd.pipeline.stages import ALL_STAGES
from wmdd.pipeline.units import Shard, Unit, team_size
from wmdd.pipeline.workspace import Workspace, unit_context
from wmdd.runtime.allocator import give_back
from wmdd.runtime.crew import ALONE, Crew
from wmdd.runtime.usage import machine_name, measured, versions
from wmdd.stages.finite import NotFiniteError
from wmdd.storage.locks import Claim, patiently
from wmdd.storage.savepoint import Savepoint

SECONDS_BETWEEN_LOOKS = 0.5
"""How often a process that waits for others looks whether they have done."""


def run_stages(work: Workspace, names: Sequence[str] = STAGES, shard: Shard | None = None) -> None:
    """Do what is missing of the named stages, in order; a damaged unit is said to be so, and made again.

    The last stages of a run in shards, and all processes of a crew, wait for what the others make, if any of them is
    to make it.

    Raises:
        RunError: an earlier stage is unfinished, a finished unit was made from other inputs, or one cannot be made.
    """
    shard = shard or Shard()
    waits = work.crew.size > 1 or (shard.count > 1 and tuple(names) == STAGES)
    for stage in ALL_STAGES:
        if stage.name in names:
            for needed in stage.needs:
                _require_finished(_stage(needed), stage, work, waits=waits and needed in names)
            if waits and stage.name == "evaluation" and "relabel" in names:
                _wait_for(_stage("relabel"), work)
            if _run_within_memory(stage, work, shard) and work.crew.leads:
                _gather(work, stage.name == "teacher")
    if work.crew.leads:
        _gather(work, not {"teacher", "evaluation"}.isdisjoint(names))
        work.run.remove_abandoned()


def _gather(work: Workspace, results: bool) -> None:
    with patiently(work.run.gathering):
        work.run.write_manifest(work.run.data())
        if results:
            write_results(work.run, work.config)


def _stage(name: str) -> Stage:
    (stage,) = [stage for stage in ALL_STAGES if stage.name == name]
    return stage


def missing_units(stage: Stage, work: Workspace) -> list[Unit]:
    """The units of ``stage`` that are not done."""
    done = work.run.records(stage.name)
    return [unit for unit in stage.units(work) if unit.name not in done]


# --- waiting ----------------------------------------------------------------------------------------------------------


def _require_finished(stage: Stage, wanted_by: Stage, work: Workspace, *, waits: bool) -> None:
    if waits:
        _wait_for(stage, work)
    elif missing := missing_units(stage, work):
        raise RunError(
            f"{wanted_by.name} needs {stage.name}, of which {len(missing)} unit(s) are missing in {work.run.path} "
            f"(first {missing[0].name!r}): run `wmdd {_COMMANDS[stage.name]} {work.run.path}`, or the other shards, "
            "first."
        )


def _wait_for(stage: Stage, work: Workspace) -> None:
    said = False
    while missing := missing_units(stage, work):
        if not said:
            work.reporter.say(f"{stage.name}: waiting for {len(missing)} unit(s) that other processes make")
            said = True
        time.sleep(SECONDS_BETWEEN_LOOKS)


_COMMANDS = {"synthesis": "synthesize", "evaluation": "evaluate"} | {
    name: name for name in STAGES if name not in ("synthesis", "evaluation")
}


# --- a stage ----------------------------------------------------------------------------------------------------------


def _run_within_memory(stage: Stage, work: Workspace, shard: Shard) -> int:
    """:func:`_run_stage`, begun again with settings that need less whenever a GPU's memory runs out."""
    while True:
        try:
            return _run_stage(stage, work, shard)
        except torch.OutOfMemoryError:
            if not stage.relieve(work):
                raise
        # Outside the handler: until it ends, the error keeps all tensors of the failed step alive.
        torch.cuda.empty_cache()


def _run_stage(stage: Stage, work: Workspace, shard: Shard) -> int:
    """Do this shard's missing units and check the others; returns how many this process made."""
    units = stage.units(work)
    inputs = {name: work.run.stage_digest(name) for name in stage.needs}
    mine = [_Job(stage, unit, work, _key(stage, unit, work, inputs), len(units)) for unit in shard.share(units)]
    give_back()  # or the memory of the stage before would count as this one's
    team = work.crew.team(team_size(len(units), work.crew.size, stage.most_together(work)))
    if team is None:  # more processes than are of use
        _wait_for(stage, work)
        return 0
    fresh, failed = _make_missing(mine, team)
    if failed:
        raise RunError(
            f"{len(failed)} of {len(units)} unit(s) of {stage.name} could not be made, the others are done: "
            f"{'; '.join(failed)}: lower the learning rate, with `--redo {stage.name}`, or use float32."
        )
    if not missing_units(stage, work) and work.crew.leads:
        work.run.tidy(stage.name, [unit.name for unit in units])
    if units:
        elsewhere = len(mine) - fresh
        work.reporter.say(f"{stage.name}: {fresh} of {len(mine)} unit(s) made, {elsewhere} there already")
    return fresh


def _make_missing(jobs: Sequence["_Job"], team: Crew) -> tuple[int, list[str]]:
    """Make whatever no other team is making until all is done; returns how many, and what went wrong."""
    fresh, failed = 0, list[str]()

    def attempt(job: _Job) -> bool:
        nonlocal fresh
        try:
            job.make(team)
            fresh += 1
        except NotFiniteError as error:
            failed.append(job.lament(error))
            return False
        return True

    while not team.leads:  # the others make what the leader has claimed
        if not (number := team.told(0)):
            return fresh, failed
        attempt(jobs[number - 1])
    left = {number: job for number, job in enumerate(jobs, start=1) if not job.done()}
    while left:
        before = fresh + len(failed)
        for number, job in tuple(left.items()):
            held = job.claim()
            if held is None:
                continue
            with held:
                if not job.done() and not attempt(jobs[team.told(number) - 1]):
                    del left[number]
        left = {number: job for number, job in left.items() if not job.done()}
        if left and before == fresh + len(failed):
            time.sleep(SECONDS_BETWEEN_LOOKS)
    team.told(0)
    return fresh, failed


# --- a unit -----------------------------------------------------------------------------------------------------------


@dataclass
class _Job:
    """A unit to be made, unless it is done."""

    stage: Stage
    unit: Unit
    work: Workspace
    key: str
    among: int

    @property
    def title(self) -> str:
        return f"{self.stage.name} {self.unit.name}" if self.among > 1 else self.stage.name

    def claim(self) -> Claim | None:
        return self.work.run.claim(self.stage.name, self.unit.name)

    def done(self) -> bool:
        """Whether the unit is made, and undamaged.

        Raises:
            RunError: it was made from something else.
        """
        record = self.work.run.record_of(self.stage.name, self.unit.name)
        if record is None:
            return False
        if record.key != self.key:
            raise RunError(
                f"{self.stage.name} {self.unit.name!r} in {self.work.run.path} was made from other inputs or settings: "
                f"add `--redo {self.stage.name}` to make it again."
            )
        return self.work.run.fault(self.stage.name, self.unit.name) is None

    def make(self, crew: Crew = ALONE) -> None:
        """Make and record it; once more in float32 where a loss was not finite in bfloat16.

        Raises:
            NotFiniteError: it is not finite in float32 either.
        """
        run, name = self.work.run, self.stage.name
        if crew.leads and (fault := run.fault(name, self.unit.name)):
            self.work.reporter.say(f"{self.title}: {fault}; made again")
            run.forget(name, self.unit.name)
        usual = self.work.machine
        if not (usual.precision == "bfloat16" and self._began_in_float32()):
            try:
                return self._make(crew)
            except NotFiniteError as error:
                if usual.precision != "bfloat16":
                    raise
                self.work.reporter.say(f"{self.title}: {error.about(self.work.class_names)}; once more in float32")
        self.work.machine = replace(usual, precision="float32")
        try:
            self._make(crew, "float32")
        finally:
            self.work.machine = usual

    def _began_in_float32(self) -> bool:
        """Whether a process that was cut off had come to the second try."""
        path = self.work.run.savepoint_path(self.stage.name, self.unit.name)
        return Savepoint(path, self.key + "float32").load() is not None

    def _make(self, crew: Crew, precision: str = "") -> None:
        work, stage, unit = self.work, self.stage, self.unit
        threads = work.config.runtime.threads
        assert isinstance(threads, int), "settings are resolved before work begins"
        key = self.key + precision
        with unit_context(work, stage.name, unit.name, self.title, key, crew) as context:
            with measured(work.machine.device) as usage:
                paths = stage.make(unit, work, context)
            if crew.leads:
                work.run.record(
                    stage.name,
                    UnitRecord(
                        name=unit.name,
                        key=self.key,
                        covers=unit.covers,
                        files={path.relative_to(work.run.path).as_posix(): digest_file(path) for path in paths},
                        seconds=round(context.savepoint.earlier + usage.seconds, 3),
                        peak_mb=usage.peak_mb,
                        machine=machine_name(work.machine.device, threads),
                        versions=versions(),
                        precision=precision,
                    ),
                )
                context.savepoint.clear()

    def lament(self, error: NotFiniteError) -> str:
        """What went wrong, and where its last good state lies."""
        path = self.work.run.savepoint_path(self.stage.name, self.unit.name)
        kept = f" (in {path})" if path.is_file() else ""
        return f"{self.unit.name}: {error.about(self.work.class_names)}{kept}"


def _key(stage: Stage, unit: Unit, work: Workspace, inputs: dict[str, str]) -> str:
    """Hash of all that a unit's result depends on."""
    settings = {name: value for name, value in dotted(work.config).items() if concerns(stage, name)}
    return digest([stage.name, unit.name, unit.covers, settings, inputs, work.source.fingerprint])
