"""``wmdd experiment``."""

import argparse
from pathlib import Path

from wmdd.cli.arguments import Parser, add_sets, add_settings, given_sets, given_settings
from wmdd.comparison.asked import OWN
from wmdd.core.errors import SettingsError
from wmdd.experiments import EXPERIMENTS, FIGURE2

_EPILOG = """\
examples:
  wmdd experiment figure2
  wmdd experiment ablation                                       on the digits, minutes on two cores
  wmdd experiment main --scale paper --data ~/imagenette         Imagenette at 224 px, as published

All but figure2 are comparisons (see `wmdd compare --help`): they resume where they were, and take the same settings.
Each writes a table, a figure and JSON, with the published figures beside ours. Defaults named above are those of
`wmdd run`; the scale and the methods set their own.
"""


def add_arguments(parser: Parser, command: str) -> None:
    """Which one, where to, its size, and all settings of a comparison."""
    parser.usage = "wmdd experiment NAME [--out FOLDER] [--scale small|paper] [--data FOLDER] [settings]"
    parser.epilog = _EPILOG
    names = "; ".join(f"{name}: {summary}" for name, summary in EXPERIMENTS.items())
    parser.add_argument("name", nargs="?", metavar="NAME", help=names)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the files go (default runs/NAME)")
    group = parser.add_argument_group("its size")
    group.add_argument(
        "--scale",
        default="small",
        metavar="SIZE",
        help="small: the digits; paper: Imagenette at 224 px (default small)",
    )
    add_sets(group, ipc="the experiment's", seeds="2, or 3 at the paper's scale")
    sections = ("", "data", "teacher", "barycenters", "synthesis", "evaluation", "runtime")
    add_settings(parser, sections=sections, without=OWN)


def execute(arguments: argparse.Namespace) -> None:
    """Run the experiment and name the files that it wrote."""
    name = arguments.name
    if name not in EXPERIMENTS:
        told = "Name an experiment" if name is None else f"{name!r} is not an experiment"
        raise SettingsError(f"{told}: there is {', '.join(EXPERIMENTS)}.")
    folder = arguments.out or Path("runs", name)
    for path in _figure2(arguments, folder) if name == FIGURE2 else _study(arguments, folder):
        print(path)


def _figure2(arguments: argparse.Namespace, folder: Path) -> list[Path]:
    values = given_settings(arguments)
    seed = values.pop("seed", 0)
    if values or (arguments.scale, *given_sets(arguments)) != ("small", None, None):
        raise SettingsError("figure2 has a --seed and no other settings: leave them out.")
    if not isinstance(seed, int) or seed < 0:
        raise SettingsError(f"--seed is {seed!r}, but should be a whole number of at least 0.")

    from wmdd.experiments import figure2

    return figure2.run(folder, seed)


def _study(arguments: argparse.Namespace, folder: Path) -> list[Path]:
    values = given_settings(arguments, shared=True)
    ipc, seeds = given_sets(arguments)

    from wmdd.cli.comparison import print_comparison
    from wmdd.experiments.study import run_study
    from wmdd.runtime.progress import Reporter

    with Reporter(quiet=arguments.quiet) as reporter:
        paths = run_study(arguments.name, folder, values, reporter, scale=arguments.scale, ipc=ipc, seeds=seeds)
    print_comparison(folder)
    return paths
