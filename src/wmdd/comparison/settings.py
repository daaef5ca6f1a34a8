"""What is compared: sets, and the settings in which they differ. It only ever grows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from wmdd.comparison.methods import BASELINE
from wmdd.config import RunConfig
from wmdd.config.load import Values, dotted, merge, nested, parse
from wmdd.core.errors import RunError

_FREE = (
    *("evaluation.protocols", "evaluation.students", "runtime.device", "runtime.threads"),
    *("data.convert", "data.workers", "data.memory_gb"),
)


@dataclass(frozen=True)
class Member:
    """One set to make and to score: a method, images per class, and the seed of set and student."""

    method: str
    ipc: int
    seed: int

    @property
    def folder(self) -> str:
        """Where its run lies in the comparison's folder."""
        return f"sets/{self.method}/ipc-{self.ipc:03d}/seed-{self.seed}"


@dataclass(frozen=True)
class Comparison:
    """``settings`` (nested) that all share, ``methods`` with those in which each differs, and how many sets."""

    settings: Values
    methods: Mapping[str, Values]
    ipc: tuple[int, ...]
    seeds: int

    @property
    def shared(self) -> RunConfig:
        """The settings of the run that teacher and statistics are taken from, which makes no images."""
        return parse(merge(self.settings, {"ipc": 1}))

    def members(self) -> Iterator[Member]:
        """All sets, so that a table of all methods is there early."""
        for ipc in sorted(self.ipc):
            for seed in range(self.seeds):
                for method in sorted(self.methods, key=lambda name: name != BASELINE):
                    yield Member(method, ipc, seed)

    def config_of(self, member: Member) -> RunConfig:
        """The settings of a member's run: its own seed for the set and the student, and no baseline of its own."""
        own = {
            "ipc": member.ipc,
            "synthesis.seed": member.seed,
            "evaluation.seeds": [member.seed],
            "evaluation.random_real": False,
        }
        return parse(merge(merge(self.settings, self.methods[member.method]), nested(own)), member.method)

    def with_all_of(self, other: "Comparison", folder: Path) -> "Comparison":
        """What is compared here, begun in ``folder``, and what ``other`` adds.

        Raises:
            RunError: ``other`` has other settings, or another method of the same name.
        """
        was, now = dotted(self.shared.with_whole_paths()), dotted(other.shared.with_whole_paths())
        for name in (name for name in now if now[name] != was[name] and name not in _FREE):
            raise RunError(
                f"{name} was {was[name]!r} when the comparison in {folder} was begun and is {now[name]!r} now: "
                "use a new folder."
            )
        for name in (
            name for name in other.methods if self.methods.get(name, other.methods[name]) != other.methods[name]
        ):
            raise RunError(
                f"the comparison in {folder} has another method {name!r}, with other settings: leave it out to go on "
                "with that one, give this one another name, or use a new folder."
            )
        return replace(
            other,
            methods={**self.methods, **other.methods},
            ipc=tuple(sorted({*self.ipc, *other.ipc})),
            seeds=max(self.seeds, other.seeds),
        )
