"""Which m real images stand for a class: rows of its features ``[n, D]``, none twice."""

import torch
from torch import Generator, Tensor


def random_rows(features: Tensor, m: int, generator: Generator) -> Tensor:
    """Any ``[m]`` rows, all alike likely."""
    return torch.randperm(len(features), generator=generator)[:m]


def herding(features: Tensor, m: int) -> Tensor:
    """Rows ``[m]`` whose running mean stays next to that of all (Welling 2009; iCaRL, arXiv 1611.07725).

    The t-th is the one that brings the mean of the first t nearest to the mean of the class; so every beginning of the
    selection is one, too.
    """
    values = features.double()
    mean, total = values.mean(dim=0), torch.zeros_like(values[0])
    taken = torch.zeros_like(values[:, 0])
    chosen = []
    for count in range(1, m + 1):
        missing = count * mean - total
        row = int((_distances(values, missing) + taken).argmin())
        taken[row] = torch.inf
        total += values[row]
        chosen.append(row)
    return torch.tensor(chosen)


def k_center(features: Tensor, m: int) -> Tensor:
    """Rows ``[m]`` that leave no point far from all of them: farthest first (Gonzalez 1985; arXiv 1708.00489).

    The first is nearest to the mean, each next one farthest from those before: the largest distance that is left is at
    most twice the least possible.
    """
    values = features.double()
    row = int(_distances(values, values.mean(dim=0)).argmin())
    chosen, distance = [row], _distances(values, values[row])
    for _ in range(1, m):
        distance[chosen] = -1  # where points coincide, no row is taken twice
        row = int(distance.argmax())
        chosen.append(row)
        distance = torch.minimum(distance, _distances(values, values[row]))
    return torch.tensor(chosen)


def _distances(values: Tensor, point: Tensor) -> Tensor:
    """Squared, ``[n]``, from every row to ``point [D]``."""
    return (values - point).square().sum(dim=1)
