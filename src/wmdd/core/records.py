"""What a run directory says of finished work: written by the pipeline, read by it and by the page."""

import math
from dataclasses import dataclass, field
from typing import Any

STAGES = ("teacher", "statistics", "barycenters", "synthesis", "relabel", "evaluation")

_KINDS: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "key": str,
    "covers": dict,
    "files": dict,
    "seconds": (int, float),
    "peak_mb": (int, float),
    "machine": str,
    "versions": dict,
    "precision": str,
}


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


def unit_record(values: Any) -> UnitRecord:
    """The record that a JSON file holds as ``values``.

    Raises:
        ValueError: it holds something else.
    """
    if not isinstance(values, dict) or not {*values} <= {*_KINDS}:
        raise ValueError("it is no record")
    for name, value in values.items():
        if not isinstance(value, _KINDS[name]) or (isinstance(value, float) and not math.isfinite(value)):
            raise ValueError(f"its {name} is {value!r:.80}")
    if not all(isinstance(sha, str) for sha in values.get("files", {}).values()):
        raise ValueError("its files have no hashes")
    covers = values.get("covers", {})
    for name in ("classes", "epochs"):
        numbers = covers.get(name, [])
        if not isinstance(numbers, list) or not all(type(k) is int and 0 <= k < 2**31 for k in numbers):
            raise ValueError(f"its {name} are {numbers!r:.80}")
    if "epochs" in covers and len(covers["epochs"]) != 2:
        raise ValueError("its epochs are no range")
    try:
        return UnitRecord(**values)
    except TypeError as error:
        raise ValueError(f"it lacks something ({error})") from error
