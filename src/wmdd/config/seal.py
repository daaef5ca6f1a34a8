"""A first line of the settings of a run that tells whether the others are what was written."""

import hashlib
from pathlib import Path

from wmdd.core.bounded import SETTINGS, read_bounded
from wmdd.core.errors import RunError

_SEAL = "# sha256 of the lines below; after editing by hand, remove this line: "


def sealed(text: str) -> str:
    """``text`` below its seal."""
    return f"{_SEAL}{_digest(text)}\n{text}"


def refuse_changed(path: Path) -> None:
    """Refuse a file whose lines are not what its seal says. One without a seal was edited by hand.

    Raises:
        RunError: it was changed, is empty, or cannot be read.
    """
    try:
        text = read_bounded(path, SETTINGS).decode(errors="replace").replace("\r\n", "\n")  # an editor may write those
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}; bring the settings of the run back.") from error
    first, _, rest = text.partition("\n")
    if not text.strip():
        raise RunError(f"{path} is empty, but should hold the settings of the run: bring it back.")
    if first.startswith(_SEAL) and first.removeprefix(_SEAL) != _digest(rest):
        raise RunError(
            f"{path} is damaged, or was edited: bring it back, or where you edited it by hand remove its first line."
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
