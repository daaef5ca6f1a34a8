"""Timing tasks in turns, so that what a shared machine does at the moment falls on all of them alike."""

import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from statistics import median

import torch

SETTLE = 0.3  # seconds until the threads of the task before no longer spin
WARM = 3  # steps of a turn that are not counted

Tick = Callable[[], None]


def in_turns(tasks: Mapping[str, Callable[[], object]], repeats: int, settle: float = SETTLE) -> dict[str, float]:
    """The median seconds of each task over ``repeats`` turns; one turn more, the first, is not counted."""
    found: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(repeats + 1):
        for name, task in tasks.items():
            time.sleep(settle)
            seconds = timed(task)
            if turn:
                found[name].append(seconds)
    return {name: median(seconds) for name, seconds in found.items()}


def steps_in_turns(tasks: Mapping[str, Callable[[Tick], object]], repeats: int) -> dict[str, float]:
    """The median seconds of a step of each task: of its steps after the first ``WARM``, in all of its turns.

    A task calls what it is given after each of its steps, ``WARM`` and at least one more. The first ones of a turn take
    fresh memory, which the hundreds that follow in a real run take over.
    """
    found: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(repeats):
        for name, task in tasks.items():
            time.sleep(SETTLE)
            ends: list[float] = []

            def tick(ends: list[float] = ends) -> None:
                _synchronize()
                ends.append(time.perf_counter())

            task(tick)
            found[name] += [after - before for before, after in pairwise(ends[WARM - 1 :])]
    return {name: median(seconds) for name, seconds in found.items()}


def timed(task: Callable[[], object]) -> float:
    """Seconds of one call, the device's work included."""
    _synchronize()
    began = time.perf_counter()
    task()
    _synchronize()
    return time.perf_counter() - began


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
