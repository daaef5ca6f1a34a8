"""Images of one size, served by index: held in memory, or streamed from disk."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from wmdd.config.data import DataConfig
from wmdd.core.errors import DataError
from wmdd.data.parallel import Progress, decode_images
from wmdd.data.source import Split


class Images(ABC):
    """N images of side S with ``labels`` int64 ``[N]`` on the CPU; pixels come out on ``device``."""

    def __init__(self, labels: Tensor, device: torch.device) -> None:
        self.labels = labels
        self.device = device

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def take(self, index: Tensor) -> Tensor:
        """The images at ``index`` int64 ``[n]``, in that order: uint8 ``[n, C, S, S]``."""

    def batches(self, chunks: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """For each chunk of indices int64 ``[B]``: uint8 ``[B, C, S, S]`` and labels int64 ``[B]``, both on the device.

        Raises ``DataError`` if an image cannot be read.
        """
        for chunk, pixels in zip(chunks, self._pixels(chunks), strict=True):
            yield pixels, self.labels[chunk].to(self.device)

    @abstractmethod
    def _pixels(self, chunks: Sequence[Tensor]) -> Iterator[Tensor]:
        """The images of each chunk of indices in turn."""


class MemoryImages(Images):
    """All images decoded: ``pixels`` uint8 ``[N, C, S, S]``, on the device they are wanted on."""

    def __init__(self, pixels: Tensor, labels: Tensor) -> None:
        super().__init__(labels, pixels.device)
        self.pixels = pixels

    def take(self, index: Tensor) -> Tensor:
        return self.pixels[index.to(self.device)]

    def _pixels(self, chunks: Sequence[Tensor]) -> Iterator[Tensor]:
        return map(self.take, chunks)


class StreamedImages(Images):
    """Images decoded each time they are asked for, by ``workers`` processes (0: in this one).

    Those that are read one at a time are decoded in this one whatever ``workers`` is: forked processes share the
    position in a file that was open before.
    """

    def __init__(self, split: Split, size: int, workers: int, device: torch.device, channels: int = 3) -> None:
        super().__init__(split.labels, device)
        self.split = split
        self.size = size
        self.workers = workers
        self.channels = channels

    def take(self, index: Tensor) -> Tensor:
        pixels = decode_images(self.split, index.tolist(), self.size, self.workers, channels=self.channels)
        return pixels.to(self.device)

    def _pixels(self, chunks: Sequence[Tensor]) -> Iterator[Tensor]:
        loader: DataLoader[Tensor | str] = DataLoader(
            _Chunks(self.split, self.size, self.channels, chunks),
            batch_size=None,
            num_workers=0 if self.split.one_at_a_time else self.workers,
            # A generator of its own: the loader draws a worker seed, and must not advance the global stream.
            generator=torch.Generator(),
        )
        for pixels in loader:
            if isinstance(pixels, str):
                raise DataError(pixels)
            yield pixels.to(self.device)


class _Chunks(Dataset[Tensor | str]):
    """Decoded chunks; an unreadable image becomes its sentence, for torch would wrap an error in worker tracebacks."""

    def __init__(self, split: Split, size: int, channels: int, chunks: Sequence[Tensor]) -> None:
        self.split = split
        self.size = size
        self.channels = channels
        self.chunks = chunks

    def __len__(self) -> int:
        return len(self.chunks)

    def __getitem__(self, i: int) -> Tensor | str:
        try:
            return decode_images(self.split, self.chunks[i].tolist(), self.size, channels=self.channels)
        except DataError as error:
            return str(error)


def channels_of(split: Split, config: DataConfig) -> int:
    """C: what ``config`` says, or what the images have."""
    return split.channels if config.channels == "auto" else config.channels


def held_bytes(split: Split, size: int, config: DataConfig) -> int:
    """The bytes of the split's images at side ``size`` where they are held in memory; 0 where they are streamed."""
    wanted = len(split) * channels_of(split, config) * size * size
    return wanted if wanted <= config.memory_gb * 1e9 else 0


def load_images(
    split: Split, size: int, config: DataConfig, device: torch.device, on_progress: Progress | None = None
) -> Images:
    """The split at side S = ``size``: in memory, on ``device``, if its bytes fit ``config.memory_gb``, else streamed.

    ``on_progress(done, N)`` reports the decoding. Raises ``DataError`` if an image cannot be read.
    """
    channels = channels_of(split, config)
    if not held_bytes(split, size, config):
        return StreamedImages(split, size, config.workers, device, channels)
    pixels = decode_images(split, range(len(split)), size, config.workers, on_progress, channels=channels)
    return MemoryImages(pixels.to(device), split.labels)
