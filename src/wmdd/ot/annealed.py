"""Balanced quantization of many measures at once by entropic transport: for devices that like large batches."""

import torch
from torch import Tensor

from wmdd.ot.ragged import Measures
from wmdd.ot.sinkhorn import SinkhornProblem, solve_sinkhorn

WIDEST, SHARPEST = 0.1, 0.005  # epsilon in the first and in the last round, as shares of the mean cost
ROUNDS = 16  # of plan and projection, epsilon falling from one to the next
STEPS, MISPLACED = 30, 1e-3  # most Sinkhorn iterations of a round, and the mass that a plan may misplace
BATCH_ENTRIES = 50_000_000  # of all cost tables at work, in float64: 0.4 GB each, of which a few are needed


def anneal(measures: Measures, atoms: Tensor, floor: float) -> Tensor:
    """Where ``atoms [G, m, D]``, one set for every measure, lead to: ``[G, m, D]`` in float64.

    Entropic plan (Cuturi 2013, arXiv 1306.0895) and barycentric projection in turn, for many measures together, while
    epsilon falls (deterministic annealing: Rose 1998): what is soft at first need not stay in the nearest local
    optimum. Plans of ``floor < 1`` have one row more (:func:`wmdd.ot.balanced.floored_plan`). No measure's result
    depends on the others, but for rounding: products are made for many measures at once.
    """
    at_once = max(1, BATCH_ENTRIES // ((atoms.shape[1] + 1) * max(measures.sizes)))
    batches = torch.arange(len(measures)).split(at_once)
    return torch.cat([_anneal(measures, batch.tolist(), atoms[batch].double(), floor) for batch in batches])


def _anneal(measures: Measures, which: list[int], atoms: Tensor, floor: float) -> Tensor:
    points, masses = _padded(measures, which)
    for step in range(ROUNDS):
        plan = _plan(points, masses, atoms, floor, WIDEST * (SHARPEST / WIDEST) ** (step / (ROUNDS - 1)))
        atoms = (plan @ points) / plan.sum(2, keepdim=True)
    return atoms


def _padded(measures: Measures, which: list[int]) -> tuple[Tensor, Tensor]:
    """The points ``[G, n, D]`` and masses ``[G, n]`` of some measures in float64, filled up with points of no mass."""
    longest = max(measures.sizes[g] for g in which)
    loaded = measures.loaded.new_zeros(len(which), longest, measures.loaded.shape[1], dtype=torch.float64)
    for row, g in zip(loaded, which, strict=True):
        row[: measures.sizes[g]] = measures.loaded[measures.rows(g)].double()
    masses = loaded[..., -1]
    points = loaded[..., :-1] / masses.clamp(min=torch.finfo(torch.float64).tiny)[..., None]
    return points, masses / masses.sum(1, keepdim=True)


def _plan(points: Tensor, masses: Tensor, atoms: Tensor, floor: float, epsilon: float) -> Tensor:
    """Entropic plans ``[G, m, n]``, for an epsilon relative to the mean cost."""
    count, m, _ = atoms.shape
    norms = atoms.square().sum(2)[..., None] + points.square().sum(2)[:, None]
    cost = torch.baddbmm(norms, atoms, points.mT, alpha=-2).clamp_(min=0)
    held, nearest = cost.new_full((count, m), floor / m), cost.min(1)
    if floor < 1:
        cost = torch.cat([cost, nearest.values[:, None]], 1)
        held = torch.cat([held, held.new_full((count, 1), 1 - floor)], 1)
    mean = torch.einsum("bi,bj,bij->b", held, masses, cost).clamp(min=torch.finfo(cost.dtype).tiny)
    plan = solve_sinkhorn(
        SinkhornProblem(cost, held, masses, epsilon * mean), iterations=STEPS, tolerance=MISPLACED
    ).plan()
    if floor == 1:
        return plan
    return plan[:, :m] + torch.zeros_like(plan[:, :m]).scatter_(1, nearest.indices[:, None], plan[:, m:])
