"""The solvers by name."""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Literal, Protocol

import torch
from torch import Tensor

from wmdd.core.errors import SettingsError
from wmdd.ot.balanced import solve_uniform
from wmdd.ot.barycenter import BarycenterOutput, BarycenterProblem
from wmdd.ot.blocks import solve_in_blocks
from wmdd.ot.checks import require_positive
from wmdd.ot.published import solve_paper
from wmdd.ot.quantization import solve_exact

Method = Literal["exact", "uniform", "floored", "paper"]
FLOOR = 0.5  # of 1/m: the least weight that ``floored`` leaves an atom


class Solver(Protocol):
    """Problem in, output out; the same seed gives a class the same output, whatever else is solved with it."""

    def __call__(self, problem: BarycenterProblem, *, seed: int, restarts: int, iterations: int) -> BarycenterOutput:
        """Solve ``problem`` from ``restarts`` starts of at most ``iterations`` iterations each."""


SOLVERS: Mapping[str, Solver] = MappingProxyType(
    {
        "exact": solve_exact,
        "uniform": solve_uniform,
        "floored": partial(solve_uniform, floor=FLOOR),
        "paper": solve_paper,
    }
)


def solve(
    problem: BarycenterProblem,
    method: Method,
    seed: int = 0,
    restarts: int = 10,
    iterations: int = 100,
    device: torch.device | None = None,
) -> BarycenterOutput:
    """Solve ``problem`` with free weights (``exact``), equal ones (``uniform``), or by Algorithm 1 (``paper``).

    Weights of ``floored`` are free, but none is below half of 1/m: an outlier cannot have an atom to itself.

    ``paper`` as published is ``restarts=1, iterations=10``. Blocks of classes are moved to ``device`` (by default they
    stay where the points are); the output is where the points are, or on the CPU. Raises ``SettingsError`` for an
    unknown method, or when restarts or iterations are below 1.
    """
    if method not in SOLVERS:
        raise SettingsError(f"The barycenter solver must be one of {', '.join(SOLVERS)}, not {method!r}.")
    require_positive(restarts=restarts, iterations=iterations)
    if device is None:
        device = problem.points.device if isinstance(problem.points, Tensor) else torch.device("cpu")
    return solve_in_blocks(
        problem, device, partial(SOLVERS[method], seed=seed, restarts=restarts, iterations=iterations)
    )
