"""Making and scoring every set of a comparison; what is there already is not made again.

Any number of processes may do one comparison: whoever is free takes the next set that no other is at.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from wmdd.comparison.file import TEACHER, read_comparison, write_comparison
from wmdd.comparison.settings import Comparison, Member
from wmdd.comparison.table import write_table
from wmdd.config import RunConfig
from wmdd.config.load import merge
from wmdd.core.errors import RunError, WmddError, is_out_of_memory
from wmdd.data import ImageSource, open_source
from wmdd.pipeline.opening import open_run
from wmdd.pipeline.resolve import resolve
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.pipeline.runner import SECONDS_BETWEEN_LOOKS, missing_units, run_stages
from wmdd.pipeline.stages import ALL_STAGES
from wmdd.pipeline.stages.synthesis import SynthesisStage
from wmdd.pipeline.workspace import Workspace
from wmdd.runtime.progress import Reporter
from wmdd.storage.locks import CLAIM_SUFFIX, Claim, claim, patiently

SHARED = ("teacher", "statistics")
"""The stages that are done once; all sets take them over."""


def run_comparison(folder: Path, comparison: Comparison, reporter: Reporter) -> None:
    """Do what is missing of ``comparison`` in ``folder``.

    Table and page are written anew after every set that is made, so that there is something to look at early. A set
    that cannot be made does not keep the others from being made.

    Raises:
        WmddError: the settings do not suit the data or the machine, or something in the folder is damaged; or, when all
            others are done, some sets could not be made.
    """
    source, members = open_source(comparison.shared.data), list(comparison.members())
    comparison = _in_one_precision(comparison, RunDirectory(folder / TEACHER), source)
    for member in members:  # what cannot be is refused before anything is made
        resolve(comparison.config_of(member), source)
    shared = open_run(RunDirectory(folder / TEACHER), comparison.shared, reporter)
    with _gathering(folder):
        write_comparison(folder, _with_what_is_there(folder, comparison))
    run_stages(shared, SHARED)
    failed, current = list[str](), False
    for number, member in _in_turn(shared.run, folder, members, reporter):
        reporter.say(f"[{number}/{len(members)}] {member.method}, IPC {member.ipc}, seed {member.seed}")
        current = False
        try:
            made = _make(RunDirectory(folder / member.folder), comparison.config_of(member), shared, reporter)
        except Exception as error:
            why = _why(error)
            if why is None or not shared.run.exists:  # a bug, or all has vanished
                raise
            reporter.say(f"{member.folder}: {why}")
            failed.append(f"{member.folder} ({why})")
        else:
            current = made and _could_show(folder, comparison, reporter)
    if not current:
        _show(folder, comparison)
    if failed:
        raise RunError(
            f"{len(failed)} of {len(members)} sets in {folder} could not be made, the others are done: "
            f"{'; '.join(failed)}. To make one anew, remove its folder, and the same command goes on."
        )


def _why(error: Exception) -> str | None:
    """Why a set could not be made, without the final stop; None for a bug."""
    if isinstance(error, WmddError):
        return str(error).rstrip(".")
    return "there was not enough memory for it" if is_out_of_memory(error) else None


def _in_turn(
    shared: RunDirectory, folder: Path, members: Sequence[Member], reporter: Reporter
) -> Iterator[tuple[int, Member]]:
    """Each member and its number, held while it is made: one that another process is at comes when that has done."""
    left, said = dict(enumerate(members, start=1)), False
    while left:
        before = len(left)
        for number, member in tuple(left.items()):
            shared.refuse_vanished()  # or what is claimed would begin in an empty folder
            held = claim(folder / f".{member.folder.replace('/', '--')}{CLAIM_SUFFIX}")
            if held is not None:
                with held:
                    yield number, left.pop(number)
        if len(left) == before:
            if not said:
                reporter.say(f"waiting for {len(left)} set(s) that other processes make")
                said = True
            time.sleep(SECONDS_BETWEEN_LOOKS)


def _gathering(folder: Path) -> Claim:
    """Hold what is gathered of all sets, as soon as no other process does."""
    return patiently(lambda: claim(folder / f".gathered{CLAIM_SUFFIX}"))


def _could_show(folder: Path, comparison: Comparison, reporter: Reporter) -> bool:
    """Show what there is; a damaged set keeps that from being shown until its turn comes, which makes it anew."""
    try:
        _show(folder, comparison)
    except WmddError as error:
        reporter.say(f"the table waits for a set that is damaged: {error}")
        return False
    return True


def _show(folder: Path, comparison: Comparison) -> None:
    from wmdd.report import write_comparison_page  # matplotlib, for which the import of wmdd need not wait

    with _gathering(folder):
        write_table(folder, _with_what_is_there(folder, comparison))
        write_comparison_page(folder)


def _with_what_is_there(folder: Path, comparison: Comparison) -> Comparison:
    """``comparison`` and what other processes have added to it meanwhile."""
    there = read_comparison(folder)
    return there.with_all_of(comparison, folder) if there else comparison


def _in_one_precision(comparison: Comparison, teacher: RunDirectory, source: ImageSource) -> Comparison:
    """``comparison`` in the precision that its teacher was begun in, whatever would be usual here."""
    config = teacher.config() if teacher.exists else resolve(comparison.shared, source)
    return replace(
        comparison, settings=merge(comparison.settings, {"runtime": {"precision": config.runtime.precision}})
    )


def _make(run: RunDirectory, config: RunConfig, shared: Workspace, reporter: Reporter) -> bool:
    """Make what is missing of a set and its students; returns whether anything was."""
    work = open_run(run, config, reporter)
    for stage in SHARED:
        run.take_over(stage, shared.run)
        if run.stage_digest(stage) != shared.run.stage_digest(stage):
            raise RunError(
                f"{run.path} has another {stage} than {shared.run.path}: remove {run.path}, and it is made again."
            )
    work.lender = shared
    if missing_units(SynthesisStage(), work):
        _ = shared.train, shared.teacher  # read now, or the seconds of this set would hold those of reading them
    unfinished = any(missing_units(stage, work) for stage in ALL_STAGES)
    run_stages(work)
    return unfinished
