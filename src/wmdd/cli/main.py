"""``wmdd``: verbs, and what becomes of errors."""

import sys
from collections.abc import Sequence
from importlib import import_module

from wmdd.cli.arguments import Parser
from wmdd.core.errors import WmddError

_VERBS = {
    "run": "do everything: teacher, statistics, barycenters, images, labels, students, report",
    "info": "say what a run holds and what is missing",
    "teacher": "train or load the teacher",
    "statistics": "observe the real data once: features and per-class norm-layer statistics",
    "barycenters": "summarise each class's features by atoms",
    "synthesize": "optimise the images",
    "relabel": "soft-label their augmented views",
    "evaluate": "train and score students, beside random real images",
    "report": "write the page",
}

_EPILOG = """\
examples:
  wmdd run                                     the embedded handwritten digits, 10 images per class
  wmdd run runs/birds --data ~/birds --ipc 10  your own images: train/CLASS/* and val/CLASS/*, or CLASS/*
  wmdd info runs/birds                         what is there, what is missing
  wmdd evaluate runs/birds --students resnet18,vit_tiny_patch16_224

The same command again goes on from where it was, after any interruption.
"""


def build_parser(verb: str | None = None) -> Parser:
    """The parser; only the arguments of ``verb`` are filled in, for the other verbs only their names are needed."""
    parser = Parser(
        prog="wmdd",
        description="Dataset distillation: from a real, labelled image set make a tiny synthetic one to train on.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs", parser_class=Parser)
    for name, summary in _VERBS.items():
        sub = verbs.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name == verb:
            import_module(_module(name)).add_arguments(sub, name)
    return parser


def _module(verb: str) -> str:
    return f"wmdd.cli.{verb if verb in ('run', 'info', 'report') else 'stage'}"


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 2 something the user can mend, 130 interrupted."""
    words = sys.argv[1:] if words is None else words
    verb = next((word for word in words if word in _VERBS), None)
    parser = build_parser(verb)
    arguments = parser.parse_args(words)
    if arguments.version:
        from wmdd import __version__

        print(__version__)
        return 0
    if arguments.verb is None:
        parser.print_help()
        return 0
    try:
        import_module(_module(arguments.verb)).execute(arguments)
    except WmddError as error:
        sys.stderr.write(f"wmdd: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("wmdd: interrupted; the same command goes on from here.\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
