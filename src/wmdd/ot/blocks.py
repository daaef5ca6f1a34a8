"""Large problems in blocks of classes: bounded memory, one thread a block, the same result however they are cut."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate, groupby

import torch

from wmdd.ot.barycenter import BarycenterOutput, BarycenterProblem, join

CPU_BLOCK = 12_000_000  # bytes of points: what a core's share of the caches holds in the search, which is narrower
GPU_BLOCK = 2_000_000_000  # bytes of points: enough to fill the device, little enough to leave room for work
SMALL_BLOCK = 4_000_000  # bytes of points: below, threads wait for one another more than they work
WIDE = 200_000_000  # bytes of points from which on a class has all the threads to itself


def split(problem: BarycenterProblem, block_bytes: int, at_least: int) -> list[range]:
    """Consecutive classes in blocks about equally large: ``at_least`` so many, unless they would be small.

    None is larger than ``block_bytes`` by more than a class: each class is in the block where its middle falls.
    """
    sizes = [class_bytes(problem, range(g, g + 1)) for g in range(len(problem))]
    total = sum(sizes)
    limit = min(block_bytes, max(-(-total // at_least), SMALL_BLOCK))
    count = -(-total // limit)
    middles = (end - size // 2 for end, size in zip(accumulate(sizes), sizes, strict=True))
    blocks = groupby(range(len(problem)), [middle * count // total for middle in middles].__getitem__)
    return [range(classes[0], classes[-1] + 1) for classes in (list(block) for _, block in blocks)]


def class_bytes(problem: BarycenterProblem, classes: range) -> int:
    """Bytes of the points of ``classes``."""
    return sum(problem.lengths[classes.start : classes.stop]) * problem.width * problem.points.dtype.itemsize


def solve_in_blocks(
    problem: BarycenterProblem, device: torch.device, solver: Callable[[BarycenterProblem], BarycenterOutput]
) -> BarycenterOutput:
    """``solver`` on every block of classes, on ``device``; results on the CPU when the points are not in memory.

    On a CPU every block has one thread, and as many blocks run at once as torch has threads: sums are then made in an
    order that the number of threads does not change. (A class too large for that has all threads.)
    """
    home = problem.points.device if isinstance(problem.points, torch.Tensor) else torch.device("cpu")

    def solve_block(classes: range) -> BarycenterOutput:
        return solver(problem.select(classes, device)).to(home)

    if device.type != "cpu":
        return join([solve_block(classes) for classes in split(problem, GPU_BLOCK, 1)])
    blocks = split(problem, CPU_BLOCK, torch.get_num_threads())
    wide = {classes: solve_block(classes) for classes in blocks if class_bytes(problem, classes) > WIDE}
    narrow = [classes for classes in blocks if classes not in wide]
    found = wide | dict(zip(narrow, _one_thread_each(solve_block, narrow), strict=True))
    return join([found[classes] for classes in blocks])


def _one_thread_each(
    solve_block: Callable[[range], BarycenterOutput], blocks: Sequence[range]
) -> list[BarycenterOutput]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        if len(blocks) < 2:  # a thread of its own would begin with fresh memory
            return list(map(solve_block, blocks))
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(solve_block, blocks))
    finally:
        torch.set_num_threads(threads)
