"""Units of work: what is done, recorded, skipped and redone as one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from wmdd.core.errors import SettingsError

CLASSES_PER_PASS = 10
"""Classes of a statistics or barycenter unit. Fixed, so that both outlive a change of the synthesis group size."""


@dataclass(frozen=True)
class Unit:
    """``name`` within its stage, and the plain values that say what it covers."""

    name: str
    covers: dict[str, Any]


def class_groups(num_classes: int, size: int) -> Iterator[Unit]:
    """Consecutive groups of ``size`` classes, the last one smaller where they do not divide."""
    for number, first in enumerate(range(0, num_classes, size)):
        yield Unit(f"group-{number:03d}", {"classes": list(range(first, min(first + size, num_classes)))})


@dataclass(frozen=True)
class Shard:
    """One of ``count`` processes that share the units of a stage between them, by position."""

    index: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """``"0/2"`` as the first of two.

        Raises:
            SettingsError: the text is not ``i/n`` with 0 <= i < n.
        """
        index, slash, count = text.partition("/")
        number = slash and text.isascii() and len(text) < 20 and index.isdecimal() and count.isdecimal()
        if not (number and int(index) < int(count)):
            raise SettingsError(f"--shard {text!r} must be i/n with 0 <= i < n, for example 0/4.")
        return cls(int(index), int(count))

    def refuse_crew(self, size: int) -> None:
        """Refuse to divide the work twice.

        Raises:
            SettingsError: this is one of several shards, and torchrun has started ``size`` > 1 processes.
        """
        if self.count > 1 and size > 1:
            raise SettingsError(
                f"--shard {self.index}/{self.count} and torchrun both divide the work: use one of them."
            )

    def share(self, units: Sequence[Unit]) -> Sequence[Unit]:
        """The units of this process."""
        return units[self.index :: self.count]
