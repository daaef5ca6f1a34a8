"""How long units take with many teams at them, some of which die: the runner's order of events without its work."""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, order=True)
class _Attempt:
    """A team at a unit of which the part ``left`` was to be done at ``begin``; at ``end`` it has, or it ``fails``."""

    end: float
    unit: int
    begin: float
    left: float
    fails: bool


@dataclass(frozen=True)
class Deaths:
    """Processes die in the ``share`` of the units; the next one is there at once, and ``all_stop`` under torchrun."""

    share: float = 0.0
    all_stop: bool = False


def makespan(
    seconds: Sequence[float],
    teams: int,
    *,
    deaths: Deaths = Deaths(),
    savepoints: int = 1,
    random: Random | None = None,
) -> float:
    """Seconds until units of ``seconds`` are done by ``teams``, each of which takes the next one when it is free.

    A unit whose process dies, at a moment that ``random`` draws, is taken up again from the last of its ``savepoints``,
    which divide it evenly: with 1 it begins anew. What is left of a unit is as likely to fail as it is long.
    """
    random = random or Random(0)
    left = [1.0] * len(seconds)
    waiting, running = list(range(len(seconds)))[::-1], list[_Attempt]()
    now = 0.0

    def begin(unit: int) -> _Attempt:
        fails = random.random() < deaths.share * left[unit]
        share = random.random() if fails else 1.0
        return _Attempt(now + share * left[unit] * seconds[unit], unit, now, left[unit], fails)

    while waiting or running:
        while waiting and len(running) < teams:
            heapq.heappush(running, begin(waiting.pop()))
        event = heapq.heappop(running)
        now = event.end
        if event.fails:
            stopped = [event, *running] if deaths.all_stop else [event]
            running = [] if deaths.all_stop else running
            for attempt in stopped:
                left[attempt.unit] = _left(attempt, now, seconds[attempt.unit], savepoints)
            waiting = sorted([*waiting, *(attempt.unit for attempt in stopped)], reverse=True)
    return now


def _left(attempt: _Attempt, now: float, seconds: float, savepoints: int) -> float:
    """The part of a unit that was not yet kept at ``now``."""
    done = 1 - attempt.left + (now - attempt.begin) / seconds if seconds else 0.0
    return 1 - max(1 - attempt.left, math.floor(done * savepoints) / savepoints)
