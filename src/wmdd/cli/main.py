"""``wmdd``: commands, and what becomes of errors."""

import difflib
import io
import os
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module

from wmdd.cli.arguments import Parser, one_line
from wmdd.cli.interrupts import Interrupted, interruptible
from wmdd.core.errors import SettingsError, WmddError, is_out_of_memory
from wmdd.runtime.allocator import keep_freed

_COMMANDS = {
    "run": "do everything: teacher, statistics, barycenters, images, labels, students, report",
    "plan": "estimate what a run would take: memory, disk, operations and time of each stage",
    "check": "read a dataset once and report what is wrong with it",
    "info": "show what a run holds and what is missing",
    "teacher": "train or load the teacher",
    "statistics": "observe the real data once: features and per-class norm-layer statistics",
    "barycenters": "summarise each class's features by atoms",
    "synthesize": "optimise the images",
    "relabel": "soft-label their augmented views",
    "evaluate": "train and score students, beside random real images",
    "compare": "make and score the sets of several methods, with one teacher and the same protocols",
    "report": "write the page",
    "export": "write the distilled set for other tools: image folder, tensors, parquet or shards",
    "push": "put the distilled set on the Hugging Face hub",
    "pull": "fetch a distilled set from the Hugging Face hub",
    "experiment": "reproduce a table or a figure of the paper",
}

_STAGE_COMMANDS = ("teacher", "statistics", "barycenters", "synthesize", "relabel", "evaluate")

_EPILOG = """\
examples:
  wmdd run                                     the embedded handwritten digits, 10 images per class
  wmdd run runs/birds --data ~/birds --ipc 10  your own images: train/CLASS/* and val/CLASS/*, or CLASS/*
  wmdd plan --data ~/birds --ipc 10            what that would take: memory, disk, operations, time
  wmdd check ~/birds                           unreadable files, images in both splits, uneven classes, ...
  wmdd info runs/birds                         what is there, what is missing
  wmdd compare runs/who --data ~/birds         this recipe beside other methods
  wmdd evaluate runs/birds --students resnet18,vit_tiny_patch16_224

Run the same command again after any interruption, and it resumes where it was.
"""


def _build_parsers(command: str | None) -> tuple[Parser, Parser]:
    """The parser, and that of ``command`` (the same where there is none), whose arguments alone are filled in."""
    parser = Parser(
        prog="wmdd",
        description="Dataset distillation: from a real, labelled image set make a tiny synthetic one to train on.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", parser_class=Parser)
    chosen = parser
    for name, summary in _COMMANDS.items():
        sub = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name == command:
            import_module(_module(name)).add_arguments(sub, name)
            chosen = sub
    return parser, chosen


def _module(command: str) -> str:
    return f"wmdd.cli.{'stage' if command in _STAGE_COMMANDS else command}"


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    0 done, 1 a bug (with a traceback), 2 something the user can fix, 130 or 143 interrupted, 141 where the reader of
    the output has gone.
    """
    words = sys.argv[1:] if words is None else words
    _accept_any_text()
    command = next((word for word in words if not word.startswith("-")), None)
    parser, chosen = _build_parsers(command)
    if command is not None and command not in _COMMANDS:
        close = difflib.get_close_matches(command, _COMMANDS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"use {', '.join(_COMMANDS)}"
        parser.error(f"{command!r} is not a command: {hint}")
    arguments, unknown = parser.parse_known_args(words)
    if unknown:
        chosen.refuse(unknown)
    if arguments.version:
        from wmdd import __version__

        print(__version__)
        return 0
    if arguments.command is None:
        parser.print_help()
        return 0
    keep_freed()
    try:
        _refuse_crew(arguments.command)
        with interruptible():
            import_module(_module(arguments.command)).execute(arguments)
            sys.stdout.flush()
    except KeyboardInterrupt as error:
        sys.stderr.write(f"wmdd: interrupted; `{_again(words)}` resumes from here.\n")
        return error.code if isinstance(error, Interrupted) else 130
    except BrokenPipeError:  # the reader of our output has gone, as in `wmdd info RUN | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if (sentence := _sentence(error, redone=bool(getattr(arguments, "redo", None)))) is None:
            raise
        sys.stderr.write(f"wmdd: {sentence}.\n")
        return 2
    return 0


def _refuse_crew(command: str) -> None:
    """Refuse commands that torchrun's processes would all do, each for itself."""
    if os.environ.get("WORLD_SIZE", "1") != "1" and command not in ("run", *_STAGE_COMMANDS):
        raise SettingsError(f"wmdd {command} is no work for several processes: start it without torchrun.")


def _again(words: Sequence[str]) -> str:
    """The command that goes on where this one stopped: without ``--redo``, which would discard what it has made."""
    left = [
        word
        for before, word in zip(("", *words), words, strict=False)
        if "--redo" not in (before, word) and not word.startswith("--redo=")
    ]
    return shlex.join(["wmdd", *left])


def _sentence(error: Exception, *, redone: bool) -> str | None:
    """What to tell the user without the final stop; None for a bug, which keeps its traceback.

    ``redone`` says that the command had ``--redo``.
    """
    again = "the same command without --redo" if redone else "the same command"
    if isinstance(error, WmddError):
        return one_line(str(error)).rstrip(".")
    if isinstance(error, OSError) and error.strerror:
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        return f"{where}{error.strerror}; {again} resumes from here once that is fixed"
    if "by peer" in str(error) and os.environ.get("WORLD_SIZE", "1") != "1":  # gloo's and NCCL's only sign
        return f"another process of torchrun's has stopped, and says why; {again} resumes from here"
    if str(error).startswith("DataLoader worker"):  # torch's only sign; Docker shares 64 MB unless it is told otherwise
        return (
            "a process that reads images has died, of too little memory perhaps: give the container more shared memory "
            "(docker run --shm-size), lower data.workers, or set it to 0"
        )
    if is_out_of_memory(error):
        return (
            "there is not enough memory for these settings: lower synthesis.batch_size, synthesis.steps, "
            "teacher.batch_size, runtime.batch_size, data.memory_gb, data.image_size or ipc, whichever is large"
        )
    return None


def _accept_any_text() -> None:
    """Let output that cannot show a character show a question mark instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
