"""The vocabulary of settings: a field with a default, a help sentence and, for the essential ones, a short flag."""

from dataclasses import field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

Auto = Literal["auto"]
Count = Annotated[int, Ge(1)]
Natural = Annotated[int, Ge(0)]
Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
Fraction = Annotated[float, Gt(0), Le(1)]


def setting(default: Any, help: str, *, flag: str | None = None) -> Any:
    """A dataclass field. ``flag`` is its short command-line name; the others are called ``--section.name``."""
    return field(default=default, metadata={"help": help, "flag": flag})
