"""Exact optimal transport between two discrete measures, with the dual potentials that prove it."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from wmdd.core.errors import DataError
from wmdd.ot.checks import require_masses, require_matrix

MAX_PIVOTS = 10_000_000  # of the network simplex; POT's default of 1e5 is too few for 1300 points and 100 atoms
MASS_TOLERANCE = 1e-5  # relative difference of the two total masses that float32 rounding can explain


class Duals(NamedTuple):
    """Dual potentials ``beta [m]`` (atoms) and ``alpha [n]`` (points), float64: ``beta_j + alpha_i <= c_ji``.

    They certify a cost: ``<a, beta> + <b, alpha>`` is a lower bound of W2^2, met exactly by the optimum. The free
    additive constant is fixed by ``<a, beta> = 0``, so that ``alpha_i`` is what transporting point i costs.
    """

    beta: Tensor
    alpha: Tensor


@dataclass(frozen=True, eq=False)
class TransportPlan:
    """An optimal plan ``[m, n]`` with marginals ``a [m]`` and ``b [n]``, its cost ``<plan, c>``, and its duals."""

    plan: Tensor
    cost: float
    duals: Duals

    def project(self, points: Tensor, atoms: Tensor) -> Tensor:
        """Barycentric projection ``z_j = (1/w_j) sum_i T_ji h_i``, ``[m, D]``, of ``points [n, D]``.

        The minimiser of the transport cost over the atoms while the plan stands. A row without mass says nothing
        about its atom, which then stays where ``atoms [m, D]`` has it.
        """
        mass = self.plan.sum(1, keepdim=True)
        means = (self.plan @ points) / mass.clamp(min=torch.finfo(mass.dtype).tiny)
        return torch.where(mass > 0, means, atoms)


def exact_plan(a: Tensor, b: Tensor, cost: Tensor) -> TransportPlan:
    """Solve ``min <T, cost>`` over ``T >= 0, T 1 = a, T' 1 = b`` for ``a [m]``, ``b [n]``, ``cost [m, n]``.

    POT's network simplex in float64 (Bonneel et al. 2011). The plan comes back in the dtype and on the device of
    ``cost``; the duals stay float64, because a certificate is worth its last digits: the dual objective equals
    the cost to 1e-9 relative and every constraint holds up to rounding. Total masses that differ by less than 1e-5 are
    taken as equal (that of ``a``). Raises ``DataError`` for NaN, inf, empty, negative or mismatched arguments.
    """
    import ot  # type: ignore[import-untyped, unused-ignore]  # a second, which synthesis need not pay

    require_matrix("cost", cost)
    require_masses("a", a, cost.shape[0])
    require_masses("b", b, cost.shape[1])
    source, target, ground = (value.detach().double().cpu() for value in (a, b, cost))
    if not torch.isclose(source.sum(), target.sum(), rtol=MASS_TOLERANCE, atol=0):
        raise DataError(f"a and b must have the same total mass, not {source.sum():.6g} and {target.sum():.6g}.")
    target = target * (source.sum() / target.sum())
    plan, log = ot.emd(source.numpy(), target.numpy(), ground.numpy(), numItermax=MAX_PIVOTS, log=True)
    assert log["warning"] is None, log["warning"]
    optimal = torch.from_numpy(plan)
    beta, alpha = _certify(source, ground, torch.from_numpy(log["u"]))
    return TransportPlan(
        plan=optimal.to(cost),
        cost=float((optimal * ground).sum()),
        duals=Duals(beta.to(cost.device), alpha.to(cost.device)),
    )


def _certify(a: Tensor, cost: Tensor, beta: Tensor) -> Duals:
    """Make optimal potentials of the atoms with mass feasible everywhere, by two c-transforms.

    The simplex knows nothing of atoms without mass; their best potential ``min_i c_ji - alpha_i`` is also the
    one-sided derivative that a weight step needs to bring them back.
    """
    alpha = (cost - beta[:, None])[a > 0].amin(0)
    beta = (cost - alpha).amin(1)
    level = (a @ beta) / a.sum()
    return Duals(beta - level, alpha + level)
