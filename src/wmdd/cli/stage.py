"""The commands of single stages."""

import argparse

from wmdd.cli.arguments import Parser, add_run, add_settings, add_work, given_settings
from wmdd.core.errors import SettingsError

_STAGES = {"synthesize": "synthesis", "evaluate": "evaluation"}
_MAKES = {"evaluate": ("relabel", "evaluation")}
_SECTIONS = {
    "teacher": ("", "data", "teacher", "runtime"),
    "statistics": ("runtime",),
    "barycenters": ("", "barycenters", "runtime"),
    "synthesize": ("synthesis", "runtime"),
    "relabel": ("evaluation", "runtime"),
    "evaluate": ("evaluation", "runtime"),
}


def add_arguments(parser: Parser, command: str) -> None:
    """The settings that the stage depends on."""
    parser.usage = f"wmdd {command} RUN [settings]"
    add_run(parser)
    add_work(parser)
    add_settings(parser, sections=_SECTIONS[command])


def execute(arguments: argparse.Namespace) -> None:
    """Do one stage; evaluation makes the labels it needs first."""
    values = given_settings(arguments)

    from wmdd.api import begin
    from wmdd.cli.barycenters import print_barycenters
    from wmdd.cli.scores import print_scores, print_teacher
    from wmdd.pipeline.run_directory import RunDirectory
    from wmdd.pipeline.runner import run_stages
    from wmdd.pipeline.units import Shard
    from wmdd.runtime.crew import crew_at_work
    from wmdd.runtime.progress import Reporter

    stage = _STAGES.get(arguments.command, arguments.command)
    makes = _MAKES.get(arguments.command, (stage,))
    if arguments.redo is not None and arguments.redo not in makes:
        raise SettingsError(
            f"--redo is {arguments.redo!r}, but `wmdd {arguments.command}` makes only {' and '.join(makes)}: "
            f"use `wmdd run {arguments.run} --redo STAGE`."
        )
    if stage != "teacher":
        RunDirectory(arguments.run).config()  # only the first stage may begin a run
    shard = Shard.parse(arguments.shard)
    with crew_at_work() as crew, Reporter(quiet=arguments.quiet or not crew.leads) as reporter:
        shard.refuse_crew(crew.size)
        work = begin(arguments.run, values, reporter, arguments.redo)
        run_stages(work, makes, shard)
    if not crew.leads:
        return
    if stage == "teacher":
        print_teacher(work.run)
    elif stage == "barycenters":
        print_barycenters(work.run)
    elif stage == "evaluation":
        print_scores(work.run)
