"""Noticing the first loss that is not finite, without waiting for a GPU at every step."""

from collections.abc import Sequence

import torch
from torch import Tensor

from wmdd.core.errors import WmddError
from wmdd.runtime.crew import ALONE, Crew

_NEVER = 2**62


class NotFiniteError(WmddError):
    """A loss has become NaN or infinite, and all that would follow with it.

    ``step`` is the first such step (from 1), ``classes`` those whose loss it was (empty: it belongs to no class).
    """

    def __init__(self, step: int, total: int, classes: Sequence[int] = ()) -> None:
        self.step, self.total, self.classes = step, total, tuple(classes)
        super().__init__(self.about())

    def about(self, names: Sequence[str] = ()) -> str:
        """What happened, with the ``names`` of the classes."""
        whose = ", ".join(repr(names[k]) if names else str(k) for k in self.classes)
        return f"the loss{f' of class {whose}' if whose else ''} was not finite at step {self.step} of {self.total}"


class FiniteWatch:
    """Sees every step's loss, one number or one for each class, and remembers the first step that was not finite."""

    def __init__(self, total: int, classes: Sequence[int] = (), crew: Crew = ALONE) -> None:
        self._total, self._classes, self._crew = total, tuple(classes), crew
        self._first: Tensor | None = None

    def see(self, step: int, loss: Tensor) -> None:
        """``loss`` (``[]`` or ``[G]``) is that of ``step``."""
        now = torch.where(loss.detach().isfinite(), _NEVER, step)
        self._first = now if self._first is None else torch.minimum(self._first, now)

    def check(self) -> None:
        """Refuse to go on from a loss that was not finite; all processes of a crew have to ask together.

        Raises:
            NotFiniteError: there was one.
        """
        if self._first is None:
            return
        first = self._crew.least(int(self._first.min()))
        if first < _NEVER:
            seen = self._first.expand(max(len(self._classes), 1)).tolist()
            whose = [k for k, when in zip(self._classes, seen, strict=bool(self._classes)) if when == first]
            raise NotFiniteError(first, self._total, whose)
