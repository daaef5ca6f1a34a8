"""The leading principal subspace of a measure, where the search for a quantizer is cheap, and finds better ones."""

import torch
from torch import Tensor

from wmdd.ot.ragged import Measures

WIDTH = 31  # directions kept; with the mass, a row is then 32 numbers long
OVERSAMPLING = 8


def leading_directions(measures: Measures) -> Measures:
    """Every measure's points in (nearly) their leading principal directions; as they are where they have no more.

    Quantization there is quantization here up to what the directions leave out (Cohen et al. 2015, arXiv 1410.6801),
    and what they leave out is mostly what no few atoms can follow. One round of randomised subspace iteration (Halko,
    Martinsson and Tropp 2011, arXiv 0909.4061), from a start that is always the same.
    """
    width = measures.loaded.shape[1] - 1
    if width <= WIDTH:
        return measures
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(width, WIDTH + OVERSAMPLING, generator=generator).to(measures.loaded)
    narrow = measures.loaded.new_empty(len(measures.loaded), WIDTH + 1)
    narrow[:, -1] = measures.masses
    for g in range(len(measures)):
        rows = measures.rows(g)
        narrow[rows, :-1] = _reduce(measures.loaded[rows, :-1], start)
    return Measures(narrow, measures.sizes)


def _reduce(loaded: Tensor, start: Tensor) -> Tensor:
    basis = torch.linalg.qr(loaded.T @ (loaded @ start)).Q
    small = loaded @ basis
    directions: Tensor = torch.linalg.eigh(small.T @ small).eigenvectors[:, -WIDTH:]
    reduced: Tensor = small @ directions
    return reduced
