"""Barycenter problems, many classes at a time, and what a solver answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

import torch
from torch import Tensor

from wmdd.core.errors import DataError
from wmdd.ot.checks import require_masses, require_matrix
from wmdd.ot.plans import Duals


class Rows(Protocol):
    """A matrix read by slices of rows: a tensor, or something that keeps its rows elsewhere, on disk for example."""

    @property
    def shape(self) -> torch.Size:
        """``[N, D]``."""

    @property
    def dtype(self) -> torch.dtype:
        """Of the tensors that slices give."""

    def __getitem__(self, rows: slice, /) -> Tensor:
        """These rows."""


@dataclass(frozen=True, eq=False)
class BarycenterProblem:
    """For each of G classes find ``atoms`` = m weighted atoms near its points.

    ``min over Z [m, D], w in the simplex of W2^2(sum_j w_j delta(z_j), sum_i b_i delta(h_i))`` (arXiv 2311.18531).

    ``points [N, D]`` (float32 or float64) holds class after class, the g-th with ``sizes[g]`` rows (all rows are one
    class by default), nothing padded. ``masses [N]``, positive, weight the points of a class relative to each other
    (alike by default). Points may stay on disk (:class:`Rows`): solvers read them in blocks of classes.

    Raises ``DataError``, when built or, for rows not in memory, when read, for what is not finite, empty or in shape,
    and unless 1 <= m <= the size of every class.
    """

    points: Tensor | Rows
    atoms: int
    sizes: tuple[int, ...] | None = None
    masses: Tensor | None = None

    def __post_init__(self) -> None:
        if isinstance(self.points, Tensor):
            require_matrix("points", self.points)
        if self.points.dtype not in (torch.float32, torch.float64):
            raise DataError(f"points must be float32 or float64, not {self.points.dtype}.")
        if self.atoms < 1:
            raise DataError(f"A barycenter needs at least one atom, not {self.atoms}.")
        count = self.points.shape[0]
        if self.sizes is None:
            object.__setattr__(self, "sizes", (count,))
        if sum(self.lengths) != count or not self.lengths:
            raise DataError(f"sizes must sum to the {count} points, but they sum to {sum(self.lengths)}.")
        for g, size in enumerate(self.lengths):
            if size < max(1, self.atoms):
                of = f" of class {g}" if len(self.lengths) > 1 else ""
                raise DataError(f"{self.atoms} atoms were asked of {size} points{of}; ask for at most {size}.")
        if self.masses is not None:
            require_masses("masses", self.masses, count)
            if not bool((self.masses > 0).all()):
                raise DataError("masses must be positive: leave out points that have none.")

    @property
    def lengths(self) -> tuple[int, ...]:
        """``sizes``, whether they were given or not."""
        assert self.sizes is not None
        return self.sizes

    @property
    def width(self) -> int:
        """D."""
        return self.points.shape[1]

    def __len__(self) -> int:
        return len(self.lengths)

    def select(self, classes: range, device: torch.device | None = None) -> "BarycenterProblem":
        """The problem of consecutive ``classes``, its points in memory (on ``device``)."""
        first = sum(self.lengths[: classes.start])
        sizes = self.lengths[classes.start : classes.stop]
        rows = slice(first, first + sum(sizes))
        points = self.points[rows]
        masses = None if self.masses is None else self.masses[rows]
        if device is not None:
            points, masses = points.to(device), masses if masses is None else masses.to(device)
        return BarycenterProblem(points, self.atoms, sizes, masses)

    def measures(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The points ``[n, D]`` of every class and their masses ``[n]``, which sum to 1, in float64."""
        for first, size in zip(accumulate((0, *self.lengths)), self.lengths, strict=False):
            rows = slice(first, first + size)
            points = self.points[rows]
            masses = torch.ones(size, device=points.device) if self.masses is None else self.masses[rows]
            yield points, masses.double() / masses.double().sum()


@dataclass(frozen=True, eq=False)
class BarycenterOutput:
    """G barycenters: ``atoms [G, m, D]`` and ``weights [G, m]`` (rows sum to 1) in the dtype of the points.

    ``cost [G]`` (float64) is the exact W2^2 between atoms with weights and the points; ``history[g]`` the cost after
    each iteration of the winning start (it never rises), ``iterations [G]`` its length; ``converged [G]``;
    ``restarts`` those asked for (``uniform`` and ``floored`` on a GPU: 1). ``duals[g]`` certify the cost
    (:class:`wmdd.ot.plans.Duals`; points in the caller's order).
    """

    atoms: Tensor
    weights: Tensor
    cost: Tensor
    history: tuple[tuple[float, ...], ...]
    iterations: Tensor
    converged: Tensor
    restarts: int
    duals: tuple[Duals, ...]

    def __len__(self) -> int:
        return len(self.cost)

    def __repr__(self) -> str:
        classes, m, d = self.atoms.shape
        costs = f"W2^2 {float(self.cost.mean()):.6g}"
        if classes > 1:
            costs = f"{classes} classes, mean {costs} ({float(self.cost.min()):.4g} to {float(self.cost.max()):.4g})"
        return (
            f"BarycenterOutput({costs}, {m} atoms in R^{d}, weights {float(self.weights.min()):.3g} to "
            f"{float(self.weights.max()):.3g}, converged {int(self.converged.sum())}/{classes} after "
            f"{int(self.iterations.max())} iterations, restarts {self.restarts})"
        )

    def to(self, device: torch.device) -> "BarycenterOutput":
        """The same on ``device``; what counts iterations and convergence is on the CPU always."""
        duals = tuple(Duals(*(potential.to(device) for potential in pair)) for pair in self.duals)
        return BarycenterOutput(
            self.atoms.to(device),
            self.weights.to(device),
            self.cost,
            self.history,
            self.iterations,
            self.converged,
            self.restarts,
            duals,
        )


@dataclass(frozen=True, eq=False)
class ClassOutput:
    """The barycenter of one class: what :class:`BarycenterOutput` stacks."""

    atoms: Tensor
    weights: Tensor
    cost: float
    history: tuple[float, ...]
    converged: bool
    duals: Duals


def stack(found: Sequence[ClassOutput], restarts: int, dtype: torch.dtype) -> BarycenterOutput:
    """The outputs of the classes as one, atoms and weights in ``dtype``."""
    return BarycenterOutput(
        atoms=torch.stack([one.atoms for one in found]).to(dtype),
        weights=torch.stack([one.weights for one in found]).to(dtype),
        cost=torch.tensor([one.cost for one in found], dtype=torch.float64),
        history=tuple(one.history for one in found),
        iterations=torch.tensor([len(one.history) for one in found]),
        converged=torch.tensor([one.converged for one in found]),
        restarts=restarts,
        duals=tuple(one.duals for one in found),
    )


def join(parts: Sequence[BarycenterOutput]) -> BarycenterOutput:
    """The outputs of several blocks of classes as one."""
    return BarycenterOutput(
        atoms=torch.cat([part.atoms for part in parts]),
        weights=torch.cat([part.weights for part in parts]),
        cost=torch.cat([part.cost for part in parts]),
        history=tuple(history for part in parts for history in part.history),
        iterations=torch.cat([part.iterations for part in parts]),
        converged=torch.cat([part.converged for part in parts]),
        restarts=parts[0].restarts,
        duals=tuple(duals for part in parts for duals in part.duals),
    )
