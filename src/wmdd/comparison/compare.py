"""Making and scoring every set of a comparison; what is there already is not made again."""

from pathlib import Path

from wmdd.comparison.settings import Comparison, Member, write_comparison
from wmdd.comparison.table import write_table
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.pipeline.runner import open_run, run_stages
from wmdd.pipeline.workspace import Workspace
from wmdd.report import write_comparison_page
from wmdd.runtime.progress import Reporter

SHARED = ("teacher", "statistics")
"""The stages that are done once; all sets take them over."""


def run_comparison(folder: Path, comparison: Comparison, reporter: Reporter) -> None:
    """Do what is missing of ``comparison`` in ``folder``.

    Table and page are written anew after every set, so that there is something to look at early.

    Raises:
        WmddError: the settings do not suit the data or the machine, or something in the folder is damaged.
    """
    shared = open_run(RunDirectory(folder / "teacher"), comparison.shared, reporter)
    write_comparison(folder, comparison)
    run_stages(shared, SHARED)
    members = list(comparison.members())
    for number, member in enumerate(members, start=1):
        reporter.say(f"[{number}/{len(members)}] {member.method}, IPC {member.ipc}, seed {member.seed}")
        _make(folder, comparison, member, shared, reporter)
        write_table(folder, comparison)
        write_comparison_page(folder)


def _make(folder: Path, comparison: Comparison, member: Member, shared: Workspace, reporter: Reporter) -> None:
    run = RunDirectory(folder / member.folder)
    work = open_run(run, comparison.config_of(member), reporter)
    for stage in SHARED:
        run.take_over(stage, shared.run)
    work.lender = shared
    run_stages(work)
