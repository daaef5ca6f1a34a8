"""``wmdd pull``."""

import argparse
from pathlib import Path

from wmdd.cli.arguments import Parser


def add_arguments(parser: Parser, command: str) -> None:
    """The name and the place."""
    parser.usage = "wmdd pull OWNER/NAME FOLDER"
    parser.epilog = "This asks the internet, and needs `pip install 'huggingface-hub>=0.25' 'pyarrow>=17.0'`."
    parser.add_argument("name", metavar="OWNER/NAME", help="what the dataset is called there")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="a new folder, which wmdd.load reads")


def execute(arguments: argparse.Namespace) -> None:
    """Fetch it and say where it is."""
    from wmdd.api import pull

    print(f"pulled: {pull(arguments.name, arguments.folder)}")
