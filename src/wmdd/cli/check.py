"""``wmdd check``."""

import argparse
from dataclasses import replace

from wmdd.cli.arguments import Parser, add_settings, given_settings
from wmdd.core.errors import DataError

_SHOWN = 3
_EPILOG = """\
A fault (an image that cannot be read, that 8-bit RGB cannot hold, that is in two classes, or to train on and to score
on) ends in exit code 2; what is only doubtful does not. Images are the same if their pixels are, whatever their files.
"""


def add_arguments(parser: Parser, command: str) -> None:
    """The data, and how it is split."""
    parser.usage = "wmdd check DATA [settings]"
    parser.epilog = _EPILOG
    parser.add_argument("data", metavar="DATA", help="what --data takes: a folder, an archive, a table, ...")
    parser.add_argument("--all", action="store_true", help=f"name every place, not the first {_SHOWN}")
    add_settings(parser, sections=("data",), without=("data.source", "data.image_size", "data.flip"))


def execute(arguments: argparse.Namespace) -> None:
    """Read everything once, and say what is there and what is wrong with it."""
    from wmdd.config.load import merge, parse
    from wmdd.data import check_source, open_source
    from wmdd.runtime.progress import Reporter

    config = parse(merge(given_settings(arguments), {"data": {"source": arguments.data}})).data
    with Reporter(quiet=arguments.quiet) as reporter:
        source = open_source(replace(config, convert=False))  # what is converted is to be found, too
        with reporter.task("reading all images") as task:
            checked = check_source(source, config.workers, task.update, converts=config.convert)
    print(
        f"{source.name}: {len(source.class_names)} classes, {len(source.train)} images to train on, "
        f"{len(source.validation)} to score on"
    )
    if checked.sides:
        smallest, middle, largest = checked.sides
        print(f"shorter sides {smallest} to {largest} px, median {middle}; {checked.grey} images are grey")
    for finding in checked.findings:
        print(f"{finding.kind} ({len(finding.places):,}): {finding.what}")
        shown = finding.places if arguments.all else finding.places[:_SHOWN]
        for place in shown:
            print(f"    {place}")
        if len(shown) < len(finding.places):
            print("    ... (--all names them)")
    faults = sum(len(finding.places) for finding in checked.findings if finding.kind == "fault")
    if faults:
        raise DataError(f"{arguments.data} has {faults} fault(s): fix what is named above")
    print("nothing is wrong with it" if not checked.findings else "no faults")
