"""Logits in four bits each: sixteen even steps between the lowest and the highest of an image's."""

import torch
from torch import Tensor

STEPS = 15  # between the sixteen values of four bits
_LEAST_STEP = torch.finfo(torch.float16).tiny  # where all logits of an image are the same


def pack(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Codes ``uint8 [E, (M + 1) // 2, K]`` and scales ``float16 [E, M, 2]`` (lowest, step) of ``logits [E, M, K]``.

    A byte holds a class of two images: one of the first half in its high bits, one of the second half in its low ones.
    """
    logits = logits.float()
    lowest, highest = logits.aminmax(dim=2, keepdim=True)
    lowest = lowest.half().float()
    step = ((highest - lowest) / STEPS).clamp(min=_LEAST_STEP).half().float()
    codes = ((logits - lowest) / step).round().clamp(0, STEPS).to(torch.uint8)
    if codes.shape[1] % 2:
        codes = torch.cat([codes, torch.zeros_like(codes[:, :1])], dim=1)
    high, low = codes.chunk(2, dim=1)
    return (high << 4) | low, torch.cat([lowest, step], dim=2).half()


def unpack(codes: Tensor, scales: Tensor) -> Tensor:
    """The logits ``float16 [E, M, K]`` of ``codes`` and ``scales``, each within half a step of what was packed."""
    halves = torch.cat([codes >> 4, codes & 15], dim=1)[:, : scales.shape[1]]
    lowest, step = scales.float().split(1, dim=2)
    largest = torch.finfo(torch.float16).max  # a step that was rounded up can lead beyond it
    logits: Tensor = (lowest + step * halves).clamp(-largest, largest)
    return logits.half()
