"""What a run directory says of finished work: written by the pipeline, read by it and by the page."""

from dataclasses import dataclass, field
from typing import Any

STAGES = ("teacher", "statistics", "barycenters", "synthesis", "relabel", "evaluation")


@dataclass(frozen=True)
class UnitRecord:
    """A finished unit. ``key`` hashes the settings and inputs it was made from; ``files`` maps paths to SHA-256."""

    name: str
    key: str
    covers: dict[str, Any]
    files: dict[str, str]
    seconds: float
    peak_mb: float
    machine: str
    versions: dict[str, str] = field(default_factory=dict)
    precision: str = ""
    """The one it was made in where that is not the run's (a loss was not finite in bfloat16)."""

    @property
    def classes(self) -> list[int]:
        """The classes it covers (none for units of other kinds)."""
        return list(self.covers.get("classes", ()))

    @property
    def label_form(self) -> str:
        """The form of its soft labels, as ``evaluation.labels`` calls it; records of the first form do not say so."""
        return str(self.covers.get("form", "stored"))
