"""``wmdd push``."""

import argparse
from pathlib import Path

from wmdd.cli.arguments import Parser

_EPILOG = """\
This asks the internet: it needs `pip install 'huggingface-hub>=0.25' 'pyarrow>=17.0'` and `hf auth login`.
A new set is private unless --public; one that is there keeps who may see it.
"""


def add_arguments(parser: Parser, command: str) -> None:
    """The run and the name."""
    parser.usage = "wmdd push RUN OWNER/NAME [--public] [--licence TEXT]"
    parser.epilog = _EPILOG
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of the run, or of an export of the form hf")
    parser.add_argument("name", metavar="OWNER/NAME", help="what the dataset is called there")
    parser.add_argument("--public", action="store_true", help="let everyone see a new one")
    parser.add_argument("--licence", metavar="TEXT", help="licence of the source data, for the card")


def execute(arguments: argparse.Namespace) -> None:
    """Put it there and say where it is."""
    from wmdd.api import push

    print(f"pushed: {push(arguments.run, arguments.name, public=arguments.public, licence=arguments.licence)}")
