"""JSON files, and JSON lines that are appended to."""

import json
import os
from pathlib import Path
from typing import Any

from wmdd.core.errors import RunError
from wmdd.core.hashing import digest
from wmdd.storage.atomic import write_text


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` atomically, indented, keys in their order."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The value of a JSON file.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path} is missing or damaged ({error}).") from error


def write_sealed(path: Path, value: dict[str, Any]) -> None:
    """:func:`write_json` of ``value`` and its own hash, for files whose every byte is relied on."""
    write_json(path, {**value, _SEAL: _seal(value)})


def read_sealed(path: Path) -> dict[str, Any]:
    """What :func:`write_sealed` wrote.

    Raises:
        RunError: the file is missing, damaged, or was changed by something else.
    """
    value = read_json(path)
    if not isinstance(value, dict) or not _is_sealed(value.pop(_SEAL, None), value):
        raise RunError(f"{path} is damaged (its content is not what was written).")
    return value


_SEAL = "sha256_of_the_rest"


def _is_sealed(seal: object, value: dict[str, Any]) -> bool:
    try:
        return seal == _seal(value)
    except UnicodeEncodeError:  # half a character, which no text that was written has
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
            torn = file.tell() > 0 and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n"
            file.write((b"\n" if torn else b"") + json.dumps(value, ensure_ascii=False).encode() + b"\n")
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}.") from error


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The values of a JSON-lines file; lines that a killed process left unfinished are passed over."""
    lines = []
    # Not splitlines(): it also splits at U+2028 and U+0085, which may stand inside a JSON string.
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else []:
        try:
            lines.append(json.loads(line))
        except ValueError:
            continue
    return lines
