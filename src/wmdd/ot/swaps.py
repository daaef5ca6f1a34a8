"""Leaving a local optimum of Lloyd's iteration: take one atom away, put it where it is needed more."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from wmdd.ot.costs import expanded_distances
from wmdd.ot.lloyd import Cells, assign, descend
from wmdd.ot.seeding import sample_by

CANDIDATES = 64  # points that are tried as the new place of an atom, drawn by their squared distance
PROPOSALS = 8  # most swaps that are followed by Lloyd steps, together
ATOMS = 100  # most atoms in them: what a round costs, and many atoms need fewer proposals to find a gain
LOOKAHEAD = 4  # Lloyd steps that decide whether a swap pays
PATIENCE = 3  # rounds without gain that end the search
SETTLED = 1e-3  # relative fall of the cost below which those steps end early
GAIN = 1e-4  # relative gain below which a swap is not worth its round


def improve(points: Tensor, cells: Cells, generator: torch.Generator, rounds: int) -> tuple[Cells, list[float]]:
    """Swap atoms of one set (``cells`` with R = 1) while it pays; the cells, and the cost after each swap taken.

    Local search for k-means (Lattanzi and Sohler 2019) with foresight: the most promising swaps are judged after a
    few Lloyd steps, not before (Conrads et al. 2024, arXiv 2406.02739).
    """
    costs: list[float] = []
    failures = 0
    if cells.atoms.shape[1] == 1:
        return cells, costs
    for _ in range(rounds):
        trial = descend(points, assign(points, _propose(points, cells, generator)), LOOKAHEAD, SETTLED)
        best = trial.cells.select(trial.winner)
        if float(best.cost) < float(cells.cost) * (1 - GAIN):
            cells, failures = best, 0
            costs.append(float(cells.cost))
        else:
            failures += 1
        if failures == PATIENCE:
            break
    return cells, costs


def _propose(points: Tensor, cells: Cells, generator: torch.Generator) -> Tensor:
    """The most promising swaps as sets of atoms, ``[P, m, D]``."""
    atoms = cells.atoms[0]
    count = max(1, min(PROPOSALS, ATOMS // len(atoms)))
    places = sample_by(cells.distances, min(CANDIDATES, len(points)), generator)[0]
    best = _swap_costs(points, atoms, points[places]).min(1)
    chosen = best.values.topk(min(count, len(places)), largest=False).indices
    proposals = atoms.repeat(len(chosen), 1, 1)
    proposals[torch.arange(len(chosen)), best.indices[chosen]] = points[places[chosen]]
    return proposals


def _swap_costs(points: Tensor, atoms: Tensor, places: Tensor) -> Tensor:
    """N times the cost after moving atom j to place l, for all at once, ``[L, m]``.

    A point served by atom j falls back on its second-nearest atom when j leaves; any point may prefer the new place.
    """
    near = expanded_distances(points, atoms).topk(2, largest=False)
    first, second = near.values.T
    to_place = expanded_distances(places, points)
    added = torch.minimum(to_place, first)
    loss_when_removed = torch.minimum(to_place, second) - added
    return added.sum(1, keepdim=True) + loss_when_removed @ one_hot(near.indices[:, 0], len(atoms)).to(points.dtype)
