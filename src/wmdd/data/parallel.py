"""Decoding many images with threads: Pillow releases the interpreter's lock while it decodes and resizes."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from wmdd.data.decode import to_square
from wmdd.data.source import Split

Progress = Callable[[int, int], None]
_BLOCK = 64  # images per task: one task each would cost more memory than small images do


def decode_images(
    split: Split,
    index: Sequence[int],
    size: int,
    threads: int = 1,
    on_progress: Progress | None = None,
    *,
    channels: int = 3,
) -> Tensor:
    """The n images at ``index``, in that order, as uint8 ``[n, C, S, S]`` on the CPU (S = ``size``, C = ``channels``).

    ``on_progress(done, n)`` is called from this thread. Raises ``DataError`` for the first image that cannot be read.
    """
    pixels = torch.empty((len(index), channels, size, size), dtype=torch.uint8)

    def fill(start: int) -> int:
        stop = min(start + _BLOCK, len(index))
        for row in range(start, stop):
            pixels[row] = to_square(split.read(index[row]), size, channels)
        return stop

    with ThreadPoolExecutor(1 if split.one_at_a_time else max(threads, 1)) as pool:
        for done in pool.map(fill, range(0, len(index), _BLOCK)):
            if on_progress is not None:
                on_progress(done, len(index))
    return pixels
