"""Random streams by purpose."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Generator

from wmdd.core.hashing import derive_seed


def stream(seed: int, *purpose: str | int) -> Generator:
    """A CPU generator of its own for one purpose, for example ``stream(seed, "synthesis", k)``."""
    return Generator().manual_seed(derive_seed(seed, *purpose))


@contextmanager
def seeded(seed: int, *purpose: str | int) -> Iterator[None]:
    """Torch's global random state set for one purpose (weight initialisation, dropout), and put back after it."""
    devices = range(torch.cuda.device_count())
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(derive_seed(seed, *purpose))
        yield
