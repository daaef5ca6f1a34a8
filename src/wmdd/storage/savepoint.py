"""Savepoints: the state of unfinished work, kept so that a killed process loses seconds, not hours."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from wmdd.core.errors import RunError
from wmdd.storage.tensors import read_tensors, write_tensors

_LEAST_SECONDS = 1.0
_COST_SHARE = 0.01  # saving may take this part of the time
_MOST_SECONDS = 600.0  # that is lost at most, whatever saving costs


class Savepoint:
    """The latest state of one unit of work, in a file that goes when the unit is done.

    ``key`` identifies what the state belongs to; a state of anything else is ignored. Without a path nothing is kept.
    One that does not ``saves`` only reads what another process keeps.
    States are saved at least ``seconds`` apart, and so seldom that saving takes about a hundredth of the time, but
    every ten minutes. Only the last save counts: a disk that was slow once does not make savepoints rare for good.
    ``earlier`` are the seconds that processes before this one spent on the state that was loaded.
    """

    def __init__(
        self, path: Path | None = None, key: str = "", seconds: float = _LEAST_SECONDS, *, saves: bool = True
    ) -> None:
        self._path, self._key, self._saves = path, key, saves
        self._least = self._seconds = seconds
        self._last = self._began = time.monotonic()
        self.earlier = 0.0

    def load(self) -> dict[str, Tensor] | None:
        """The state to go on from, or None to begin."""
        if self._path is None or not self._path.is_file():
            return None
        try:
            state, metadata = read_tensors(self._path)
            spent = float(metadata.get("seconds", 0))
        except (RunError, ValueError):
            return None
        if metadata.get("key") != self._key:
            return None
        self.earlier = spent
        return state

    def offer(self, state: Callable[[], Mapping[str, Tensor]]) -> None:
        """Keep ``state()`` if the last save is long enough ago."""
        if self._path is None or not self._saves or time.monotonic() - self._last < self._seconds:
            return
        start = time.monotonic()
        spent = self.earlier + start - self._began
        write_tensors(self._path, state(), {"key": self._key, "seconds": f"{spent:.3f}"})
        self._last = time.monotonic()
        if self._seconds:
            self._seconds = min(_MOST_SECONDS, max(self._least, (self._last - start) / _COST_SHARE))

    def clear(self) -> None:
        """Forget the state."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
