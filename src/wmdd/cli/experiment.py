"""``wmdd experiment``."""

import argparse
from importlib import import_module
from pathlib import Path

from wmdd.cli.arguments import Parser
from wmdd.core.errors import SettingsError
from wmdd.experiments import EXPERIMENTS


def add_arguments(parser: Parser, verb: str) -> None:
    """Which one, where to, and the seed."""
    parser.usage = "wmdd experiment NAME [--out FOLDER] [--seed N]"
    names = "; ".join(f"{name}: {summary}" for name, summary in EXPERIMENTS.items())
    parser.add_argument("name", nargs="?", metavar="NAME", help=names)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the files go (default runs/NAME)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of everything random (default 0)")


def execute(arguments: argparse.Namespace) -> None:
    """Run the experiment and name the files that it wrote."""
    if arguments.name not in EXPERIMENTS:
        told = "Name an experiment" if arguments.name is None else f"{arguments.name!r} is not an experiment"
        raise SettingsError(f"{told}: there is {', '.join(EXPERIMENTS)}.")
    module = import_module(f"wmdd.experiments.{arguments.name}")
    for path in module.run(arguments.out or Path("runs", arguments.name), arguments.seed):
        print(path)
