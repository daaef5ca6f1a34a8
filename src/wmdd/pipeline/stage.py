"""What a stage is to the runner."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from wmdd.pipeline.units import Unit
from wmdd.pipeline.workspace import UnitContext, Workspace


class Stage(ABC):
    """A step of the method, cut into units.

    ``settings`` are the dotted names (or whole sections) that its results depend on; ``needs`` are the stages it reads.
    """

    name: ClassVar[str]
    settings: ClassVar[tuple[str, ...]]
    needs: ClassVar[tuple[str, ...]]

    @abstractmethod
    def units(self, work: Workspace) -> Sequence[Unit]:
        """All units of the stage, in an order fixed by the settings."""

    @abstractmethod
    def make(self, unit: Unit, work: Workspace, context: UnitContext) -> Sequence[Path]:
        """Do one unit; returns the files that it wrote."""

    def most_together(self, work: Workspace) -> int:
        """How many processes may make a unit together."""
        return 1

    def relieve(self, work: Workspace) -> bool:
        """Make the stage need less of a GPU's memory, which has run out; False where there is no way."""
        return False
