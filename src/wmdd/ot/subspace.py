"""The leading principal subspace of a measure, where the search for a quantizer is cheap, and finds better ones."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from wmdd.ot.barycenter import BarycenterProblem
from wmdd.ot.ordering import in_canonical_order
from wmdd.ot.ragged import Measures, one_by_one

WIDTH = 23  # directions kept; with the mass, a row is then 24 numbers long
OVERSAMPLING = 1


@dataclass(frozen=True, eq=False)
class Narrowed:
    """Where the search goes on: ``measures`` in few directions, their points in an order of their own.

    Row i is what row ``order[i]`` of the problem was; ``left_out[g]`` is the variance in the other directions, which
    every cost in these has to be raised by.
    """

    measures: Measures
    order: Tensor
    left_out: list[float]


def narrowed(problem: BarycenterProblem) -> Narrowed:
    """The classes of ``problem`` around their means, in their :func:`leading_directions`, one class at a time."""
    parts, orders, left_out, first = [], [], [], 0
    for measure, _ in one_by_one(problem.measures(), max(problem.lengths), problem.points.dtype):
        order = in_canonical_order(measure)
        narrow = leading_directions(measure, order)
        parts.append(narrow.loaded[order])
        orders.append(order + first)
        left_out.append(float(measure.energies.double().sum() - narrow.energies.double().sum()))
        first += len(order)
    return Narrowed(Measures(torch.cat(parts), problem.lengths), torch.cat(orders), left_out)


def leading_directions(measures: Measures, order: Tensor) -> Measures:
    """Every measure's points in (nearly) their leading principal directions; as they are where they have no more.

    Quantization there is quantization here up to what the directions leave out (Cohen et al. 2015, arXiv 1410.6801),
    and what they leave out is mostly what no few atoms can follow. One round of randomised subspace iteration (Halko,
    Martinsson and Tropp 2011, arXiv 0909.4061). It starts from sums of points with random signs, every point in one of
    them; ``order [N]``, the rows of each measure in an order of its own, says which. So it turns with the points.
    """
    if measures.loaded.shape[1] - 1 <= WIDTH:
        return measures
    narrow = measures.loaded.new_empty(len(measures.loaded), WIDTH + 1)
    narrow[:, -1] = measures.masses
    for g in range(len(measures)):
        rows = measures.rows(g)
        start = _signed_sums(measures.loaded[rows], order[rows] - rows.start)[:, :-1].T
        narrow[rows, :-1] = _reduce(measures.loaded[rows, :-1], measures.masses[rows, None], start)
    return Measures(narrow, measures.sizes)


def _signed_sums(loaded: Tensor, order: Tensor) -> Tensor:
    """Sums of the rows ``loaded [n, D + 1]`` with random signs, row i of ``order [n]`` in sum i modulo their number."""
    sums, n = WIDTH + OVERSAMPLING, len(order)
    signs = 2 * torch.randint(2, (n,), generator=torch.Generator().manual_seed(0)).to(loaded) - 1
    of = torch.arange(n, device=order.device) % sums
    lengths, by_sum = of.bincount(minlength=sums), of.argsort(stable=True)
    begins = lengths.cumsum(0) - lengths
    result: Tensor = embedding_bag(order[by_sum], loaded, begins, mode="sum", per_sample_weights=signs[by_sum])
    return result


def _reduce(loaded: Tensor, masses: Tensor, start: Tensor) -> Tensor:
    basis = torch.linalg.qr(loaded.T @ ((loaded @ start) / masses)).Q
    small = loaded @ basis
    directions: Tensor = torch.linalg.eigh(small.T @ (small / masses)).eigenvectors[:, -WIDTH:]
    reduced: Tensor = small @ directions
    return reduced
