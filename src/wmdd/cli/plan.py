"""``wmdd plan``."""

import argparse
import json
from typing import TYPE_CHECKING

from wmdd.cli.arguments import Parser, add_settings, given_settings, number
from wmdd.core.errors import SettingsError
from wmdd.core.quantities import duration, size

if TYPE_CHECKING:
    from wmdd.pipeline.plan.plan import Plan

_EPILOG = """\
examples:
  wmdd plan                                            what distilling the embedded digits takes
  wmdd plan --data ~/birds --ipc 10 --json > plan.json
  wmdd plan --config runs/birds/config.yaml            of a run, as it was begun
  wmdd plan preset:imagenet1k-ipc50 --gpus 8           of a dataset that is not here, with eight GPUs like this one
"""
_PRESET = "preset:"


def add_arguments(parser: Parser, command: str) -> None:
    """The settings of a run, but for nothing that says how its work is divided."""
    parser.usage = "wmdd plan [preset:NAME] [--data FOLDER] [--ipc N] [settings] [--gpus N] [--json]"
    parser.epilog = _EPILOG
    parser.add_argument(
        "of",
        nargs="?",
        metavar="preset:NAME",
        help="like --preset, but measured on noise of that shape: the dataset need not be here",
    )
    parser.add_argument("--gpus", metavar="N", help="also say what it takes with N GPUs, or processes, like this one")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    add_settings(parser, sections=("", "data", "teacher", "barycenters", "synthesis", "evaluation", "runtime"))


def execute(arguments: argparse.Namespace) -> None:
    """Measure a few steps of every stage, print what all of them take; nothing is written."""
    workers = None if arguments.gpus is None else number("--gpus", arguments.gpus)
    if arguments.of is not None:
        arguments.preset = _preset(arguments.of, arguments.preset)
    values = given_settings(arguments)

    from wmdd.api import plan
    from wmdd.config.load import parse
    from wmdd.runtime.progress import Reporter

    with Reporter(quiet=arguments.quiet) as reporter:
        found = plan(parse(values), reporter, workers=workers, imagined=arguments.of is not None)
    if arguments.json:
        print(json.dumps(found.values(), indent=2, ensure_ascii=False))
    else:
        print_plan(found)


def _preset(word: str, flag: str | None) -> str:
    """The preset that ``preset:NAME`` means.

    Raises:
        SettingsError: it is another word, or there is a flag for the same.
    """
    if not word.startswith(_PRESET):
        raise SettingsError(f"{word!r} is nothing to plan: give preset:NAME, or settings as flags.")
    if flag is not None:
        raise SettingsError(f"{word} and --preset {flag} both name presets: give one, with commas between several.")
    return word.removeprefix(_PRESET)


def print_plan(plan: "Plan") -> None:
    """A line for each stage, and their sum."""
    from wmdd.runtime.progress import print_table

    columns = ["", "units", "peak memory", "disk", "TFLOP", "time"]
    rows = [
        [s.stage, str(s.units), _size(s.peak_mb), _size(s.disk_mb), f"{s.flops / 1e12:.3g}", duration(s.seconds)]
        for s in (*plan.stages, plan.total)
    ]
    print_table(f"What a run takes on {plan.machine}", columns, rows)
    group = plan.config.synthesis.group_size
    print(f"synthesis.group_size {group}; memory is that of the {plan.memory_of}, operations are those of the networks")
    if plan.workers is not None:
        _print_shared(plan, plan.workers)


def _print_shared(plan: "Plan", workers: int) -> None:
    from wmdd.runtime.progress import print_table

    columns = ["", "at a unit", "time of 1", f"time of {workers}", "folders", "gradients of each"]
    rows = [
        [s.stage, str(s.team), duration(one.seconds), duration(s.seconds), _size(s.folder_mb), _size(s.gradients_mb)]
        for one, s in zip((*plan.stages, plan.total), (*plan.shared, plan.shared_total), strict=True)
    ]
    print_table(f"The same with {workers} of them", columns, rows)
    print(
        f"times are those of {workers} such {'machines' if plan.memory_of == 'process' else 'GPUs'}, each as fast as "
        "the one measured here, with 10 Gbit/s between them; another kind has to be measured where it is"
    )


def _size(mb: float) -> str:
    return size(mb * 1e6)
