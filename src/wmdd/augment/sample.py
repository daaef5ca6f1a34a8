"""Random views, drawn as tensors from a generator: the same generator state gives the same views anywhere."""

import torch
from torch import Generator, Tensor

from wmdd.augment.views import Mixes, Views

_ATTEMPTS = 10


def sample_boxes(count: int, size: int, min_area: float | Tensor, generator: Generator) -> Tensor:
    """Boxes ``int32 [count, 4]`` of random resized crops (as torchvision's ``RandomResizedCrop``, ratio 3/4 to 4/3).

    The area is uniform in ``[min_area, 1]`` of the image (a number, or ``[count]`` of them) and the log of the ratio is
    uniform; of ten attempts the first that fits is taken, and the whole image where none does.
    """
    shape = (count, _ATTEMPTS)
    if isinstance(min_area, Tensor):
        min_area = min_area.double()[:, None]
    area = size**2 * (min_area + (1 - min_area) * torch.rand(shape, generator=generator, dtype=torch.float64))
    log_ratio = torch.log(torch.tensor(4 / 3, dtype=torch.float64))
    ratio = torch.exp(log_ratio * (2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1))
    width, height = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
    fits = (width <= size) & (height <= size) & (width > 0) & (height > 0)
    first = fits.int().argmax(dim=1, keepdim=True)
    found = fits.any(dim=1)
    width = torch.where(found, width.gather(1, first).squeeze(1), size)
    height = torch.where(found, height.gather(1, first).squeeze(1), size)
    corner = torch.rand((2, count), generator=generator, dtype=torch.float64)
    left, top = (corner[0] * (size - width + 1)).floor(), (corner[1] * (size - height + 1)).floor()
    return torch.stack([left, top, width, height], dim=1).to(torch.int32)


def sample_views(
    count: int,
    size: int,
    generator: Generator,
    *,
    min_area: float | Tensor,
    flip: bool,
    roll: int = 0,
) -> Views:
    """``count`` random views of ``size`` px images.

    ``roll`` is the largest circular shift in pixels, either way. ``flip`` mirrors half of them.
    """
    box = sample_boxes(count, size, min_area, generator)
    mirrored = torch.rand(count, generator=generator) < (0.5 if flip else 0.0)
    shift = torch.randint(-roll, roll + 1, (count, 2), generator=generator, dtype=torch.int32)
    return Views(box, mirrored, shift)


def sample_mixes(count: int, size: int, generator: Generator) -> Mixes:
    """CutMix partners and boxes for ``count`` views: lambda uniform, the box centred anywhere, clipped to the image."""
    partner = torch.randperm(count, generator=generator)
    side = size * torch.rand(count, generator=generator, dtype=torch.float64).sqrt()
    centre = torch.randint(0, size, (2, count), generator=generator)
    half = (side / 2).to(torch.int64)
    start, stop = (centre - half).clamp(0, size), (centre + half).clamp(0, size)
    box = torch.stack([start[0], start[1], stop[0] - start[0], stop[1] - start[1]], dim=1)
    return Mixes(partner, box.to(torch.int32))
