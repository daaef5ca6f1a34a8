"""Steps of large batches, from steps of small ones: what they take lies on a line, on a CPU and on a full GPU."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from wmdd.pipeline.plan.probe import Probe, Task, probe, seconds_of_a_step

_FEW, _MORE = 2, 8  # images of the two steps that a line goes through, at least
_LONG = 2.0  # seconds of a step that is not measured as a whole


@dataclass(frozen=True)
class Batch:
    """Steps on a whole batch: ``fixed`` seconds of one do not go with its images; at most ``measured`` were shown."""

    probe: Probe
    fixed: float
    measured: int


def probe_batch(task_of: Callable[[int], Task], size: int, device: torch.device, *, divided: bool) -> Batch:
    """Measure steps of ``task_of(size)``, which works on so many images; on parts of them where that takes long.

    Where a batch will be ``divided`` among processes, a part is measured too.
    """
    few = min(size, _FEW)
    each = seconds_of_a_step(task_of(few)) / few
    long = few < size and each * size > _LONG
    many = min(size, max(_MORE, int(_LONG / each))) if long else size
    high = probe(task_of(many), device)
    if few == size or not (long or divided):
        return Batch(high, 0.0, many)
    low = probe(task_of(few), device)

    def at(images: int, what: str) -> float:
        here, there = (float(getattr(found, what)) for found in (low, high))
        here = min(here, there)  # fewer images take no more, whatever a clock says that was held up
        return max(0.0, here + (there - here) * (images - few) / (many - few))

    whole = Probe(low.cold, at(size, "first"), at(size, "step"), at(size, "flops"), at(size, "peak_mb"))
    return Batch(whole, at(0, "step"), many)
