"""The solvers by name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, Protocol

from wmdd.core.errors import SettingsError
from wmdd.ot.balanced import solve_uniform
from wmdd.ot.barycenter import BarycenterOutput, BarycenterProblem
from wmdd.ot.checks import require_positive
from wmdd.ot.published import solve_paper
from wmdd.ot.quantization import solve_exact

Method = Literal["exact", "uniform", "paper"]


class Solver(Protocol):
    """Problem in, output out; the same seed gives the same output, whatever else was solved before."""

    def __call__(self, problem: BarycenterProblem, *, seed: int, restarts: int, iterations: int) -> BarycenterOutput:
        """Solve ``problem`` from ``restarts`` starts of at most ``iterations`` iterations each."""


SOLVERS: Mapping[str, Solver] = MappingProxyType({"exact": solve_exact, "uniform": solve_uniform, "paper": solve_paper})


def solve(
    problem: BarycenterProblem, method: Method, seed: int = 0, restarts: int = 4, iterations: int = 100
) -> BarycenterOutput:
    """Solve ``problem`` by ``exact`` (free weights), ``uniform`` (equal weights) or ``paper`` (Algorithm 1).

    ``paper`` as published is ``restarts=1, iterations=10``. Raises ``SettingsError`` for an unknown method, or when
    restarts or iterations are below 1.
    """
    if method not in SOLVERS:
        raise SettingsError(f"The barycenter solver must be one of {', '.join(SOLVERS)}, not {method!r}.")
    require_positive(restarts=restarts, iterations=iterations)
    return SOLVERS[method](problem, seed=seed, restarts=restarts, iterations=iterations)
