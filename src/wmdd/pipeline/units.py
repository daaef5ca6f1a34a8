"""Units of work: what is done, recorded, skipped and redone as one."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from wmdd.core.errors import SettingsError


@dataclass(frozen=True)
class Unit:
    """``name`` within its stage, and the plain values that say what it covers."""

    name: str
    covers: dict[str, Any]


def classes_per_pass(num_classes: int) -> int:
    """Classes of a statistics or barycenter unit; two of more than a hundred, so that many processes get as much to do.

    It hangs on nothing else, so that both outlive a change of the synthesis group size.
    """
    return 10 if num_classes <= 100 else 2


def passes(num_classes: int) -> Iterator[Unit]:
    """The units of statistics and of barycenters."""
    return class_groups(num_classes, classes_per_pass(num_classes))


def class_groups(num_classes: int, size: int) -> Iterator[Unit]:
    """Consecutive groups of ``size`` classes, the last one smaller where they do not divide."""
    for number, first in enumerate(range(0, num_classes, size)):
        yield Unit(f"group-{number:03d}", {"classes": list(range(first, min(first + size, num_classes)))})


def team_size(units: int, processes: int, most: int) -> int:
    """How many of ``processes`` make a unit together, at most ``most``: the fewest with which all units end soonest.

    With a unit for everyone it is one: processes that are apart never wait for one another.
    """
    if units >= processes:
        return 1

    def time(size: int) -> float:
        return math.ceil(units / (processes // size)) / size

    return min(range(1, min(most, processes) + 1), key=time)


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
