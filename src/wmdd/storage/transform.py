"""Transform coding: rows of a matrix in their principal directions, each with as many bits as it is worth.

Of all linear transforms that of the principal directions leaves the least squared error at a given rate, with scalar
quantizers whose bits go where they lower the error most (Huang and Schultheiss, IEEE Trans. Commun. Syst. 11, 1963;
Goyal, IEEE Signal Process. Mag. 18(5), 2001). All rows have as many bits, so each can be read without the others.
"""

import heapq
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

_MOST_BITS = 8
_GAUSSIAN = (
    # Mean squared error and step of the best uniform quantizer of a unit Gaussian with 0, 1, ... bits
    # (Max, IRE Trans. Inf. Theory 6, 1960, table II).
    (1.0, math.inf),
    (0.3634, 1.5958),
    (0.1188, 0.9957),
    (0.03744, 0.5860),
    (0.01154, 0.3352),
    (0.003495, 0.1881),
    (0.001041, 0.1041),
    (0.0003035, 0.0569),
    (0.00008714, 0.0308),
)
_STEPS = (0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 4.0)
"""Multiples of the Gaussian's step that are tried: real coefficients have other tails."""

_TRIES = 6


@dataclass(frozen=True)
class CodeBook:
    """How rows of ``K`` numbers are written in ``B`` bytes, in ``r`` directions.

    ``mean float32 [K]``; ``basis int8 [r, K]``, principal directions up to their scale; ``step float32 [r]``, the step
    of a coefficient in units of its row of ``basis``; ``bits uint8 [r]`` of each coefficient, falling.
    """

    mean: Tensor
    basis: Tensor
    step: Tensor
    bits: Tensor

    def pack(self, levels: Tensor) -> Tensor:
        """Quantized coefficients ``int32 [n, r]``, of ``bits`` bits each, as bytes ``uint8 [n, B]``.

        The lowest bits of all coefficients come first, then the next ones of those that have them.
        """
        planes = [(levels[:, :width] >> place) & 1 for place, width in enumerate(self._planes)]
        bits = torch.cat([levels[:, :0], *planes], dim=1)
        octets = F.pad(bits, (0, -bits.shape[1] % 8)).view(len(levels), (bits.shape[1] + 7) // 8, 8)
        return (octets << _SHIFTS).sum(dim=2).to(torch.uint8)

    def decode(self, codes: Tensor) -> Tensor:
        """Rows ``float32 [n, K]`` of ``codes uint8 [n, B]``: one matrix product for all."""
        bits = ((codes.unsqueeze(2) >> _SHIFTS) & 1).flatten(1)[:, : sum(self._planes)]
        levels = torch.zeros(len(codes), len(self.bits))
        for place, plane in enumerate(bits.split(self._planes, dim=1)):
            levels[:, : plane.shape[1]] += plane << place
        return self.mean + ((levels - middle_level(self.bits)) * self.step) @ self.basis.float()

    @property
    def _planes(self) -> list[int]:
        """How many of the leading coefficients have a first bit, a second bit, ..."""
        return [int((self.bits > place).sum()) for place in range(int(self.bits.amax()) if len(self.bits) else 0)]


_SHIFTS = torch.arange(7, -1, -1, dtype=torch.uint8)


def middle_level(bits: Tensor) -> Tensor:
    """The middle ``[r]`` of the levels ``0 .. 2^bits - 1``, which stands for zero."""
    return (2.0 ** bits.float() - 1) / 2


def encode(blocks: Tensor, error: float) -> tuple[CodeBook, Tensor]:
    """A code book for the rows of ``blocks [E, M, K]`` (any float type), and their codes ``uint8 [E, M, B]``.

    ``error`` is the mean squared norm of what decoding leaves, met within 5 % where 8 bits a coefficient allow it.
    Work is in float32, one block at a time.
    """
    count = blocks.shape[0] * blocks.shape[1]
    mean, variances, directions = _principal(blocks)
    goal = error
    for _ in range(_TRIES):
        bits = torch.tensor(share_bits(variances.tolist(), goal, count), dtype=torch.uint8)
        spread, kept = variances[: len(bits)].sqrt(), directions[:, : len(bits)]
        step, left = _fit_steps(blocks, mean, kept, bits, spread)
        left += float(variances[len(bits) :].sum())
        if left <= 1.05 * error:
            break
        goal *= error / left  # tails that are heavier than a Gaussian's need more bits
    largest = kept.abs().amax(0) / 127
    book = CodeBook(mean, (kept / largest).T.round().to(torch.int8), step * largest, bits)
    return book, torch.stack([book.pack(_levels((block.float() - mean) @ kept, step, bits)) for block in blocks])


def _principal(blocks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean ``[K]`` of the rows, their variances ``[K]`` (falling) and principal directions (columns) ``[K, K]``."""
    count, width = blocks.shape[0] * blocks.shape[1], blocks.shape[2]
    total, moment = torch.zeros(width, dtype=torch.float64), torch.zeros(width, width, dtype=torch.float64)
    for block in blocks:
        rows = block.float()
        total += rows.sum(0, dtype=torch.float64)
        moment += rows.T @ rows
    mean = total / count
    variances, directions = torch.linalg.eigh(moment / count - mean.outer(mean))
    return mean.float(), variances.flip(0).clamp_min(0).float(), directions.flip(1).float()


def share_bits(variances: list[float], error: float, count: int) -> list[int]:
    """Bits of the leading directions that leave ``error`` in the sum of all: each where it gains most for its cost.

    A bit costs one bit for each of ``count`` rows; the first bit of a direction also costs its row of the basis.
    """
    bits, left = [0] * len(variances), sum(variances)
    basis_row = 8 * len(variances) / count

    def offer(j: int) -> tuple[float, int]:
        return -_gain(variances[j], bits[j]) / (1 if bits[j] else 1 + basis_row), j

    offers = [offer(j) for j, variance in enumerate(variances) if variance > 0]
    heapq.heapify(offers)
    while left > error and offers:
        _, j = heapq.heappop(offers)
        left -= _gain(variances[j], bits[j])
        bits[j] += 1
        if bits[j] < _MOST_BITS:
            heapq.heappush(offers, offer(j))
    return [b for b in bits if b]


def _gain(variance: float, bits: int) -> float:
    """How much one bit more lowers the squared error of a coefficient."""
    return variance * (_GAUSSIAN[bits][0] - _GAUSSIAN[bits + 1][0])


def _levels(coefficients: Tensor, step: Tensor, bits: Tensor) -> Tensor:
    """``coefficients [n, r]`` in whole steps from the lowest level, ``int32`` in ``0 .. 2^bits - 1``."""
    half = 2.0 ** (bits.float() - 1)
    return torch.minimum((coefficients / step).floor_().add_(half).clamp_min_(0), 2 * half - 1).int()


def _fit_steps(blocks: Tensor, mean: Tensor, kept: Tensor, bits: Tensor, spread: Tensor) -> tuple[Tensor, float]:
    """The step ``[r]`` of each kept direction that leaves the least squared error, of a few around the Gaussian's.

    Also returns that error, the mean over all rows of the sum over the directions.
    """
    gaussian = torch.tensor([_GAUSSIAN[b][1] for b in bits.tolist()]) * spread
    steps = torch.tensor(_STEPS)[:, None] * gaussian
    errors = torch.zeros(steps.shape, dtype=torch.float64)
    middle = middle_level(bits)
    for block in blocks:
        coefficients = (block.float() - mean) @ kept
        for error, step in zip(errors, steps, strict=True):
            error += ((_levels(coefficients, step, bits) - middle) * step - coefficients).square().sum(0)
    least, best = errors.min(dim=0)
    return steps.gather(0, best[None]).squeeze(0), float(least.sum()) / (blocks.shape[0] * blocks.shape[1])
