"""Rendering views.

Crop, resize, flip and roll act on rows and columns separately, so a view of an image X is A_y X A_x' with two small
interpolation matrices: two batched matrix products, differentiable, deterministic on every device, one resampling.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from wmdd.augment.views import Mixes, Views


def interpolation(
    start: Tensor, length: Tensor, size: int, out: int, dtype: torch.dtype, order: Tensor | None = None
) -> Tensor:
    """Matrices ``[B, out, size]`` that resize the pixels ``start : start + length`` of a row of ``size`` to ``out``.

    Bilinear with antialiasing, edges repeated: the weights of torchvision's ``resized_crop``. Row ``i`` has a triangle
    of half-width ``max(1, length / out)`` around the source position of output pixel ``order[:, i]`` (``[B, out]``;
    None: ``i`` itself).
    """
    device = start.device
    first, length = start.to(dtype)[:, None], length.to(dtype)[:, None]
    position = torch.arange(out, device=device)[None] if order is None else order
    centre = first + (position.to(dtype) + 0.5) * (length / out)
    source = torch.arange(size, device=device, dtype=dtype)[None] + 0.5
    inside = (source > first) & (source < first + length)
    # In place: these matrices are as large as the images, and fresh memory costs more than the arithmetic.
    weights = (source[:, None] - centre[:, :, None]).abs_().div_((length / out).clamp(min=1)[:, :, None])
    weights.neg_().add_(1).clamp_(min=0).mul_(inside[:, None])
    return weights.div_(weights.sum(dim=2, keepdim=True))


def resample(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """``A_y X A_x'``: ``images [B, C, S, S]``, ``rows`` and ``columns`` ``[B, out, S]`` to ``[B, C, out, out]``.

    Nothing is copied for images in the layout of :func:`row_major`: each product runs over all channels of an image.
    """
    count, channels, size, _ = images.shape
    lines = images.transpose(1, 2).reshape(count, size, channels * size)
    down = (rows @ lines).view(count, -1, size)
    return (down @ columns.transpose(1, 2)).view(count, rows.shape[1], channels, -1).transpose(1, 2)


def row_major(images: Tensor) -> Tensor:
    """``images [B, C, S, S]`` laid out by image, row, channel and column."""
    return images.transpose(1, 2).contiguous().transpose(1, 2)


def render(images: Tensor, views: Views) -> Tensor:
    """The views of ``images`` (floating point ``[B, C, S, S]``), one each, at the same side."""
    size = images.shape[-1]
    views = views.to(images.device)
    left, top, width, height = views.box.unbind(dim=1)
    down, right = views.roll.unbind(dim=1)
    position = torch.arange(size, device=images.device)[None]
    # Which pixel of the resized crop each pixel of the view shows: rolled, and mirrored before that.
    row, column = (position - down[:, None]) % size, (position - right[:, None]) % size
    column = torch.where(views.flip[:, None], size - 1 - column, column)
    rows = interpolation(top, height, size, size, images.dtype, row)
    columns = interpolation(left, width, size, size, images.dtype, column)
    return resample(images, rows, columns)


def render_mixed(pick: Callable[[Tensor], Tensor], views: Views, mixes: Mixes | None, rows: Tensor) -> Tensor:
    """The finished views of the images in ``rows [B]``: those of :func:`render`, with their CutMix partners pasted in.

    ``pick`` gives the images ``float [B, C, S, S]`` of any rows; ``views`` and ``mixes`` describe all ``M`` images. Any
    subset of rows gives the same pixels, so labels made in one batch size are valid in every other.
    """
    shown = render(pick(rows), views[rows])
    if mixes is None:
        return shown
    partner = mixes.partner[rows]
    other = render(pick(partner), views[partner])
    return torch.where(_mask(mixes.box[rows].to(shown.device), shown.shape[-1]), other, shown)


def _mask(box: Tensor, size: int) -> Tensor:
    """Boolean ``[B, 1, size, size]``, true inside the boxes ``[B, 4]``."""
    left, top, width, height = (edge[:, None] for edge in box.unbind(dim=1))
    position = torch.arange(size, device=box.device)[None]
    rows = (position >= top) & (position < top + height)
    columns = (position >= left) & (position < left + width)
    return (rows[:, :, None] & columns[:, None, :])[:, None]
