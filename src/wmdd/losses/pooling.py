"""From the moments of images to those of classes."""

from torch import Tensor

from wmdd.core.types import Moments


def class_moments(images: Moments, weights: Tensor) -> Moments:
    """Moments ``[G, C]`` of ``G`` classes, each over all positions of its weighted images.

    ``images`` holds per-image moments ``[B, C]``; ``weights [G, B]`` has rows that sum to 1. By the law of total
    variance the class's variance is the mean of its images' variances plus the variance of their means; leaving the
    second term out, as merging batch variances does, understates it.
    """
    weights = weights.to(images.mean.dtype)
    mean = weights @ images.mean
    # E[(mu_b - mu)^2] in two moments would cancel; the direct form keeps float32 exact enough.
    spread = (images.mean[None] - mean[:, None]).square()
    return Moments(mean, weights @ images.var + (weights[:, :, None] * spread).sum(dim=1))
