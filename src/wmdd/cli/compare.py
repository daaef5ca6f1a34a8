"""``wmdd compare``."""

import argparse
from pathlib import Path

from wmdd.cli.arguments import Parser, add_settings, given_settings
from wmdd.comparison.settings import METHODS, OWN
from wmdd.core.errors import SettingsError

_EPILOG = """\
examples:
  wmdd compare runs/who --data ~/birds --ipc 1,10 --methods herding,rded,wmdd
  wmdd compare runs/who --methods mine.yaml       one method more; what is there already stays

All methods share teacher, statistics, split, views and protocol. A method is a preset, or a YAML file of settings of
barycenters and synthesis, and is named after it. Random real images always take part: the others are held against them.
"""


def add_arguments(parser: Parser, verb: str) -> None:
    """What is compared, and all settings that the methods share."""
    parser.usage = "wmdd compare FOLDER [--data FOLDER] [--methods NAME,...] [--ipc N,...] [--seeds N] [settings]"
    parser.epilog = _EPILOG
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder of the comparison")
    group = parser.add_argument_group("what is compared")
    group.add_argument(
        "--methods", metavar="NAME,...", help=f"presets, or paths to YAML files (default {','.join(METHODS)})"
    )
    group.add_argument("--ipc", dest="ipcs", metavar="N,...", help="images per class (default 10)")
    group.add_argument(
        "--seeds", dest="draws", metavar="N", help="sets of each method, and a student of each (default 3)"
    )
    sections = ("", "data", "teacher", "barycenters", "synthesis", "evaluation", "runtime")
    add_settings(parser, sections=sections, without=OWN)


def execute(arguments: argparse.Namespace) -> None:
    """Make and score what is missing, and print the table."""
    values = given_settings(arguments)
    methods = None if arguments.methods is None else _words("--methods", arguments.methods)
    ipc = None if arguments.ipcs is None else [_number("--ipc", word) for word in _words("--ipc", arguments.ipcs)]
    seeds = None if arguments.draws is None else _number("--seeds", arguments.draws)

    from wmdd.cli.comparison import print_comparison
    from wmdd.comparison.settings import asked_for
    from wmdd.runtime.progress import Reporter

    comparison = asked_for(arguments.folder, values, methods, ipc, seeds)

    from wmdd.comparison.compare import run_comparison

    with Reporter(quiet=arguments.quiet) as reporter:
        run_comparison(arguments.folder, comparison, reporter)
    print_comparison(arguments.folder)


def _words(flag: str, text: str) -> list[str]:
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise SettingsError(f"{flag} is {text!r}, but should be words with commas between them.")
    return words


def _number(flag: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text[:9]) > 0 and len(text) < 10):
        raise SettingsError(f"{flag} has {text!r}, but should have whole numbers of at least 1.")
    return int(text)
