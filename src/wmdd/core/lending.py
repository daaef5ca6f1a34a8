"""Objects of the caller's program, found by a name that settings can hold."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Generic, TypeVar

LENT = "python:"
"""What the names of such objects begin with."""

T = TypeVar("T")


class Lending(Generic[T]):
    """Things that a caller has lent, each by its name, while a context lasts."""

    def __init__(self, kind: str) -> None:
        self._things: ContextVar[Mapping[str, T]] = ContextVar(f"lent {kind}")

    @contextmanager
    def lend(self, name: str, thing: T) -> Iterator[None]:
        """Let ``thing`` be found by ``name`` while the context lasts."""
        token = self._things.set({**self._things.get({}), name: thing})
        try:
            yield
        finally:
            self._things.reset(token)

    def find(self, name: str) -> T | None:
        """What was lent by this name, if it is here."""
        return self._things.get({}).get(name)
