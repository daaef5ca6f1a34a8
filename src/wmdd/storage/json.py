"""JSON files, and JSON lines that are appended to."""

import json
import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from wmdd.core.bounded import JSON, LINES, check_size, read_bounded
from wmdd.core.errors import RunError
from wmdd.core.hashing import digest
from wmdd.storage.atomic import write_text
from wmdd.storage.locks import lock

_LONGEST_LINE = 2**20  # bytes; what is longer is none of ours


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` atomically, indented, keys in their order."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path, most: int = JSON) -> Any:
    """The value of a JSON file of at most ``most`` bytes.

    Raises:
        RunError: the file is missing or damaged, or has more.
    """
    try:
        return json.loads(read_bounded(path, most).decode())
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path} is missing or damaged ({error}).") from error


def write_sealed(path: Path, value: dict[str, Any]) -> None:
    """:func:`write_json` of ``value`` and its own hash, for files whose every byte is relied on."""
    write_json(path, {**value, _SEAL: _seal(value)})


def read_sealed(path: Path, most: int = JSON) -> dict[str, Any]:
    """What :func:`write_sealed` wrote, of at most ``most`` bytes.

    Raises:
        RunError: the file is missing, damaged, too large, or was changed by something else.
    """
    value = read_json(path, most)
    if not isinstance(value, dict) or not _is_sealed(value.pop(_SEAL, None), value):
        raise RunError(f"{path} is damaged (its content is not what was written).")
    return value


_SEAL = "sha256_of_the_rest"


def _is_sealed(seal: object, value: dict[str, Any]) -> bool:
    try:
        return seal == _seal(value)
    except (UnicodeEncodeError, RecursionError):  # half a character, or too deep: nothing that was written has those
        return False


def _seal(value: dict[str, Any]) -> str:
    return digest(json.loads(json.dumps(value)))  # as it comes back: tuples are lists then, and all keys text


def append_line(path: Path, value: dict[str, Any]) -> None:
    """Append one JSON line in a single write, so that lines of several processes never mix.

    A line that a killed process left unfinished is closed first.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            lock(file.fileno(), wait=True)  # a line that another process is just writing looks torn too
            end = file.seek(0, os.SEEK_END)
            torn = end > 0 and os.pread(file.fileno(), 1, end - 1) != b"\n"
            file.write((b"\n" if torn else b"") + json.dumps(value, ensure_ascii=False).encode() + b"\n")
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}.") from error


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The values of a JSON-lines file (none without one); lines that a killed process left unfinished are passed over.

    Raises:
        RunError: the file cannot be read, or is too large.
    """
    lines: list[dict[str, Any]] = []
    if not path.is_file():
        return lines
    try:
        check_size(path, LINES)
        with path.open("rb") as file:
            # Bytes, and so split at \n alone: U+2028 and U+0085 may stand inside a JSON string.
            for line in iter(partial(file.readline, _LONGEST_LINE), b""):
                with suppress(ValueError, RecursionError):
                    lines.append(json.loads(line.decode(errors="replace")))
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}; remove it, or restore it.") from error
    return lines
