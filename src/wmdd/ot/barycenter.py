"""The barycenter problem of one class and what a solver answers."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from wmdd.core.errors import DataError
from wmdd.ot.checks import require_matrix
from wmdd.ot.plans import Duals


@dataclass(frozen=True, eq=False)
class BarycenterProblem:
    """Find ``atoms`` = m weighted atoms near the uniform measure on ``points [n, D]`` (float32 or float64).

    ``min over Z [m, D], w in the simplex of W2^2(sum_j w_j delta(z_j), (1/n) sum_i delta(h_i))`` (arXiv 2311.18531).
    Raises ``DataError`` when the points are not a finite, non-empty float matrix, or unless 1 <= m <= n.
    """

    points: Tensor
    atoms: int

    def __post_init__(self) -> None:
        require_matrix("points", self.points)
        if self.points.dtype not in (torch.float32, torch.float64):
            raise DataError(f"points must be float32 or float64, not {self.points.dtype}.")
        if self.atoms < 1:
            raise DataError(f"A barycenter needs at least one atom, not {self.atoms}.")
        if self.atoms > self.count:
            raise DataError(f"{self.atoms} atoms were asked of {self.count} points; ask for at most {self.count}.")

    @property
    def count(self) -> int:
        """Number of points, n."""
        return self.points.shape[0]

    @property
    def masses(self) -> Tensor:
        """The mass ``1/n`` of every point, ``[n]``, float64."""
        return torch.full((self.count,), 1 / self.count, dtype=torch.float64, device=self.points.device)

    def centred(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The points ``[n, D]`` less their mean, in ``dtype``, and that mean ``[D]`` in float64.

        Centring keeps float32 products accurate however far from the origin the class lies. The rows are ordered by
        their distance to the mean, an order that permuting, translating, rotating or scaling the class leaves alone:
        so a seed makes the same random choices of points whatever the order in which they came.
        """
        points = self.points.double()
        centre = points.mean(0)
        shifted = points - centre
        return shifted[shifted.square().sum(1).argsort(stable=True)].to(dtype), centre


@dataclass(frozen=True, eq=False)
class BarycenterOutput:
    """A barycenter: ``atoms [m, D]`` in the dtype of the points, ``weights [m]`` in it too (they sum to 1).

    ``cost`` is the exact W2^2 between the output and the uniform measure on the points, ``history`` the cost after each
    iteration of the winning start (it never rises), ``iterations`` its length, ``restarts`` the starts tried.
    ``duals`` certify the cost at the returned atoms and weights (:class:`wmdd.ot.plans.Duals`; the points in the
    caller's order).
    """

    atoms: Tensor
    weights: Tensor
    cost: float
    history: tuple[float, ...]
    iterations: int
    converged: bool
    restarts: int
    duals: Duals | None = None

    def __repr__(self) -> str:
        m, d = self.atoms.shape
        ending = "converged" if self.converged else "not converged"
        return (
            f"BarycenterOutput({m} atoms in R^{d}, W2^2 {self.cost:.6g}, weights {float(self.weights.min()):.3g} to "
            f"{float(self.weights.max()):.3g}, {ending} after {self.iterations} iterations, restarts {self.restarts})"
        )


def cheapest(outputs: list[BarycenterOutput]) -> BarycenterOutput:
    """The start that ended lowest (the first of equals), knowing how many were tried."""
    return replace(min(outputs, key=lambda output: output.cost), restarts=len(outputs))
