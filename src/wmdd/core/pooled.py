"""Moments pooled over images, exactly, in any order and any grouping."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from wmdd.core.types import LayerMoments, Moments


@dataclass(frozen=True)
class PooledMoments:
    """Moments of ``G`` classes over the images so far: ``counts [G]``, ``moments[layer]`` ``[G, C]``, all float64."""

    counts: Tensor
    moments: LayerMoments

    @classmethod
    def of_images(cls, images: LayerMoments, groups: Tensor, num_groups: int) -> "PooledMoments":
        """Pool per-image moments ``[B, C]``, image ``b`` belonging to class ``groups[b]``."""
        member = torch.nn.functional.one_hot(groups, num_groups).T.double()
        counts = member.sum(dim=1)
        share = member / counts.clamp(min=1)[:, None]
        return cls(counts, {name: _pool(m, share, groups) for name, m in images.items()})

    def merge(self, other: "PooledMoments") -> "PooledMoments":
        """The moments of both sets of images together (Chan, Golub and LeVeque 1979); associative and commutative."""
        counts = self.counts + other.counts
        share = (other.counts / counts.clamp(min=1))[:, None]
        return PooledMoments(counts, _merge(self.moments, other.moments, share))


def _pool(images: Moments, share: Tensor, groups: Tensor) -> Moments:
    """Law of total variance: the mean of the images' variances plus the variance of their means."""
    means, variances = images.mean.double(), images.var.double()
    mean = share @ means
    return Moments(mean, share @ (variances + (means - mean[groups]).square()))


def _merge(first: Mapping[str, Moments], second: Mapping[str, Moments], share: Tensor) -> LayerMoments:
    merged = {}
    for name, (mean, var) in first.items():
        delta = second[name].mean - mean
        between = share * (1 - share) * delta.square()
        merged[name] = Moments(mean + share * delta, var + share * (second[name].var - var) + between)
    return merged
