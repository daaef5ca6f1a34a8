"""Progress: bars on a terminal, plain lines elsewhere, nothing when quiet."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

_SECONDS_BETWEEN_LINES = 10.0
_WIDTH_OF_A_FILE, _WIDEST = 120, 1000


class Task(Protocol):
    """One thing that is being done."""

    def update(self, done: int, total: int, **values: float) -> None:
        """``done`` of ``total`` steps are finished; ``values`` (losses, accuracies) describe the last."""


class Reporter:
    """What a run says while it works, on standard error; results go to standard output."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self._bars: Progress | None = None

    def __enter__(self) -> Self:
        if self.console.is_terminal and not self.console.quiet:
            self._bars = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[values]}", style="dim"),
                console=self.console,
                transient=True,
            )
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def say(self, text: str) -> None:
        """One line."""
        self.console.print(text, markup=False)

    @contextmanager
    def task(self, name: str) -> Iterator[Task]:
        """Show ``name`` until the block ends."""
        if self._bars is None:
            yield _Lines(self, name)
            return
        handle = self._bars.add_task(name, total=None, values="")
        try:
            yield _Bar(self._bars, handle)
        finally:
            self._bars.remove_task(handle)


class _Bar:
    def __init__(self, bars: Progress, handle: TaskID) -> None:
        self._bars, self._handle = bars, handle

    def update(self, done: int, total: int, **values: float) -> None:
        self._bars.update(self._handle, completed=done, total=total, values=_render(values))


class _Lines:
    def __init__(self, reporter: Reporter, name: str) -> None:
        self._reporter, self._name = reporter, name
        self._start = self._last = time.monotonic()
        self._first: int | None = None  # what was done before: by a process that was cut off

    def update(self, done: int, total: int, **values: float) -> None:
        now = time.monotonic()
        self._first = done - 1 if self._first is None else self._first
        if now - self._last < _SECONDS_BETWEEN_LINES or done >= total:
            return
        self._last = now
        left = (now - self._start) / max(done - self._first, 1) * (total - done)
        self._reporter.say(f"  {self._name}: {done}/{total}, about {left:.0f} s left  {_render(values)}".rstrip())


def _render(values: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in values.items())


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """A table of results on standard output, the first column to the left and the others to the right."""
    table = Table(title=title, title_justify="left")
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place == 0 else "right", overflow="fold")  # nothing is cut off
    for row in rows:
        table.add_row(*map(escape, row))  # names of classes are not markup
    wide = Console(file=sys.stdout, highlight=False, width=_WIDEST)
    width = None if sys.stdout.isatty() else max(_WIDTH_OF_A_FILE, wide.measure(table).maximum)  # files do not wrap
    Console(file=sys.stdout, highlight=False, width=width).print(table)
