"""The numbers of a view."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Views:
    """``B`` views: ``box int32 [B, 4]`` (left, top, width, height in pixels), ``flip bool [B]``, ``roll int32 [B, 2]``.

    A view crops its box, resizes it to the full side, mirrors it where ``flip``, rolls it down and right by ``roll``.
    """

    box: Tensor
    flip: Tensor
    roll: Tensor

    def __len__(self) -> int:
        return len(self.flip)

    def __getitem__(self, rows: Tensor | slice) -> Self:
        return type(self)(self.box[rows], self.flip[rows], self.roll[rows])

    def to(self, device: torch.device) -> Self:
        """The same views on ``device``."""
        return type(self)(self.box.to(device), self.flip.to(device), self.roll.to(device))


@dataclass(frozen=True)
class Mixes:
    """CutMix (arXiv 1905.04899) of ``M`` views: row ``i`` shows view ``partner[i]`` inside ``box[i]``.

    ``partner int64 [M]`` (its own row where nothing is mixed), ``box int32 [M, 4]`` (left, top, width, height in pixels
    of the finished view).
    """

    partner: Tensor
    box: Tensor

    def share(self, size: int) -> Tensor:
        """Which part of each view, float32 ``[M]``, is its own image: the lambda of CutMix."""
        return 1 - self.box[:, 2].float() * self.box[:, 3].float() / size**2
