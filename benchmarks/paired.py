"""Timing tasks in turns, so that what a shared machine does at the moment falls on all of them alike."""

import time
from collections.abc import Callable, Mapping
from statistics import median

import torch

SETTLE = 0.3  # seconds until the threads of the task before no longer spin


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
