"""The leading principal subspace of a measure, where the search for a quantizer is cheap, and finds better ones."""

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from wmdd.ot.ragged import Measures

WIDTH = 31  # directions kept; with the mass, a row is then 32 numbers long
OVERSAMPLING = 8


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
    """Sums of the rows ``loaded [n, D + 1]`` with random signs, the i-th of ``order [n]`` being in sum i modulo 39."""
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
