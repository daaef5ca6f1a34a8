"""Moments of many layers side by side, and moments pooled over images, exactly, in any order and any grouping."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from wmdd.core.types import LayerMoments, Moments


def side_by_side(layers: Iterable[Moments]) -> Moments:
    """All layers' channels in one row, ``[rows, sum_l C_l]``.

    A network has dozens of layers, each too small for an operation of its own.
    """
    means, variances = zip(*layers, strict=True)
    return Moments(torch.cat(means, dim=1), torch.cat(variances, dim=1))


@dataclass(frozen=True)
class PooledMoments:
    """Moments of ``G`` classes over the images so far, all float64.

    ``counts [G]``, and ``together [G, sum_l C_l]`` with the channels of all layers, ``widths[layer]`` of each.
    """

    counts: Tensor
    together: Moments
    widths: Mapping[str, int]

    @classmethod
    def of_images(cls, images: LayerMoments, groups: Tensor, num_groups: int) -> "PooledMoments":
        """Pool per-image moments ``[B, C]``, image ``b`` belonging to class ``groups[b]``.

        By the second moments, in float64 (images' own moments are exact in float32 at best): the variance of a class is
        the mean of its images' variances and squared means, less the square of its mean.
        """
        member = torch.nn.functional.one_hot(groups, num_groups).T.double()
        counts = member.sum(dim=1)
        share = member / counts.clamp(min=1)[:, None]
        means, variances = (moment.double() for moment in side_by_side(images.values()))
        mean = share @ means
        # In place: as large as all activations' moments, and fresh memory costs more than the arithmetic.
        second = share @ variances.addcmul_(means, means)
        together = Moments(mean, (second - mean.square()).clamp_(min=0))
        return cls(counts, together, {layer: moments.mean.shape[1] for layer, moments in images.items()})

    @property
    def moments(self) -> LayerMoments:
        """``[G, C_l]`` for each layer."""
        apart = (moment.split(list(self.widths.values()), dim=1) for moment in self.together)
        return {layer: Moments(*pair) for layer, pair in zip(self.widths, zip(*apart, strict=True), strict=True)}

    def merge(self, other: "PooledMoments") -> "PooledMoments":
        """The moments of both sets of images together (Chan, Golub and LeVeque 1979); associative and commutative."""
        counts = self.counts + other.counts
        share = (other.counts / counts.clamp(min=1))[:, None]
        mean, var = self.together
        delta = other.together.mean - mean
        between = share * (1 - share) * delta.square()
        together = Moments(mean + share * delta, var + share * (other.together.var - var) + between)
        return PooledMoments(counts, together, self.widths)
