"""A stage of a plan with any number of processes at it."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from wmdd.pipeline.plan.parts import Parts, epochs_of
from wmdd.pipeline.plan.simulation import Deaths, makespan
from wmdd.pipeline.units import Unit, team_size

_NONE = Deaths()


@dataclass(frozen=True)
class Work:
    """What a stage has to do: its ``units``, ``most_together`` processes at one, and the ``parts`` of all of them."""

    stage: str
    units: Sequence[Unit]
    most_together: int
    parts: Parts

    def team(self, workers: int) -> int:
        """How many of the ``workers`` make a unit together."""
        return team_size(len(self.units), workers, self.most_together)

    def seconds(
        self,
        workers: int,
        *,
        deaths: Deaths = _NONE,
        spread: Sequence[float] = (1.0,),
        random: Random | None = None,
    ) -> float:
        """Seconds until all is done, as of :func:`makespan`; each unit's are stretched by one drawn of ``spread``."""
        random = random or Random(0)
        team = self.team(workers)
        everyone = sum(part.seconds_of(1) if part.everyone else 0.0 for part in self.parts.parts)
        units = [seconds * random.choice(spread) for seconds in self.unit_seconds(team)]
        longest = makespan(units, workers // team, deaths=deaths, savepoints=self.parts.savepoints, random=random)
        return sum(part.cold for part in self.parts.parts) + everyone + longest

    def unit_seconds(self, team: int) -> list[float]:
        """Seconds of each unit, made by a ``team``."""
        sizes = {unit.name: _size(unit) for unit in self.units}
        found = dict.fromkeys(sizes, 0.0)
        for part in self.parts.parts:
            if not part.everyone:
                mine = part.units or tuple(sizes)
                for name in mine:
                    found[name] += part.seconds_of(team) * sizes[name] / sum(sizes[other] for other in mine)
        return list(found.values())

    def gradients(self, workers: int) -> float:
        """Bytes of gradients that the busiest process sends, and as many that it receives."""
        team = self.team(workers)
        rounds = -(-len(self.units) // (workers // team))
        shared = [(part, part.shared) for part in self.parts.parts if part.shared]
        sent = sum(part.steps * how.bytes_sent(team) for part, how in shared)
        return sent * rounds / len(self.units) if self.units else 0.0


def _size(unit: Unit) -> int:
    """How much there is to do in a unit, beside the others of its stage."""
    if "classes" in unit.covers:
        return len(unit.covers["classes"])
    return epochs_of(unit) if "epochs" in unit.covers else 1
