"""Mean and spread of the values of each channel, for images that ImageNet's do not suit."""

import torch

from wmdd.data import Images

_LEAST_STD = 1 / 255  # of a channel that is the same everywhere: one grey level


def channel_statistics(images: Images, batch_size: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel over all pixels of all ``images``, of values in [0, 1]."""
    totals = None
    for pixels, _ in images.batches(torch.arange(len(images)).split(batch_size)):
        values = pixels.double().transpose(0, 1).flatten(1) / 255
        sums = torch.stack([values.sum(1), values.square().sum(1), torch.full_like(values[:, 0], values.shape[1])])
        totals = sums if totals is None else totals + sums
    assert totals is not None, "there are training images"
    mean, square = (totals[:2] / totals[2]).cpu()
    std = (square - mean.square()).clamp(min=0).sqrt().clamp(min=_LEAST_STD)
    return tuple(mean.tolist()), tuple(std.tolist())
