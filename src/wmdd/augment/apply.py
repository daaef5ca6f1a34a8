"""Rendering views.

Crop, resize, flip and roll act on rows and columns separately, so a view of an image X is A_y X A_x'. A view is as
large as its image, so a crop is only ever enlarged, and a row of these matrices has two entries: bilinear
interpolation, differentiable, deterministic on every device, one resampling.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from wmdd.augment.views import Mixes, Views


@dataclass(frozen=True)
class Taps:
    """``B`` matrices ``[S, S]`` with two entries a row: ``weight [B, S, 2]`` in columns ``source int64 [B, S, 2]``."""

    source: Tensor
    weight: Tensor

    def apply(self, lines: Tensor) -> Tensor:
        """The products with ``lines [B, S, W]``, of the same shape."""
        count, size, width = lines.shape
        table = lines.reshape(count * size, width)
        first = torch.arange(0, count * size, size, device=lines.device)[:, None]
        found = embedding_bag(
            (self.source.flatten(1) + first).view(-1, 2), table, mode="sum", per_sample_weights=self.weight.view(-1, 2)
        )
        return found.view(count, size, width)


def taps(start: Tensor, length: Tensor, order: Tensor, dtype: torch.dtype) -> Taps:
    """How the pixels ``start : start + length`` (``[B]``) of rows of S are enlarged to S pixels again.

    Output pixel ``i`` is number ``order[:, i]`` (``[B, S]``) of the enlarged ones. Bilinear, edges repeated: the
    weights of torchvision's ``resized_crop``.
    """
    first, last = start.to(dtype)[:, None], (start + length - 1).to(dtype)[:, None]
    scale = length.to(dtype)[:, None] / order.shape[1]
    centre = (first + (order.to(dtype) + 0.5) * scale - 0.5).clamp(first, last)
    lower = centre.floor()
    weight = centre - lower
    source = torch.stack([lower, (lower + 1).clamp(max=last)], dim=2)
    return Taps(source.long(), torch.stack([1 - weight, weight], dim=2))


def column_major(images: Tensor) -> Tensor:
    """``images [B, C, S, S]`` laid out by image, column, channel and row."""
    return images.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)


def empty_column_major(count: int, channels: int, size: int) -> Tensor:
    """``uint8 [count, channels, size, size]`` in the layout of :func:`column_major`, to be filled."""
    return torch.empty(count, size, channels, size, dtype=torch.uint8).permute(0, 2, 3, 1)


def render(images: Tensor, views: Views) -> Tensor:
    """The views of ``images`` (floating point ``[B, C, S, S]``), one each, at the same side; channels last in memory.

    Images in the layout of :func:`column_major` are not copied.
    """
    return _pictures(_lines(images, views.to(images.device)), images.shape[1])


def render_mixed(pick: Callable[[Tensor], Tensor], views: Views, mixes: Mixes | None, rows: Tensor) -> Tensor:
    """The finished views of the images in ``rows [B]``: those of :func:`render`, with their CutMix partners pasted in.

    ``pick`` gives the images ``float [B, C, S, S]`` of any rows; ``views`` and ``mixes`` describe all ``M`` images. Any
    subset of rows gives the same pixels, so labels made in one batch size are valid in every other.
    """
    images = pick(rows)
    channels, device = images.shape[1], images.device
    lines = _lines(images, views[rows].to(device))
    if mixes is not None:
        partner = mixes.partner[rows]
        other = _lines(pick(partner), views[partner].to(device))
        lines = torch.where(_inside(mixes.box[rows].to(device), lines.shape[1], channels), other, lines)
    return _pictures(lines, channels)


def _lines(images: Tensor, views: Views) -> Tensor:
    """Views as ``[B, S, S * C]``: by row, then column and channel."""
    count, channels, size, _ = images.shape
    left, top, width, height = views.box.unbind(dim=1)
    down, right = views.roll.unbind(dim=1)
    position = torch.arange(size, device=images.device)[None]
    # Which pixel of the resized crop each pixel of the view shows: rolled, and mirrored before that.
    row, column = (position - down[:, None]) % size, (position - right[:, None]) % size
    column = torch.where(views.flip[:, None], size - 1 - column, column)
    across = taps(left, width, column, images.dtype).apply(images.permute(0, 3, 1, 2).reshape(count, size, -1))
    by_row = across.view(count, size * channels, size).transpose(1, 2)
    return taps(top, height, row, images.dtype).apply(by_row)


def _pictures(lines: Tensor, channels: int) -> Tensor:
    return lines.view(*lines.shape[:2], -1, channels).permute(0, 3, 1, 2)


def _inside(box: Tensor, size: int, channels: int) -> Tensor:
    """Boolean ``[B, S, S * C]``, true inside the boxes ``[B, 4]``."""
    left, top, width, height = (edge[:, None] for edge in box.unbind(dim=1))
    position = torch.arange(size, device=box.device)[None]
    rows = (position >= top) & (position < top + height)
    columns = (position >= left) & (position < left + width)
    return rows[:, :, None] & columns.repeat_interleave(channels, dim=1)[:, None]
