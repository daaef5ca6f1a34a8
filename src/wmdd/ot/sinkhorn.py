"""Entropic transport for many problems at once, in the log domain."""

from dataclasses import dataclass

import torch
from torch import Tensor

from wmdd.core.errors import DataError
from wmdd.ot.checks import require_positive
from wmdd.ot.measures import require_above_zero

EPSILON = 0.05  # the default epsilon, as a share of the mean cost
SCALING = 0.5  # of epsilon, from one iteration to the next, until it has come down to the one that is asked for
CHECK = 10  # iterations between two looks at the marginals: a look waits for the device
RESOLVED = 1  # marginal error, in roundings of the largest exponent, that the dtype can still tell from zero
MASS_TOLERANCE = 1e-5  # deviation of a sum of masses from 1 that float32 rounding can explain


@dataclass(frozen=True, eq=False)
class SinkhornProblem:
    """B problems ``min <P, C> + epsilon KL(P | a b')``, ``P >= 0, P 1 = a, P' 1 = b`` (Cuturi 2013, arXiv 1306.0895).

    ``cost [B, m, n]``, ``a [B, m]`` and ``b [B, n]`` of one dtype (float32 or float64) and device; the rows of ``a``
    and ``b`` sum to 1. A mass may be zero: padded with such points, problems of different sizes share a batch, and the
    cost of the padding does not matter. ``epsilon``, a number or ``[B]``, is in the units of the cost; ``None`` is 0.05
    times the mean cost ``sum_ij a_i b_j |c_ij|`` of each problem.

    Raises ``DataError`` for NaN, inf, empty, negative or mismatched tensors and for masses that do not sum to 1,
    ``SettingsError`` unless epsilon is finite and above 0.
    """

    cost: Tensor
    a: Tensor
    b: Tensor
    epsilon: Tensor | float | None = None

    def __post_init__(self) -> None:
        if self.cost.ndim != 3 or self.cost.numel() == 0:
            raise DataError(f"cost must be a non-empty batch [B, m, n], but its shape is {list(self.cost.shape)}.")
        count, m, n = self.cost.shape
        shapes = {"cost": (count, m, n), "a": (count, m), "b": (count, n)}
        for name, value in (("cost", self.cost), ("a", self.a), ("b", self.b)):
            if value.shape != shapes[name]:
                raise DataError(f"{name} must have shape {list(shapes[name])}, but it has {list(value.shape)}.")
            if value.dtype != self.cost.dtype or value.dtype not in (torch.float32, torch.float64):
                raise DataError(f"cost, a and b must all be float32 or all float64, but {name} is {value.dtype}.")
            if not bool(torch.isfinite(value).all()):
                raise DataError(f"{name} must be finite, but it holds NaN or infinity.")
        for name, value in (("a", self.a), ("b", self.b)):
            if bool((value < 0).any()) or bool(((value.sum(1) - 1).abs() > MASS_TOLERANCE).any()):
                raise DataError(f"{name} must be non-negative masses, and each row of it must sum to 1.")
        if isinstance(self.epsilon, Tensor) and self.epsilon.shape not in ((), (count,)):
            raise DataError(f"epsilon must be a number or have shape [{count}], but it has {list(self.epsilon.shape)}.")
        if self.epsilon is not None:
            require_above_zero("epsilon", self.epsilon)

    @property
    def epsilons(self) -> Tensor:
        """The epsilon of each problem, ``[B]``, without gradient."""
        if self.epsilon is None:
            return mean_epsilon(self.cost, self.a, self.b)
        return torch.as_tensor(self.epsilon).detach().to(self.cost).expand(len(self.cost))

    @property
    def has_mass(self) -> Tensor:
        """Whether both points of a pair have mass, ``[B, m, n]``."""
        return (self.a > 0)[:, :, None] & (self.b > 0)[:, None]


@dataclass(frozen=True, eq=False)
class SinkhornOutput:
    """Dual potentials ``f [B, m]`` and ``g [B, n]`` of ``problem`` at ``epsilon [B]``, and how well they solve it.

    ``marginal_error [B]`` is ``sum_i |(P 1)_i - a_i| + sum_j |(P' 1)_j - b_j|``, the mass that the plan misplaces;
    ``converged [B]`` says whether it is within the tolerance, ``iterations [B]`` after how many iterations. Points
    without mass have potentials too: what a small mass there would cost.
    """

    problem: SinkhornProblem
    f: Tensor
    g: Tensor
    epsilon: Tensor
    marginal_error: Tensor
    iterations: Tensor
    converged: Tensor

    def plan(self) -> Tensor:
        """``P_ij = a_i b_j exp((f_i + g_j - c_ij) / epsilon)``, ``[B, m, n]``."""
        return self.problem.a[:, :, None] * self.problem.b[:, None, :] * self._density()

    @property
    def cost(self) -> Tensor:
        """``<P, C> + epsilon KL(P | a b')`` as the value of the dual, ``[B]``.

        ``<a, f> + <b, g> - epsilon <a b', exp((f + g - C) / epsilon) - 1>``. It bounds the optimum from below, and
        a small marginal error changes it in second order only. Differentiable once in cost and masses, the potentials
        held fixed (the envelope theorem): the gradients are P, f and g.
        """
        a, b = self.problem.a, self.problem.b
        linear = (a * self.f).sum(1) + (b * self.g).sum(1)
        return linear - self.epsilon * torch.einsum("bi,bj,bij->b", a, b, self._density() - 1)

    def _density(self) -> Tensor:
        exponent = (self.f[:, :, None] + self.g[:, None, :] - self.problem.cost) / self.epsilon[:, None, None]
        # Nothing bounds the exponent of two points without mass.
        return exponent.masked_fill(~self.problem.has_mass, 0).exp()

    def __repr__(self) -> str:
        count, m, n = self.problem.cost.shape
        return (
            f"SinkhornOutput({count} problems of {m} x {n}, {int(self.converged.sum())} converged after at most "
            f"{int(self.iterations.max())} iterations, marginal error at most {float(self.marginal_error.max()):.2g})"
        )


def mean_epsilon(cost: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The default epsilon ``[B]``: 0.05 times the mean cost, or 1 where all costs are zero; without gradient."""
    mean = torch.einsum("bi,bj,bij->b", a.detach(), b.detach(), cost.detach().abs())
    return torch.where(mean > 0, EPSILON * mean, 1)


@torch.no_grad()
def solve_sinkhorn(
    problem: SinkhornProblem, *, iterations: int = 1000, tolerance: float = 1e-6, symmetric: bool = False
) -> SinkhornOutput:
    """Solve every problem of the batch until its marginal error is at most ``tolerance``, or for ``iterations``.

    Each iteration is ``g <- softmin over i of C - f``, ``f <- softmin over j of C - g`` (log domain: Schmitzer 2019,
    arXiv 1610.06519), while epsilon halves from the range of the cost down to the one that is asked for. ``symmetric``
    is for measures against themselves (``a = b``, ``C = C'``): ``f = g`` then moves half-way to its softmin, which for
    squared distances at least halves a small error in every iteration, however small epsilon is (Feydy et al. 2019).

    A problem leaves the batch when it has converged, so that it ends with what it would give alone. Works in the dtype
    of the cost; where that cannot resolve the tolerance (float32 and a small epsilon), what it can resolve counts as
    converged. No gradient is kept: see :attr:`SinkhornOutput.cost`. Raises ``SettingsError`` for iterations below 1 or
    a tolerance that is not above 0, ``DataError`` where ``symmetric`` is said of different masses.
    """
    require_positive(iterations=iterations)
    require_above_zero("tolerance", tolerance)
    if symmetric and not torch.equal(problem.a, problem.b):
        raise DataError("a and b must be the same masses in a symmetric problem.")
    cost, epsilon = problem.cost.detach(), problem.epsilons
    log_a, log_b = problem.a.detach().log(), problem.b.detach().log()
    highest = cost.masked_fill(~problem.has_mass, -torch.inf).amax((1, 2))
    lowest = cost.masked_fill(~problem.has_mass, torch.inf).amin((1, 2))
    level = highest - lowest
    resolved = RESOLVED * torch.finfo(cost.dtype).eps * torch.maximum(highest.abs(), lowest.abs()) / epsilon
    f, g = torch.zeros_like(log_a), torch.zeros_like(log_b)
    live = torch.arange(len(cost), device=cost.device)
    output = SinkhornOutput(
        problem=problem,
        f=f.clone(),
        g=g.clone(),
        epsilon=epsilon,
        marginal_error=torch.zeros_like(epsilon),
        iterations=torch.zeros_like(live),
        converged=torch.zeros_like(live, dtype=torch.bool),
    )
    enough = resolved.clamp(min=tolerance)
    for step in range(1, iterations + 1):
        level = epsilon if step == iterations else torch.maximum(level * SCALING, epsilon)
        if symmetric:
            f = g = (f + _softmin(cost, g, log_b, level)) / 2
        else:
            g = _softmin(cost.mT, f, log_a, level)
            f = _softmin(cost, g, log_b, level)
        if step % CHECK and step < iterations:
            continue
        error = _misplaced(cost, f, g, log_a, log_b, epsilon)
        converged = (level == epsilon) & (error <= enough)
        ends = converged | (step == iterations)
        if not bool(ends.any()):
            continue
        rows = live[ends]
        output.f[rows], output.g[rows], output.marginal_error[rows] = f[ends], g[ends], error[ends]
        output.iterations[rows], output.converged[rows] = step, converged[ends]
        if bool(ends.all()):
            break
        cost, f, g, log_a, log_b, epsilon, level, enough, live = (
            value[~ends] for value in (cost, f, g, log_a, log_b, epsilon, level, enough, live)
        )
    return output


def _softmin(cost: Tensor, potential: Tensor, log_mass: Tensor, epsilon: Tensor) -> Tensor:
    """``-epsilon log sum_j exp(log b_j + (g_j - c_ij) / epsilon)``, ``[B, m]``; a mass of zero has no part in it."""
    exponent = (log_mass + potential / epsilon[:, None])[:, None] - cost / epsilon[:, None, None]
    return -epsilon[:, None] * exponent.logsumexp(2)


def _misplaced(cost: Tensor, f: Tensor, g: Tensor, log_a: Tensor, log_b: Tensor, epsilon: Tensor) -> Tensor:
    scaled_f, scaled_g = log_a + f / epsilon[:, None], log_b + g / epsilon[:, None]
    plan = (scaled_f[:, :, None] + scaled_g[:, None] - cost / epsilon[:, None, None]).exp()
    return (plan.sum(2) - log_a.exp()).abs().sum(1) + (plan.sum(1) - log_b.exp()).abs().sum(1)
