"""Holding out a share of each class, so that every class is trained and scored on."""

import torch

from wmdd.core.hashing import derive_seed


def hold_out(count: int, share: float, seed: int, class_name: str) -> frozenset[int]:
    """Which of the ``count`` (at least 2) images of a class are for validation: at least one, and not all.

    Every class has a random stream of its own: adding or removing another class changes nothing here.
    """
    assert count >= 2
    held_out = min(max(round(count * share), 1), count - 1)
    generator = torch.Generator().manual_seed(derive_seed(seed, "split", class_name))
    return frozenset(torch.randperm(count, generator=generator)[:held_out].tolist())
