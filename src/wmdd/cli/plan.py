"""``wmdd plan``."""

import argparse
import json
from typing import TYPE_CHECKING

from wmdd.cli.arguments import Parser, add_settings, given_settings

if TYPE_CHECKING:
    from wmdd.pipeline.plan.plan import Plan

_EPILOG = """\
examples:
  wmdd plan                                            what distilling the embedded digits takes
  wmdd plan --data ~/birds --ipc 10 --json > plan.json
  wmdd plan --config runs/birds/config.yaml            of a run, as it was begun
"""
_SIXTY = 60


def add_arguments(parser: Parser, verb: str) -> None:
    """The settings of a run, but for nothing that says how its work is divided."""
    parser.usage = "wmdd plan [--data FOLDER] [--ipc N] [settings] [--json]"
    parser.epilog = _EPILOG
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    add_settings(parser, sections=("", "data", "teacher", "barycenters", "synthesis", "evaluation", "runtime"))


def execute(arguments: argparse.Namespace) -> None:
    """Measure a few steps of every stage, print what all of them take; nothing is written."""
    values = given_settings(arguments)

    from wmdd.api import plan
    from wmdd.config.load import parse
    from wmdd.runtime.progress import Reporter

    with Reporter(quiet=arguments.quiet) as reporter:
        found = plan(parse(values), reporter)
    if arguments.json:
        print(json.dumps(found.values(), indent=2, ensure_ascii=False))
    else:
        print_plan(found)


def print_plan(plan: "Plan") -> None:
    """A line for each stage, and their sum."""
    from wmdd.runtime.progress import print_table

    columns = ["", "units", "peak memory", "disk", "TFLOP", "time"]
    rows = [
        [s.stage, str(s.units), _size(s.peak_mb), _size(s.disk_mb), f"{s.flops / 1e12:.3g}", _duration(s.seconds)]
        for s in (*plan.stages, plan.total)
    ]
    print_table(f"What a run takes on {plan.machine}", columns, rows)
    group = plan.config.synthesis.group_size
    print(f"synthesis.group_size {group}; memory is that of the {plan.memory_of}, operations are those of the networks")


def _size(mb: float) -> str:
    return f"{mb / 1000:.1f} GB" if mb >= 1000 else f"{mb:.3g} MB"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(seconds, _SIXTY)
    hours, minutes = divmod(int(minutes), _SIXTY)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02.0f} s" if minutes else f"{seconds:.1f} s"
