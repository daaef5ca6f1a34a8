"""Beginning a run, or going on with one: its settings and its data have to be those that it was begun with."""

import multiprocessing
from pathlib import Path
from typing import Any

from wmdd.config import RunConfig
from wmdd.config.load import dotted, nested, parse
from wmdd.core.errors import RunError, SettingsError
from wmdd.core.records import STAGES
from wmdd.data import ImageSource, open_source
from wmdd.pipeline.group_size import fit_group
from wmdd.pipeline.lowered import as_begun
from wmdd.pipeline.resolve import resolve, try_out
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.pipeline.stage import Stage
from wmdd.pipeline.stages import ALL_STAGES
from wmdd.pipeline.workspace import Workspace
from wmdd.runtime.progress import Reporter


def open_run(run: RunDirectory, config: RunConfig, reporter: Reporter, redo: str | None = None) -> Workspace:
    """Begin a run with ``config``, or go on with one whose finished stages were made with the same settings.

    ``redo`` names a stage to discard first, with everything after it.

    Raises:
        RunError: the folder holds something else, another dataset, or stages made with other settings, or this is a
            worker process that imports the program that is at work already.
        SettingsError: the settings do not suit the data or the machine.
    """
    _refuse_import_by_a_worker()
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
    if not began and not run.begin(config):
        # Another process was first, perhaps on another machine: its settings hold, if they are what we want.
        return open_run(run, _with_automatic_of(asked, run.config()), reporter)
    if began and (old := run.config()) != config:
        if any(concerns(stage, name) for stage in ALL_STAGES for name in _changed(old, config)):
            run.refuse_busy(f"stop it, or use a new folder for other settings than {run.path} has")
        run.write_config(config)
    if _known_data(run, reporter) != _describe(source):
        run.write_manifest(_describe(source))
    work = Workspace(run, config, reporter)
    work.__dict__["source"] = source  # already open: fill the cached property
    return work


def _refuse_import_by_a_worker() -> None:
    """Where processes are not forked, a loader's workers import the main program, and would begin its runs again."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise RunError(
            "a worker process imports the program that called wmdd, and so came to the same call: "
            'put that call under `if __name__ == "__main__":`.'
        )


def ready(asked: RunConfig, resolved: RunConfig, source: ImageSource, *, teacher_made: bool = False) -> RunConfig:
    """Try resolved settings out, and make a group size that was ``asked`` to be automatic fit into memory.

    Raises:
        WmddError: as of :func:`~wmdd.pipeline.resolve.try_out`.
    """
    try_out(resolved, source, teacher_made=teacher_made)
    return fit_group(resolved, source) if asked.synthesis.group_size == "auto" else resolved


def _with_automatic_of(asked: RunConfig, begun: RunConfig) -> RunConfig:
    """``asked``, with what came of every automatic setting in ``begun``."""
    there = dotted(begun)
    return parse(nested({name: there[name] if value == "auto" else value for name, value in dotted(asked).items()}))


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


def _known_data(run: RunDirectory, reporter: Reporter | None = None) -> dict[str, Any]:
    """What the run says of its data; nothing where that is damaged, as what is made says by its keys what it is of."""
    try:
        return run.data()
    except RunError as error:
        if reporter is not None:
            reporter.say(f"{error}; gathered again")
        return {}


def _refuse_other_data(run: RunDirectory, source: ImageSource) -> None:
    known = _known_data(run).get("fingerprint", source.fingerprint)
    if known != source.fingerprint:
        raise RunError(
            f"{run.path} was begun with other images, or another split, than {source.name} gives now: "
            f"use a new folder for the run, or bring the first ones back."
        )


def _refuse_changes(run: RunDirectory, old: RunConfig, new: RunConfig, before: str | None = None) -> None:
    """Refuse settings that finished stages (those earlier than ``before``) were not made with."""
    was, now, changed = dotted(old), dotted(new), _changed(old, new)
    for stage in ALL_STAGES:
        if stage.name == before:
            return
        mine = [name for name in changed if concerns(stage, name)]
        if mine and run.records(stage.name):
            name = mine[0]
            raise RunError(
                f"{name} was {was.get(name)!r} when {stage.name} was made in {run.path} and is {now[name]!r} now: "
                f"use a new folder, or add `--redo {stage.name}` to make it and all that follows again."
            )


def _changed(old: RunConfig, new: RunConfig) -> list[str]:
    """The dotted names of what differs."""
    was, now = dotted(old), dotted(new)
    return [name for name in now if now[name] != was.get(name)]


def concerns(stage: Stage, name: str) -> bool:
    """Whether the results of ``stage`` depend on the setting of that dotted name."""
    return any(name == setting or name.startswith(f"{setting}.") for setting in stage.settings)
