"""Device, precision, random streams, and what work took."""

import mmap
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from wmdd.core.errors import SettingsError
from wmdd.runtime.device import Machine, default_device, default_precision, default_threads, open_machine
from wmdd.runtime.graphs import graphed_inference, unrecorded
from wmdd.runtime.random import seeded, stream
from wmdd.runtime.usage import PACKAGES, machine_name, measured, versions

CPU = torch.device("cpu")


@pytest.mark.parametrize("device", ["gpu", "", "cuda:-1", "cuda:x", "mps:0", "meta", "cpu:cuda"])
def test_what_is_no_device_is_refused(device: str) -> None:
    for ask in (default_precision, lambda name: open_machine(name, "float32", torch.get_num_threads())):
        with pytest.raises(SettingsError, match=r"runtime\.device"):
            ask(device)


def test_a_gpu_that_is_not_there_is_refused() -> None:
    count = torch.cuda.device_count()
    with pytest.raises(SettingsError, match=f"torch finds {count} CUDA devices"):
        open_machine(f"cuda:{count}", "float32", torch.get_num_threads())


def test_opening_a_machine_sets_the_threads() -> None:
    before = torch.get_num_threads()
    try:
        for threads in (2, 1):
            machine = open_machine("cpu", "float64", threads)
            assert torch.get_num_threads() == threads
            assert machine == Machine(CPU, "float64")
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("precision", "weights", "products"),
    [
        ("float64", torch.float64, torch.float64),
        ("float32", torch.float32, torch.float32),
        ("bfloat16", torch.float32, torch.bfloat16),
    ],
)
def test_precision_is_that_of_weights_and_of_products(
    precision: str, weights: torch.dtype, products: torch.dtype
) -> None:
    machine = Machine(CPU, precision)  # type: ignore[arg-type]
    network = machine.place(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    assert {tensor.dtype for tensor in network.parameters()} == {weights}
    assert network[0].weight.is_contiguous(memory_format=torch.channels_last)  # type: ignore[index, operator, union-attr]
    x = machine.layout(torch.rand(2, 3, 5, 5, dtype=machine.dtype))
    assert x.is_contiguous(memory_format=torch.channels_last)
    with machine.autocast():
        assert network[0](x).dtype == products  # type: ignore[index, operator]


def test_defaults_can_be_opened() -> None:
    device = default_device()
    assert device in ("cpu", "cuda")
    machine = open_machine(device, default_precision(device), torch.get_num_threads())
    assert machine.precision in ("bfloat16", "float32")
    assert default_precision("cpu") in ("bfloat16", "float32")
    assert default_threads() >= 1


def test_streams_are_reproducible_and_apart() -> None:
    draws = {
        purpose: torch.rand(8, generator=stream(*purpose))
        for purpose in ((0, "a"), (0, "b"), (1, "a"), (0, "a", 0), (0, "a", 1))
    }
    assert len({tuple(draw.tolist()) for draw in draws.values()}) == 5
    assert torch.equal(draws[0, "a"], torch.rand(8, generator=stream(0, "a")))
    first = stream(0, "a")
    torch.rand(100, generator=stream(0, "b"))  # another stream's draws do not move this one
    assert torch.equal(torch.rand(8, generator=first), draws[0, "a"])


def test_seeded_blocks_are_reproducible_and_leave_the_global_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(2, 3)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(3), expected[0])
    with seeded(0, "weights"):
        inside = torch.rand(3)
    assert torch.equal(torch.rand(3), expected[1])
    with seeded(0, "weights"):
        assert torch.equal(torch.rand(3), inside)
    with seeded(0, "other weights"):
        assert not torch.equal(torch.rand(3), inside)


def test_an_error_in_a_seeded_block_puts_the_state_back() -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    with pytest.raises(IndexError), seeded(0, "weights"):
        torch.rand(3)[3]
    assert torch.equal(torch.get_rng_state(), state)


def resident_mb() -> float:
    return 1024 * int(Path("/proc/self/status").read_text(encoding="ascii").partition("VmRSS:")[2].split()[0]) / 1e6


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the high-water mark is Linux's")
def test_measured_fills_in_seconds_and_the_peak_of_the_block_alone() -> None:
    before = resident_mb()
    with measured(CPU) as large:
        # Pages of its own: what is freed on the heap may stay there (`runtime.allocator` wants it so).
        with mmap.mmap(-1, 200_000_000) as block:
            for page in range(0, len(block), mmap.PAGESIZE):
                block[page] = 1
            held = resident_mb()
        time.sleep(0.05)
    with measured(CPU) as small:
        pass
    assert 0.05 <= large.seconds < 5
    assert large.peak_mb >= held - 1 > before + 190
    assert small.seconds < 0.05
    assert small.peak_mb < large.peak_mb - 150


def test_versions_and_the_machine_have_names() -> None:
    assert set(versions()) == {"python", *PACKAGES}
    assert versions()["torch"] == torch.__version__.partition("+")[0]
    assert machine_name(CPU, 3).endswith(", 3 threads")
    assert len(machine_name(CPU, 3)) > len(", 3 threads")


def test_tables_of_five_dimensions_stay_as_they_are() -> None:
    """Lambda networks of timm have them; torch would lay out four dimensions or five, and fails on the latter."""

    class Wide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)
            self.table = nn.Parameter(torch.rand(2, 1, 3, 3, 1))

    machine = Machine(torch.device("cpu"), "float64")
    placed = machine.place(Wide())
    assert placed.conv.weight.is_contiguous(memory_format=torch.channels_last)
    assert placed.table.is_contiguous()
    assert placed.table.dtype == torch.float64


def test_nothing_is_recorded_where_operations_are_counted() -> None:
    def infer(x: Tensor) -> Tensor:
        return x

    machine = Machine(torch.device("cuda"), "float32")  # none is needed to say what would be recorded
    assert graphed_inference(infer, machine) is not infer
    with unrecorded():
        assert graphed_inference(infer, machine) is infer
    assert graphed_inference(infer, machine) is not infer
