"""From the moments of images to those of classes."""

from torch import Tensor

from wmdd.core.types import Moments


def class_moments(images: Moments, weights: Tensor) -> Moments:
    """Moments ``[G, C]`` of ``G`` classes, each over all positions of its ``m`` weighted images.

    ``images`` holds per-image moments ``[G m, C]``, class after class; ``weights [G, m]`` has rows that sum to 1. By
    the law of total variance the class's variance is the mean of its images' variances plus the variance of their
    means; leaving the second term out, as merging batch variances does, understates it.
    """
    means, variances = (moment.unflatten(0, weights.shape) for moment in images)
    shares = weights.to(means.dtype)[:, None]
    mean = shares @ means
    # E[(mu_j - mu)^2] in two moments would cancel; the direct form keeps float32 exact enough.
    var = shares @ (variances + (means - mean).square())
    return Moments(mean[:, 0], var[:, 0])
