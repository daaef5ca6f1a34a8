"""Barycenters of histograms on a regular grid, by entropic transport with separable kernels."""

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from wmdd.core.errors import DataError, SettingsError
from wmdd.ot.checks import require_positive

CHECK_EVERY = 10  # iterations between two looks at that, each of which a GPU has to wait for
SELF_STEPS = 10  # steps for d in an iteration: it is the slowest to converge, and a step costs 1 / 2N of the others
ROOM = 0.8  # share of the exponents of a dtype that a kernel may span: the rest is for products and sums


@dataclass(frozen=True, eq=False)
class GridProblem:
    """B independent problems: find the histogram ``mu_b`` that minimises ``sum_i lambda_bi W_eps(mu_b, nu_bi)``.

    ``histograms [B, N, n_1, ..., n_d]`` (float32 or float64) are the ``nu_bi`` on a grid of d axes whose neighbouring
    cells are ``spacing`` apart; each is divided by its sum. ``shares [B, N]`` are the ``lambda_bi``; the rows are
    divided by their sums. The ground cost is the squared Euclidean distance of cell centres.

    Raises:
        DataError: a histogram or a row of shares is not finite, has a negative entry or no mass, or the shapes differ.
        SettingsError: the spacing is not a positive number.
    """

    histograms: Tensor
    shares: Tensor
    spacing: float = 1.0

    def __post_init__(self) -> None:
        if self.histograms.ndim < 3:
            raise DataError(f"histograms must be [B, N, n_1, ..., n_d], but their shape is {self._shape()}.")
        if self.histograms.dtype not in (torch.float32, torch.float64):
            raise DataError(f"histograms must be float32 or float64, not {self.histograms.dtype}.")
        if self.shares.shape != self.histograms.shape[:2]:
            raise DataError(
                f"shares must have the shape {self._shape()[:2]} of the problems and their histograms, "
                f"not {list(self.shares.shape)}."
            )
        for name, masses in (("histograms", self.histograms.flatten(2)), ("shares", self.shares)):
            if not (bool(torch.isfinite(masses).all()) and bool((masses >= 0).all())):
                raise DataError(f"{name} must be finite and non-negative.")
            if not bool((masses.sum(-1) > 0).all()):
                raise DataError(f"{name} must each have a positive sum.")
        _require_positive_number("spacing", self.spacing)

    def _shape(self) -> list[int]:
        return list(self.histograms.shape)


@dataclass(frozen=True, eq=False)
class GridOutput:
    """The barycenters ``histograms [B, n_1, ..., n_d]``, which sum to 1, in the dtype of the problem.

    ``error [B]`` is the largest total mass by which a marginal of a plan misses what it should be, when problem b was
    last looked at: a ``nu_bi``, or the barycenter itself for the self-term of the debiased problem. ``iterations [B]``
    and ``converged [B]`` say when it stopped, and whether that error was within the tolerance.
    """

    histograms: Tensor
    error: Tensor
    iterations: Tensor
    converged: Tensor

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.histograms.shape[1:]))
        return (
            f"GridOutput({len(self.histograms)} barycenters of {size} cells, {int(self.converged.sum())} converged, "
            f"at most {int(self.iterations.max())} iterations, marginals within {float(self.error.max()):.2g})"
        )


def solve_grid(
    problem: GridProblem, *, epsilon: float, iterations: int = 2000, tolerance: float = 1e-4, debiased: bool = True
) -> GridOutput:
    """Iterative Bregman projections (Benamou et al. 2015, arXiv 1412.5154) in the log domain.

    Plans are ``T_i = diag(a_i) K diag(b_i)`` with ``K = exp(-c / epsilon)``, ``epsilon`` in units of squared distance;
    K is a product of one kernel per axis (Solomon et al. 2015), so an iteration costs ``O(N prod(n) sum(n))``:
    ``a_i <- nu_i / K b_i``, ``q_i <- K a_i``, ``mu <- d prod_i q_i^lambda_i``, ``b_i <- mu / q_i``.

    With ``d = 1`` that minimises ``sum_i lambda_i W_eps(mu, nu_i)``, whose solution is blurred by about
    ``sqrt(epsilon / 2)``. ``debiased`` adds the step ``d <- sqrt(d mu / K d)``, which minimises Sinkhorn divergences
    instead: their self-term takes the blur out (Janati, Cuturi and Gramfort 2020, arXiv 2006.02575). A barycenter much
    narrower than ``sqrt(epsilon)`` is approached slowly, as d has to become steep.

    A problem has converged when no marginal of its plans misses more than ``tolerance`` of the mass. Problems stop one
    by one: none depends on which others are in the batch.

    Raises:
        SettingsError: epsilon or tolerance is not a positive number, or iterations is below 1.
    """
    require_positive(iterations=iterations)
    _require_positive_number("epsilon", epsilon)
    _require_positive_number("tolerance", tolerance)
    state = _Projections.begin(problem, epsilon, debiased)
    answer = torch.zeros_like(state.log_d)
    done = torch.zeros(len(answer), dtype=torch.bool, device=answer.device)
    stopped = torch.zeros_like(done, dtype=torch.long)
    error = torch.zeros_like(done, dtype=answer.dtype)
    for number in range(1, iterations + 1):
        found = state.step()
        if number % CHECK_EVERY == 0 or number == iterations:
            missed, going = state.missed(found), ~done
            answer[going], error[going], stopped[going] = found[going], missed[going], number
            done |= missed <= tolerance
            if bool(done.all()):
                break
    axes = tuple(range(1, answer.ndim))
    histograms = (answer - answer.logsumexp(axes, keepdim=True)).exp()
    return GridOutput(histograms, error, iterations=stopped, converged=done)


def _require_positive_number(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise SettingsError(f"{name} must be a positive number, not {value}.")


@dataclass(eq=False)
class _Projections:
    """The logarithms of one iterate: ``log_b`` and ``reached = log(K b)`` ``[B, N, ...]``, ``log_d [B, ...]``."""

    log_targets: Tensor
    shares: Tensor
    kernels: list[Tensor]
    debiased: bool

    def __post_init__(self) -> None:
        self.log_b = torch.zeros_like(self.log_targets)
        self.log_d = torch.zeros_like(self.log_targets[:, 0])
        self.log_self = self.log_d
        self.reached = self.before = self._smooth(self.log_b)

    @classmethod
    def begin(cls, problem: GridProblem, epsilon: float, debiased: bool) -> Self:
        histograms = problem.histograms
        lengths = histograms.shape[2:]
        targets = histograms / histograms.flatten(2).sum(-1).view(*histograms.shape[:2], *[1] * len(lengths))
        shares = (problem.shares / problem.shares.sum(1, keepdim=True)).to(targets)
        cells = [torch.arange(n, dtype=torch.float64) * problem.spacing for n in lengths]
        kernels = [-(x[:, None] - x).square() / epsilon for x in cells]
        return cls(
            log_targets=targets.log(),
            shares=shares.view(*shares.shape, *[1] * len(lengths)),
            kernels=[kernel.to(targets) for kernel in kernels],
            debiased=debiased,
        )

    def step(self) -> Tensor:
        """One round of projections; returns ``log mu [B, ...]``."""
        log_q = self._smooth(self.log_targets - self.reached)
        found = self.log_d + (self.shares * log_q).sum(1)
        self.log_b = found[:, None] - log_q
        for _ in range(SELF_STEPS if self.debiased else 0):
            self.log_self = self.log_d + self._smooth(self.log_d)
            self.log_d = self.log_d + (found - self.log_self) / 2
        self.before, self.reached = self.reached, self._smooth(self.log_b)
        return found

    def missed(self, found: Tensor) -> Tensor:
        """How much mass is out of place, ``[B]``: ``sum |a_i (K b_i) - nu_i|`` of the worst i, ``sum |d (K d) - mu|``.

        The latter only where there is a self-term; the other marginals of the plans are met by the last step.
        """
        misplaced = self.log_targets.exp() * torch.expm1(self.reached - self.before)
        worst = misplaced.abs().flatten(2).sum(-1).amax(1)
        if not self.debiased:
            return worst
        return torch.maximum(worst, (self.log_self.exp() - found.exp()).abs().flatten(1).sum(-1))

    def _smooth(self, log: Tensor) -> Tensor:
        """``log(K exp(log))`` over the last axes, one after the other.

        As a matrix product of what remains when the largest value of a line is taken out. That loses nothing as long
        as the kernel itself does not underflow, and is many times faster than adding up in the log domain.
        """
        for axis, kernel in enumerate(self.kernels, start=log.ndim - len(self.kernels)):
            lines = log.movedim(axis, -1)
            if -float(kernel[0, -1]) < ROOM * math.log(torch.finfo(log.dtype).max):
                top = lines.amax(-1, keepdim=True).clamp(min=torch.finfo(log.dtype).min)
                lines = ((lines - top).exp() @ kernel.exp()).log() + top
            else:
                lines = (lines[..., None, :] + kernel).logsumexp(-1)
            log = lines.movedim(-1, axis)
        return log
