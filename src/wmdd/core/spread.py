"""Mean and standard deviation, as scores are reported over seeds."""

from collections.abc import Collection
from dataclasses import dataclass
from math import sqrt
from statistics import mean, stdev


@dataclass(frozen=True)
class Spread:
    """Mean and (ddof 1) standard deviation over ``count`` values; a single one has none."""

    mean: float
    std: float | None
    count: int

    @classmethod
    def of(cls, values: Collection[float]) -> "Spread":
        """That of ``values``, one or more."""
        return cls(mean(values), stdev(values) if len(values) > 1 else None, len(values))

    @property
    def error(self) -> float | None:
        """The standard error of the mean."""
        return None if self.std is None else self.std / sqrt(self.count)

    def __str__(self) -> str:
        return f"{self.mean:.1f}" if self.std is None else f"{self.mean:.1f} ± {self.std:.1f}"
