"""``wmdd report``."""

import argparse

from wmdd.cli.arguments import Parser, add_run


def add_arguments(parser: Parser, command: str) -> None:
    """Only the run."""
    add_run(parser)


def execute(arguments: argparse.Namespace) -> None:
    """Write the page of what there is."""
    from wmdd.pipeline.run_directory import RunDirectory
    from wmdd.report import write_report

    RunDirectory(arguments.run).verify_all()
    print(f"page: {write_report(arguments.run)}")
