"""Arguments: essentials first, then every setting as ``--section.name``, from the same dataclasses as the YAML."""

import argparse
import difflib
import sys
import textwrap
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from wmdd.config.load import Setting, Values, merge, nested, read_value, read_yaml, settings
from wmdd.config.presets import presets, read_preset, shared_settings
from wmdd.core.errors import SettingsError


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help whose names are never broken: ``wmdd-paper`` is one word."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False, break_long_words=False)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence, and which takes no abbreviations."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=_Help, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Print one sentence and exit with 2."""
        sys.stderr.write(f"{self.prog}: {one_line(message)} (see `{self.prog} --help`).\n")
        sys.exit(2)

    def refuse(self, words: Sequence[str]) -> NoReturn:
        """Exit with the first flag that is not one, or else the first word too many, and what was probably meant."""
        word = next((word for word in words if word.startswith("-")), words[0]).partition("=")[0]
        if not word.startswith("-"):
            self.error(f"{word!r} is one word too many")
        close = difflib.get_close_matches(word, self._option_string_actions, n=1)
        self.error(f"{word} is not a flag of this command" + (f"; did you mean {close[0]}?" if close else ""))


def one_line(text: str) -> str:
    """``text`` in one line, in which names of the user's, or of what was read, cannot steer the terminal."""
    return "".join("?" if unicodedata.category(letter) == "Cc" else letter for letter in " ".join(text.splitlines()))


def add_run(parser: Parser, *, optional: bool = False) -> None:
    """The positional RUN."""
    if optional:
        parser.add_argument(
            "run", nargs="?", type=Path, metavar="RUN", help="folder of the run (default runs/<name of the data>)"
        )
    else:
        parser.add_argument("run", type=Path, metavar="RUN", help="folder of the run")


def add_settings(
    parser: Parser, *, sections: Iterable[str], without: Collection[str] = (), defaults: Mapping[str, str] | None = None
) -> None:
    """Every setting of ``sections`` ('' are the top-level ones): those with a short flag first, then the others.

    ``defaults`` says by name which differ from a run's, and what they are.
    """
    shown = defaults or {}
    chosen = [setting for setting in settings() if _section(setting) in set(sections) and setting.name not in without]
    essentials = parser.add_argument_group("essentials")
    for setting in sorted((s for s in chosen if s.flag), key=_reading_order):
        _add(essentials, f"--{setting.flag}", setting, shown.get(setting.name, setting.shown))
    essentials.add_argument(
        "--preset",
        metavar="NAME,...",
        help=f"shipped settings, each over those before: {', '.join(presets())}"
        + ("; NAME-ipcN: N images per class" if any(setting.name == "ipc" for setting in chosen) else ""),
    )
    essentials.add_argument("--config", type=Path, metavar="FILE", help="a YAML file of settings; flags win over it")
    essentials.add_argument("-q", "--quiet", action="store_true", help="no progress, only results and errors")
    for section in dict.fromkeys(_section(setting) for setting in chosen if not setting.flag):
        group = parser.add_argument_group(f"{section} settings")
        for setting in chosen:
            if _section(setting) == section and not setting.flag:
                _add(group, f"--{setting.name}", setting, shown.get(setting.name, setting.shown))


def add_work(parser: Parser) -> None:
    """Which part of the work to do, and which to do again."""
    work = parser.add_argument_group("work")
    work.add_argument(
        "--shard", metavar="I/N", default="0/1", help="do only share I of N of the units, I from 0 to N-1"
    )
    work.add_argument("--redo", metavar="STAGE", help="discard a finished stage and all after it, then go on")


def add_sets(group: argparse._ArgumentGroup, *, ipc: str, seeds: str) -> None:
    """How many sets are compared, with the defaults in words."""
    group.add_argument("--ipc", dest="ipcs", metavar="N,...", help=f"images per class (default {ipc})")
    group.add_argument(
        "--seeds", dest="draws", metavar="N", help=f"sets of each method, and a student of each (default {seeds})"
    )


def given_sets(arguments: argparse.Namespace) -> tuple[list[int] | None, int | None]:
    """The images per class and the number of seeds that were asked for; None where they were not.

    Raises:
        SettingsError: they are no numbers.
    """
    ipc = None if arguments.ipcs is None else [number("--ipc", word) for word in words("--ipc", arguments.ipcs)]
    return ipc, None if arguments.draws is None else number("--seeds", arguments.draws)


def words(flag: str, text: str) -> list[str]:
    """The words of ``--flag a,b,c``.

    Raises:
        SettingsError: there is nothing between two commas.
    """
    found = [word.strip() for word in text.split(",")]
    if not all(found):
        raise SettingsError(f"{flag} is {text!r}, but should be words with commas between them.")
    return found


def number(flag: str, text: str) -> int:
    """A whole number of at least 1.

    Raises:
        SettingsError: the text is none.
    """
    if not (text.isascii() and text.isdecimal() and int(text[:9]) > 0 and len(text) < 10):
        raise SettingsError(f"{flag} has {text!r}, but should have whole numbers of at least 1.")
    return int(text)


_FIRST = ("data", "ipc", "image-size", "arch", "teacher-epochs", "solver", "steps", "students", "seeds", "protocols")


def _reading_order(setting: Setting) -> int:
    return _FIRST.index(setting.flag) if setting.flag in _FIRST else len(_FIRST)


def _section(setting: Setting) -> str:
    return setting.name.partition(".")[0] if "." in setting.name else ""


def _add(group: argparse._ArgumentGroup, flag: str, setting: Setting, default: str) -> None:
    kind = setting.name.rpartition(".")[2].upper() + (",..." if setting.many else "")
    choices = f"{setting.choices}; " if setting.choices else ""
    text = f"{setting.help} ({choices}default {default})".replace("%", "%%")
    group.add_argument(flag, dest=setting.name, metavar=kind, default=argparse.SUPPRESS, help=text)


def given_settings(arguments: argparse.Namespace, *, shared: bool = False) -> Values:
    """The nested values that preset, file and flags give, the later winning over the earlier.

    Of a preset ``shared`` takes only what the methods of a comparison can have in common.

    Raises:
        SettingsError: the preset or the file cannot be used.
    """
    read = shared_settings if shared else read_preset
    values = read(arguments.preset) if arguments.preset else {}
    if arguments.config is not None:
        values = merge(values, read_yaml(arguments.config))
    known = {setting.name: setting for setting in settings()}
    flags = {name: _value(known[name], text) for name, text in vars(arguments).items() if name in known}
    return merge(values, nested(flags))


def _value(setting: Setting, text: str) -> Any:
    """A flag's text as YAML would read it, lists by commas; texts stay texts where the setting is one."""
    if setting.many:
        return [read_value(part.strip()) for part in text.split(",")]
    return text if isinstance(setting.default, str) and setting.default != "auto" else read_value(text)
