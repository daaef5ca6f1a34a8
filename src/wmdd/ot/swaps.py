"""Leaving a local optimum of Lloyd's iteration: take one atom away, put it where it is needed more."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from wmdd.ot.cells import Cells, assign
from wmdd.ot.ragged import Jobs, Measures, functionals
from wmdd.ot.seeding import draw, sample_entries

CANDIDATES = 64  # points that are tried as the new place of an atom, drawn by what they cost
PROPOSALS = 8  # most swaps of a set that are followed by Lloyd steps, together
ATOMS = 100  # most atoms in them: what a round costs, and many atoms need fewer proposals to find a gain
LOOKAHEAD = 4  # Lloyd steps that decide whether a swap pays; each leaves the better half of a set's proposals
GAIN = 1e-5  # relative gain below which a round ends a set's search


def improve(cells: Cells, generators: Sequence[torch.Generator], rounds: int) -> tuple[Cells, list[list[float]]]:
    """Swap atoms of every measure's set while it pays; the cells, and each measure's cost after each swap taken.

    ``cells`` has one set for each of the G measures. Local search for k-means (Lattanzi and Sohler 2019) with
    foresight: the most promising swaps are judged after a few Lloyd steps, not before (Conrads et al. 2024,
    arXiv 2406.02739). A measure's search does not depend on the others.
    """
    measures, atoms, cost = cells.jobs.measures, cells.atoms.clone(), cells.cost.tolist()
    costs: list[list[float]] = [[] for _ in cost]
    live = [g for g in range(len(cost)) if atoms.shape[1] > 1]
    current = cells
    for _ in range(rounds):
        if not live:
            break
        jobs, proposed = _propose(current, draw([generators[g] for g in live], CANDIDATES))
        winners = _race(assign(jobs, proposed))
        improved = []
        for g, found, better in zip(live, winners.cost.tolist(), winners.atoms, strict=True):
            if found < cost[g] * (1 - GAIN):
                atoms[g], cost[g] = better, found
                costs[g].append(found)
                improved.append(g)
        live = improved
        if live:
            current = assign(Jobs(measures, tuple(live)), atoms[live])
    return assign(cells.jobs, atoms), costs


def _race(cells: Cells) -> Cells:
    """The best set of every measure after a few Lloyd steps, the worse half falling out after each."""
    for _ in range(LOOKAHEAD):
        cells = assign(cells.jobs, cells.means())
        cost = cells.cost.tolist()
        kept = torch.zeros(len(cost), dtype=torch.bool)
        for _, sets, _ in cells.jobs.groups:
            ranked = sorted(range(sets.start, sets.stop), key=cost.__getitem__)
            kept[ranked[: (len(ranked) + 1) // 2]] = True
        if not bool(kept.all()):
            cells = cells.select(kept.to(cells.atoms.device))
    return cells


def _propose(cells: Cells, uniform: Tensor) -> tuple[Jobs, Tensor]:
    """The most promising swaps of every set, as sets of atoms ``[J P, m, D]`` and the jobs that they are."""
    jobs, m = cells.jobs, cells.atoms.shape[1]
    count = max(1, min(PROPOSALS, ATOMS // m))
    places = jobs.rows[sample_entries(jobs, cells.shares, uniform)]
    proposals = cells.atoms[:, None].repeat(1, count, 1, 1)
    each = torch.arange(count, device=places.device)
    for j, g in enumerate(jobs.home):
        new = jobs.measures.points(places[j])
        cheapest = _swap_costs(jobs.measures, g, cells.atoms[j], new).min(1)
        chosen = cheapest.values.topk(count, largest=False).indices
        proposals[j, each, cheapest.indices[chosen]] = new[chosen]
    return Jobs(jobs.measures, tuple(g for g in jobs.home for _ in range(count))), proposals.flatten(0, 1)


def _swap_costs(measures: Measures, g: int, atoms: Tensor, places: Tensor) -> Tensor:
    """The cost after moving atom j to place l, for all at once, less a constant: ``[L, m]``.

    A point served by atom j falls back on its second-nearest atom when j leaves; any point may prefer the new place.
    """
    near = measures.table(g, functionals(atoms)).topk(2, 0, largest=False)
    first, second = near.values
    to_place = measures.table(g, functionals(places))
    added = torch.minimum(to_place, first)
    loss_when_removed = torch.minimum(to_place, second) - added
    return added.sum(1, keepdim=True) + loss_when_removed @ one_hot(near.indices[0], len(atoms)).to(atoms.dtype)
