"""Images in memory and images streamed give the same bytes in the same order, and the same sentence on a fault."""

from pathlib import Path

import pytest
import torch
from image_folders import write_folder

from wmdd.config import DataConfig
from wmdd.core.errors import DataError
from wmdd.data import Images, MemoryImages, Split, StreamedImages, load_images, open_source, to_square

CPU = torch.device("cpu")


def opened(folder: Path) -> Split:
    source = open_source(DataConfig(source=str(folder)))
    assert source.flips
    return source.train


def loaded(split: Split, memory_gb: float, workers: int = 0) -> Images:
    return load_images(split, 32, DataConfig(memory_gb=memory_gb, workers=workers), CPU)


@pytest.fixture
def split(tmp_path: Path) -> Split:
    return opened(write_folder(tmp_path, {"train/a": 50, "train/b": 40, "val/a": 1, "val/b": 1}))


def test_memory_decides_between_the_two(split: Split) -> None:
    exactly = len(split) * 3 * 32 * 32 / 1e9
    assert isinstance(loaded(split, exactly), MemoryImages)
    assert isinstance(loaded(split, exactly * 0.99), StreamedImages)
    assert isinstance(loaded(split, 0), StreamedImages)


@pytest.mark.parametrize("workers", [0, 3])
def test_memory_images_keep_the_order(split: Split, workers: int) -> None:
    images = loaded(split, 1, workers)
    assert isinstance(images, MemoryImages)
    assert images.pixels.shape == (90, 3, 32, 32)
    assert images.pixels.dtype == torch.uint8
    assert torch.equal(images.pixels, torch.stack([to_square(split.read(i), 32) for i in range(90)]))


def test_progress_is_reported_to_the_end(split: Split) -> None:
    seen: list[tuple[int, int]] = []
    load_images(split, 32, DataConfig(workers=2), CPU, lambda done, total: seen.append((done, total)))
    assert seen == [(64, 90), (90, 90)]


@pytest.mark.parametrize("workers", [0, 2])
def test_streamed_equals_memory_to_the_byte(split: Split, workers: int) -> None:
    memory, streamed = loaded(split, 1), loaded(split, 0, workers)
    assert len(memory) == len(streamed) == 90
    assert torch.equal(memory.labels, streamed.labels)
    index = torch.randperm(90, generator=torch.Generator().manual_seed(0))[:70]
    assert torch.equal(memory.take(index), streamed.take(index))
    batches = list(zip(memory.batches(index.split(32)), streamed.batches(index.split(32)), strict=True))
    assert [len(pixels) for (pixels, _), _ in batches] == [32, 32, 6]
    for (pixels, labels), (streamed_pixels, streamed_labels) in batches:
        assert pixels.dtype == streamed_pixels.dtype == torch.uint8
        assert labels.dtype == torch.int64
        assert torch.equal(pixels, streamed_pixels)
        assert torch.equal(labels, streamed_labels)
    assert torch.equal(torch.cat([pixels for (pixels, _), _ in batches]), memory.take(index))
    assert torch.equal(torch.cat([labels for (_, labels), _ in batches]), split.labels[index])


@pytest.mark.parametrize("memory_gb", [0, 1])
def test_no_index_no_batch(split: Split, memory_gb: float) -> None:
    images, none = loaded(split, memory_gb), torch.empty(0, dtype=torch.int64)
    assert list(images.batches([])) == []
    assert images.take(none).shape == (0, 3, 32, 32)


@pytest.mark.parametrize("memory_gb", [0, 1])
def test_the_global_random_stream_is_left_alone(split: Split, memory_gb: float) -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    list(loaded(split, memory_gb).batches(torch.arange(10).split(4)))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_file_gives_its_sentence(split: Split, tmp_path: Path, workers: int) -> None:
    path = tmp_path / split.names[70]
    path.write_bytes(path.read_bytes()[:100])
    sentence = f"{path} is "
    with pytest.raises(DataError) as caught:
        loaded(split, 1, workers)
    assert str(caught.value).startswith(sentence)
    streamed = loaded(split, 0, workers)
    with pytest.raises(DataError) as caught:
        list(streamed.batches(torch.arange(90).split(16)))
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="replace"):
        streamed.take(torch.tensor([1, 70]))


def test_a_stream_may_be_left_early(split: Split) -> None:
    streamed = loaded(split, 0, workers=2)
    for _ in range(2):
        pixels, _ = next(streamed.batches(torch.arange(90).split(8)))
        assert torch.equal(pixels, streamed.take(torch.arange(8)))


def test_digits_both_ways() -> None:
    digits = open_source(DataConfig()).validation
    memory, streamed = loaded(digits, 1), loaded(digits, 0)
    assert torch.equal(memory.take(torch.arange(20)), streamed.take(torch.arange(20)))


def test_imagenette_both_ways(imagenette: Path) -> None:
    split = opened(imagenette)
    memory, streamed = loaded(split, 1, 2), loaded(split, 0, 2)
    index = torch.arange(35, -1, -1)
    for (ours, _), (theirs, _) in zip(memory.batches(index.split(10)), streamed.batches(index.split(10)), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_images_come_out_on_the_device(split: Split) -> None:
    for memory_gb in (0, 1):
        images = load_images(split, 32, DataConfig(memory_gb=memory_gb, workers=0), torch.device("cuda"))
        pixels, labels = next(images.batches(torch.arange(4).split(4)))
        assert pixels.is_cuda
        assert labels.is_cuda
        assert images.take(torch.arange(4)).is_cuda
        assert not images.labels.is_cuda
