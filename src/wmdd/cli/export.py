"""``wmdd export``."""

import argparse
from pathlib import Path

from wmdd.cli.arguments import Parser, add_run


def add_arguments(parser: Parser, command: str) -> None:
    """The run, the form and the place."""
    parser.usage = "wmdd export RUN [--to FORM] [--out FOLDER] [--licence TEXT]"
    add_run(parser)
    parser.add_argument(
        "--to",
        metavar="FORM",
        default="folder",
        help="folder: PNG by class; tensors: one safetensors file, and the same as .pt; hf: parquet, as a Hugging Face "
        "dataset; webdataset: tar shards (default folder)",
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="a new folder (default RUN/export/FORM)")
    parser.add_argument("--licence", metavar="TEXT", help="licence of the source data, for the manifest")


def execute(arguments: argparse.Namespace) -> None:
    """Write the export and say where it is."""
    from wmdd.api import export

    print(f"export: {export(arguments.run, arguments.to, arguments.out, licence=arguments.licence)}")
