"""What the features of a class's synthetic images are held against: its atoms one by one, or its real features.

Against its real features, a class is two measures, ``sum_j w_kj delta(h(s_kj))`` and ``(1/n_k) sum_i delta(h_ki)``,
whose divergences are those of :mod:`wmdd.ot`. What belongs to the real measure alone (its own term, its scale) is found
once: it does not move, and it is the costly part. So a step takes ``m n_k`` distances for a class, not ``n_k^2``.

Every divergence is brought to what the distance to the atoms is, squared distances of features summed over the m
images, so that a lambda means the same beside each of them: ``m W_2^2``, ``m D SW_2^2`` (a direction sees a D-th of a
squared distance), ``m sigma^2 MMD^2`` (where means are close, ``MMD^2 = ||mean - mean||^2 / sigma^2``).

Stages compose the two, as losses and transport know nothing of each other.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import pad

from wmdd.config.synthesis import FeatureLoss
from wmdd.core.errors import DataError
from wmdd.losses import feature_loss
from wmdd.losses.norms import root
from wmdd.ot import (
    SinkhornProblem,
    median_distance,
    random_directions,
    sliced_wasserstein2,
    solve_sinkhorn,
    squared_distances,
    wasserstein2,
)
from wmdd.ot.entropic import self_cost
from wmdd.ot.measures import at_least_zero
from wmdd.ot.mmd import gaussian_mean, mean_distance
from wmdd.ot.sinkhorn import mean_epsilon
from wmdd.runtime.random import stream

DIRECTIONS = 100  # of the sliced distance, drawn anew for every class and step

Match = Callable[[int, Tensor, Tensor], Tensor]
"""``(step, features [G, m, D], weights [G, m]) -> [G]``: the feature loss of every class; rows of weights sum to 1."""

Power = Literal["squared", "norm"]


def compares_measures(kind: FeatureLoss) -> bool:
    """Whether a feature loss compares with the real features instead of the atoms, one by one."""
    return kind not in get_args(Power)


def feature_match(
    kind: FeatureLoss, power: Power, classes: Sequence[int], atoms: Tensor, real: Sequence[Tensor], seed: int
) -> Match:
    """The feature loss ``kind`` of ``classes`` with ``atoms [G, m, D]`` and ``real`` features ``[n_k, D]`` of each.

    ``power`` is that of a divergence: as it is, a sum of squares, or its root, a plain norm. Classes do not influence
    one another; the directions of ``sliced`` come from a stream for each class and step, so that a step is the same
    whatever came before it. Raises ``DataError`` when real features are needed and missing.
    """
    if kind == "squared" or kind == "norm":
        return partial(_to_atoms, atoms, kind)
    if len(real) != len(classes):
        raise DataError(f"feature loss {kind!r} needs the real features of {len(classes)} classes, not of {len(real)}.")
    divergence = _divergence(kind, classes, real, seed)

    def match(step: int, features: Tensor, weights: Tensor) -> Tensor:
        # What is not finite is a loss of NaN, which whoever trains is waiting for; the solvers would refuse it.
        finite = features.isfinite().flatten(1).all(dim=1)
        shown = torch.where(finite[:, None, None], features, 0)
        squares = torch.where(finite, features.shape[1] * divergence(step, shown, weights), torch.nan)
        return squares if power == "squared" else root(squares)

    return match


def _divergence(kind: FeatureLoss, classes: Sequence[int], real: Sequence[Tensor], seed: int) -> Match:
    """The divergence in squared units of the features, a mean over images."""
    if kind == "sliced":
        return partial(_sliced, classes, real, seed)
    if kind == "wasserstein":
        return partial(_wasserstein, real)
    if kind == "sinkhorn":
        return _sinkhorn(real)
    if kind == "mmd-linear":
        return _means(real)
    return _mmd(real, gaussian=kind == "mmd-gaussian")


def _to_atoms(atoms: Tensor, kind: Power, step: int, features: Tensor, weights: Tensor) -> Tensor:
    return feature_loss(features, atoms, kind)


def _wasserstein(real: Sequence[Tensor], step: int, features: Tensor, weights: Tensor) -> Tensor:
    return torch.stack([wasserstein2(x, y, a) for x, y, a in zip(features, real, weights, strict=True)])


def _sliced(
    classes: Sequence[int], real: Sequence[Tensor], seed: int, step: int, features: Tensor, weights: Tensor
) -> Tensor:
    width = features.shape[2]

    def directions(k: int) -> Tensor:
        return random_directions(DIRECTIONS, width, stream(seed, "directions", k, step))

    return width * torch.stack(
        [
            sliced_wasserstein2(x, y, directions(k), a)
            for k, x, y, a in zip(classes, features, real, weights, strict=True)
        ]
    )


def _mmd(real: Sequence[Tensor], *, gaussian: bool) -> Match:
    """``sigma^2 MMD^2``, or ``sigma`` times the energy distance, which is a distance and not its square.

    sigma, the bandwidth too, is the median distance of the real features: fixed, so that the aim does not move.
    """
    points = [y.double() for y in real]
    masses = [_uniform(len(y), y) for y in points]
    sigmas = [median_distance(y) for y in points]
    kernels: list[Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]] = [
        partial(gaussian_mean, bandwidth=sigma) if gaussian else _minus_distance for sigma in sigmas
    ]
    units = torch.stack(sigmas) ** (2 if gaussian else 1)
    own = [kernel(y, y, b, b) for kernel, y, b in zip(kernels, points, masses, strict=True)]

    def match(step: int, features: Tensor, weights: Tensor) -> Tensor:
        found = [
            kernel(x, x, a, a) - 2 * kernel(x, y, a, b) + rest
            for kernel, x, y, a, b, rest in zip(kernels, features, points, weights.double(), masses, own, strict=True)
        ]
        return (units * at_least_zero(torch.stack(found))).to(features.dtype)

    return match


def _means(real: Sequence[Tensor]) -> Match:
    """Squared distance of the mean features: MMD with a linear kernel, as in DM (arXiv 2110.04181)."""
    aim = torch.stack([y.mean(dim=0) for y in real])

    def match(step: int, features: Tensor, weights: Tensor) -> Tensor:
        return (torch.einsum("gm,gmd->gd", weights, features) - aim).square().sum(dim=1)

    return match


def _minus_distance(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return -mean_distance(x, y, a, b)


def _sinkhorn(real: Sequence[Tensor]) -> Match:
    """Sinkhorn divergence, all classes in one batch. Epsilon is a share of the mean distance within the real class."""
    points = [y.double() for y in real]
    longest = max(len(y) for y in points)
    masses = [_uniform(len(y), y) for y in points]
    epsilon = torch.cat(
        [mean_epsilon(squared_distances(y, y)[None], b[None], b[None]) for y, b in zip(points, masses, strict=True)]
    )
    own = torch.stack([self_cost(y, b, e) for y, b, e in zip(points, masses, epsilon, strict=True)])
    padded = torch.stack([pad(b, (0, longest - len(b))) for b in masses])

    def match(step: int, features: Tensor, weights: Tensor) -> Tensor:
        features64, a = features.double(), weights.double()
        a = a / a.sum(1, keepdim=True)
        costs = [pad(squared_distances(x, y), (0, longest - len(y))) for x, y in zip(features64, points, strict=True)]
        across = solve_sinkhorn(SinkhornProblem(torch.stack(costs), a, padded, epsilon)).cost
        within = torch.stack([self_cost(x, mass, e) for x, mass, e in zip(features64, a, epsilon, strict=True)])
        return at_least_zero(across - within / 2 - own / 2).to(features.dtype)

    return match


def _uniform(count: int, like: Tensor) -> Tensor:
    return torch.full((count,), 1 / count, dtype=like.dtype, device=like.device)
