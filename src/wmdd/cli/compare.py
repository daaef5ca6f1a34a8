"""``wmdd compare``."""

import argparse
from pathlib import Path

from wmdd.cli.arguments import Parser, add_sets, add_settings, given_sets, given_settings, words
from wmdd.comparison.asked import OWN
from wmdd.comparison.methods import METHODS
from wmdd.config import PROTOCOLS
from wmdd.config.load import settings
from wmdd.config.presets import OF_A_METHOD

_EPILOG = """\
examples:
  wmdd compare runs/who --data ~/birds --ipc 1,10 --methods herding,rded,wmdd
  wmdd compare runs/who --methods mine.yaml       adds a method; what is there already stays

All methods share teacher, statistics, split, views and protocol. A method is a preset, or a YAML file of barycenters
and synthesis settings, and is named after it. Random real images always take part, as the baseline of all others.
"""


def add_arguments(parser: Parser, command: str) -> None:
    """What is compared, and all settings that the methods share."""
    parser.usage = "wmdd compare FOLDER [--data FOLDER] [--methods NAME,...] [--ipc N,...] [--seeds N] [settings]"
    parser.epilog = _EPILOG
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder of the comparison")
    group = parser.add_argument_group("what is compared")
    group.add_argument(
        "--methods", metavar="NAME,...", help=f"presets, or paths to YAML files (default {', '.join(METHODS)})"
    )
    add_sets(group, ipc="10", seeds="3")
    sections = ("", "data", "teacher", "barycenters", "synthesis", "evaluation", "runtime")
    defaults = {"evaluation.protocols": ", ".join(PROTOCOLS)} | {
        setting.name: "the method's" for setting in settings() if setting.name.partition(".")[0] in OF_A_METHOD
    }
    add_settings(parser, sections=sections, without=OWN, defaults=defaults)


def execute(arguments: argparse.Namespace) -> None:
    """Make and score what is missing, and print the table."""
    values = given_settings(arguments, shared=True)
    methods = None if arguments.methods is None else words("--methods", arguments.methods)
    ipc, seeds = given_sets(arguments)

    from wmdd.cli.comparison import print_comparison
    from wmdd.comparison.asked import asked_for
    from wmdd.runtime.progress import Reporter

    comparison = asked_for(arguments.folder, values, methods, ipc, seeds)

    from wmdd.comparison.compare import run_comparison

    with Reporter(quiet=arguments.quiet) as reporter:
        run_comparison(arguments.folder, comparison, reporter)
    print_comparison(arguments.folder)
