"""Images that nobody has to read: noise of the right shapes, to measure work with."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from wmdd.data.images import Images

_KEPT = 256


class GeneratedImages(Images):
    """Noise in place of the N images with ``labels`` int64 ``[N]``; a few hundred pictures are given out in turn."""

    def __init__(self, labels: Tensor, size: int, device: torch.device, channels: int = 3) -> None:
        super().__init__(labels, device)
        shape = (min(len(labels), _KEPT), channels, size, size)
        noise = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        self.pixels = noise.to(device)

    def take(self, index: Tensor) -> Tensor:
        return self.pixels[(index % len(self.pixels)).to(self.device)]

    def _pixels(self, chunks: Sequence[Tensor]) -> Iterator[Tensor]:
        return map(self.take, chunks)
