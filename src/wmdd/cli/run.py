"""``wmdd run``."""

import argparse

from wmdd.cli.arguments import Parser, add_run, add_settings, add_work, given_settings
from wmdd.config.data import default_folder

_EPILOG = """\
examples:
  wmdd run                                        the embedded digits into runs/digits
  wmdd run runs/birds --data ~/birds --ipc 10
  wmdd run runs/paper --data ~/imagenette --preset wmdd-paper
"""


def add_arguments(parser: Parser, command: str) -> None:
    """All settings."""
    parser.usage = "wmdd run [RUN] [--data FOLDER] [--ipc N] [settings]"
    parser.epilog = _EPILOG
    add_run(parser, optional=True)
    add_work(parser)
    add_settings(parser, sections=("", "data", "teacher", "barycenters", "synthesis", "evaluation", "runtime"))


def execute(arguments: argparse.Namespace) -> None:
    """Do all stages, print the scores and where the page is."""
    values = given_settings(arguments)
    path = arguments.run or default_folder(str(values.get("data", {}).get("source", "digits")))

    from wmdd.api import begin, complete
    from wmdd.cli.scores import print_scores
    from wmdd.pipeline.units import Shard
    from wmdd.runtime.crew import crew_at_work
    from wmdd.runtime.progress import Reporter

    shard = Shard.parse(arguments.shard)
    with crew_at_work() as crew, Reporter(quiet=arguments.quiet or not crew.leads) as reporter:
        shard.refuse_crew(crew.size)
        work = begin(path, values, reporter, arguments.redo)
        complete(work, shard)
    if crew.leads:
        print_scores(work.run)
        print(f"page: {path / 'report' / 'index.html'}")
