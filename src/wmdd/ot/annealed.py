"""Balanced quantization of many measures at once by entropic transport: for devices that like large batches."""

import torch
from torch import Tensor

from wmdd.ot.ragged import Measures
from wmdd.ot.sinkhorn import SinkhornProblem, solve_sinkhorn

WIDEST, SHARPEST = 0.05, 0.002  # epsilon in the first and in the last round, as shares of the mean cost
ROUNDS = 16  # of plan and projection, epsilon falling from one to the next
STEPS, MISPLACED = 100, 1e-3  # most Sinkhorn iterations of a round, and the mass that a plan may misplace
BATCH_ENTRIES = 50_000_000  # of all cost tables at work, in float64: 0.4 GB each, of which a few are needed


def anneal(measures: Measures, starts: Tensor, floor: float) -> Tensor:
    """Where the best of ``starts [G, S, m, D]`` of every measure leads to, ``[G, m, D]`` in float64.

    Entropic plan (Cuturi 2013, arXiv 1306.0895) and barycentric projection in turn, for all starts of many measures
    together, while epsilon falls: what is soft at first need not stay in the local optimum that is nearest. Plans of
    ``floor < 1`` have one row more (:func:`wmdd.ot.balanced.floored_plan`). No measure's result depends on the others.
    """
    _, sets, m, _ = starts.shape
    at_once = max(1, BATCH_ENTRIES // (sets * (m + 1) * max(measures.sizes)))
    batches = torch.arange(len(measures)).split(at_once)
    return torch.cat([_anneal(measures, batch.tolist(), starts[batch].double(), floor) for batch in batches])


def _anneal(measures: Measures, which: list[int], atoms: Tensor, floor: float) -> Tensor:
    points, masses = _padded(measures, which)
    for step in range(ROUNDS):
        epsilon = WIDEST * (SHARPEST / WIDEST) ** (step / (ROUNDS - 1))
        plan, cost = _plan(points, masses, atoms, floor, epsilon)
        atoms = torch.einsum("gsmn,gnd->gsmd", plan, points) / plan.sum(3, keepdim=True)
    best = cost.argmin(1)
    return atoms[torch.arange(len(which), device=best.device), best]


def _padded(measures: Measures, which: list[int]) -> tuple[Tensor, Tensor]:
    """The points ``[G, n, D]`` and masses ``[G, n]`` of some measures in float64, filled up with points of no mass."""
    longest = max(measures.sizes[g] for g in which)
    loaded = measures.loaded.new_zeros(len(which), longest, measures.loaded.shape[1], dtype=torch.float64)
    for row, g in zip(loaded, which, strict=True):
        row[: measures.sizes[g]] = measures.loaded[measures.rows(g)].double()
    masses = loaded[..., -1]
    points = loaded[..., :-1] / masses.clamp(min=torch.finfo(torch.float64).tiny)[..., None]
    return points, masses / masses.sum(1, keepdim=True)


def _plan(points: Tensor, masses: Tensor, atoms: Tensor, floor: float, epsilon: float) -> tuple[Tensor, Tensor]:
    """Entropic plans ``[G, S, m, n]`` and what they cost ``[G, S]``, for an epsilon relative to the mean cost."""
    count, sets, m, _ = atoms.shape
    norms = atoms.square().sum(3)[..., None] + points.square().sum(2)[:, None, None]
    cost = (norms - 2 * torch.einsum("gsmd,gnd->gsmn", atoms, points)).clamp_(min=0).flatten(0, 1)
    held = cost.new_full((count * sets, m), floor / m)
    b = masses.repeat_interleave(sets, 0)
    tables, nearest = cost, cost.min(1)
    if floor < 1:
        tables = torch.cat([cost, nearest.values[:, None]], 1)
        held = torch.cat([held, held.new_full((len(held), 1), 1 - floor)], 1)
    mean = torch.einsum("bi,bj,bij->b", held, b, tables).clamp(min=torch.finfo(cost.dtype).tiny)
    problem = SinkhornProblem(tables, held, b, epsilon * mean)
    plan = solve_sinkhorn(problem, iterations=STEPS, tolerance=MISPLACED).plan()
    if floor < 1:
        plan, free = plan[:, :m], plan[:, m:]
        plan = plan + torch.zeros_like(plan).scatter_(1, nearest.indices[:, None], free)
    return plan.view(count, sets, m, -1), (plan * cost).sum((1, 2)).view(count, sets)
