"""Doing a run: stages in order, units that are done are skipped, everything is recorded as soon as it is finished."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from wmdd.config import RunConfig
from wmdd.config.load import dotted
from wmdd.core.errors import RunError, SettingsError
from wmdd.core.hashing import digest, digest_file
from wmdd.core.records import STAGES, UnitRecord
from wmdd.data import ImageSource, open_source
from wmdd.pipeline.group_size import fit_group
from wmdd.pipeline.lowered import as_begun
from wmdd.pipeline.resolve import resolve, try_out
from wmdd.pipeline.results import write_results
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.pipeline.stage import Stage
from wmdd.pipeline.stages import ALL_STAGES
from wmdd.pipeline.units import Shard, Unit
from wmdd.pipeline.workspace import Workspace, unit_context
from wmdd.runtime.allocator import give_back
from wmdd.runtime.progress import Reporter
from wmdd.runtime.usage import machine_name, measured, versions


def open_run(run: RunDirectory, config: RunConfig, reporter: Reporter, redo: str | None = None) -> Workspace:
    """Begin a run with ``config``, or go on with one whose finished stages were made with the same settings.

    ``redo`` names a stage to discard first, with everything after it.

    Raises:
        RunError: the folder holds something else, another data set, or stages made with other settings.
        SettingsError: the settings do not suit the data or the machine.
    """
    began = run.exists
    if redo is not None and redo not in STAGES:
        raise SettingsError(f"--redo is {redo!r}, but should be a stage: {', '.join(STAGES)}.")
    source = open_source(config.data)
    asked = as_begun(run, config) if began and not _remakes("synthesis", redo) else config
    config = resolve(asked, source)
    if not began:
        _refuse_own_data(run, config, source)
    if not began or redo is not None or run.config() != config:
        made = began and bool(run.records("teacher")) and not _remakes("teacher", redo)
        config = ready(asked, config, source, teacher_made=made)
    if began:
        _refuse_changes(run, run.config(), config, before=redo)
        _refuse_other_data(run, source)
        if redo is not None:
            reporter.say(f"discarding {', '.join(run.discard(redo))}")
    if not began or run.config() != config:
        run.write_config(config)
    if not run.data():
        run.write_manifest(_describe(source))
    work = Workspace(run, config, reporter)
    work.__dict__["source"] = source  # already open: fill the cached property
    return work


def ready(asked: RunConfig, resolved: RunConfig, source: ImageSource, *, teacher_made: bool = False) -> RunConfig:
    """Try resolved settings out, and make a group size that was ``asked`` to be automatic fit into memory.

    Raises:
        WmddError: as of :func:`~wmdd.pipeline.resolve.try_out`.
    """
    try_out(resolved, source, teacher_made=teacher_made)
    return fit_group(resolved, source) if asked.synthesis.group_size == "auto" else resolved


def _remakes(stage: str, redo: str | None) -> bool:
    return redo is not None and STAGES.index(redo) <= STAGES.index(stage)


def _refuse_own_data(run: RunDirectory, config: RunConfig, source: ImageSource) -> None:
    """Refuse a folder for the run that would count as one of the data's own folders."""
    root, place = Path(config.data.source), run.path.resolve()
    if not config.data.is_path or not place.is_relative_to(root):
        return
    splits = {name.partition("/")[0] for split in (source.train, source.validation) for name in split.names}
    if splits == set(source.class_names) or place.relative_to(root).parts[0] in splits:
        raise RunError(f"{run.path} lies among the images of {root}: name a folder outside them for the run.")


def _describe(source: ImageSource) -> dict[str, Any]:
    return {
        "source": source.name,
        "fingerprint": source.fingerprint,
        "classes": {name: index for index, name in enumerate(source.class_names)},
        "train": len(source.train.labels),
        "validation": len(source.validation.labels),
    }


def _refuse_other_data(run: RunDirectory, source: ImageSource) -> None:
    known = run.data().get("fingerprint", source.fingerprint)
    if known != source.fingerprint:
        raise RunError(
            f"{run.path} was begun with other images, or another split, than {source.name} gives now: "
            f"use a new folder for the run, or bring the first ones back."
        )


def _refuse_changes(run: RunDirectory, old: RunConfig, new: RunConfig, before: str | None = None) -> None:
    """Refuse settings that finished stages (those earlier than ``before``) were not made with."""
    was, now = dotted(old), dotted(new)
    # A setting that is "auto" in a run is younger than the run, which knew no other value than the one it resolves to.
    changed = [name for name in now if now[name] != was.get(name) and was.get(name) != "auto"]
    for stage in ALL_STAGES:
        if stage.name == before:
            return
        mine = [name for name in changed if _concerns(stage, name)]
        if mine and run.records(stage.name):
            name = mine[0]
            raise RunError(
                f"{name} was {was.get(name)!r} when {stage.name} was made in {run.path} and is {now[name]!r} now: "
                f"use a new folder, or add `--redo {stage.name}` to make it and all that follows again."
            )


def _concerns(stage: Stage, name: str) -> bool:
    return any(name == setting or name.startswith(f"{setting}.") for setting in stage.settings)


def run_stages(work: Workspace, names: Sequence[str] = STAGES, shard: Shard | None = None) -> None:
    """Do what is missing of the named stages, in order.

    Raises:
        RunError: an earlier stage is unfinished, or a finished unit is damaged or was made from other inputs.
    """
    shard = shard or Shard()
    for stage in ALL_STAGES:
        if stage.name in names:
            for needed in stage.needs:
                _require_finished(_stage(needed), stage, work)
            if _run_within_memory(stage, work, shard):
                _gather(work, stage.name == "teacher")
    _gather(work, not {"teacher", "evaluation"}.isdisjoint(names))


def _gather(work: Workspace, results: bool) -> None:
    work.run.write_manifest(work.run.data())
    if results:
        write_results(work.run)


def _stage(name: str) -> Stage:
    (stage,) = [stage for stage in ALL_STAGES if stage.name == name]
    return stage


def missing_units(stage: Stage, work: Workspace) -> list[Unit]:
    """The units of ``stage`` that are not done."""
    done = work.run.records(stage.name)
    return [unit for unit in stage.units(work) if unit.name not in done]


def _require_finished(stage: Stage, wanted_by: Stage, work: Workspace) -> None:
    if missing := missing_units(stage, work):
        raise RunError(
            f"{wanted_by.name} needs {stage.name}, of which {len(missing)} unit(s) are missing in {work.run.path} "
            f"(first {missing[0].name!r}): run `wmdd {_VERBS[stage.name]} {work.run.path}`, or the other shards, first."
        )


_VERBS = {"synthesis": "synthesize", "evaluation": "evaluate"} | {
    name: name for name in STAGES if name not in ("synthesis", "evaluation")
}


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
    """Do this shard's missing units and check the others; returns how many were missing."""
    units = stage.units(work)
    done = work.run.records(stage.name)
    inputs = {name: work.run.stage_digest(name) for name in stage.needs}
    fresh = 0
    give_back()  # or the memory of the stage before would count as this one's
    for unit in shard.share(units):
        key = _key(stage, unit, work, inputs)
        if (record := done.get(unit.name)) is None:
            _make(stage, unit, work, key, f"{stage.name} {unit.name}" if len(units) > 1 else stage.name)
            fresh += 1
            continue
        if record.covers != unit.covers:
            raise RunError(
                f"the record of {stage.name} {unit.name!r} in {work.run.path} is damaged: "
                f"`wmdd run {work.run.path} --redo {stage.name}` makes it again."
            )
        if record.key != key:
            raise RunError(
                f"{stage.name} {unit.name!r} in {work.run.path} was made from other inputs or settings: "
                f"add `--redo {stage.name}` to make it again."
            )
        work.run.verify(stage.name, record)
    mine = len(shard.share(units))
    if units:
        work.reporter.say(f"{stage.name}: {fresh} of {mine} unit(s) made, {mine - fresh} there already")
    return fresh


_BEFORE = {
    "data.channels": 3,
    "synthesis.feature": 1.0,
    "synthesis.statistics_of": "class",
    "synthesis.min_crop_start": None,
    "teacher.pretrained": False,
}
"""Settings that came later, and what held before: a unit made without them is still the one that is wanted."""


def _key(stage: Stage, unit: Unit, work: Workspace, inputs: dict[str, str]) -> str:
    """Hash of all that a unit's result depends on."""
    known = {**_BEFORE, "synthesis.seed": work.config.seed}
    settings = {
        name: value
        for name, value in dotted(work.config).items()
        if _concerns(stage, name) and not (name in known and known[name] == value)
    }
    return digest([stage.name, unit.name, unit.covers, settings, inputs, work.source.fingerprint])


def _make(stage: Stage, unit: Unit, work: Workspace, key: str, title: str) -> None:
    threads = work.config.runtime.threads
    assert isinstance(threads, int), "settings are resolved before work begins"
    with unit_context(work, stage.name, unit.name, title, key) as context, measured(work.machine.device) as usage:
        paths = stage.make(unit, work, context)
    files = {path.relative_to(work.run.path).as_posix(): digest_file(path) for path in paths}
    work.run.record(
        stage.name,
        UnitRecord(
            name=unit.name,
            key=key,
            covers=unit.covers,
            files=files,
            seconds=usage.seconds,
            peak_mb=usage.peak_mb,
            machine=machine_name(work.machine.device, threads),
            versions=versions(),
        ),
    )
    context.savepoint.clear()
