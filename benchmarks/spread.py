"""Means over seeds, and what is left of their differences."""

from collections.abc import Sequence
from statistics import mean, stdev


def paired_difference(these: Sequence[float], those: Sequence[float]) -> tuple[float, float]:
    """Mean of the differences seed by seed, and its standard error."""
    differences = [a - b for a, b in zip(these, those, strict=True)]
    return mean(differences), stdev(differences) / len(differences) ** 0.5


def spread(scores: Sequence[float]) -> str:
    """Mean and standard deviation, as they are printed."""
    return f"{mean(scores):.2f} ± {stdev(scores):.2f}" if len(scores) > 1 else f"{scores[0]:.2f}"
