"""Device, precision and threads, resolved once and then fixed for the run."""

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from wmdd.core.errors import SettingsError
from wmdd.runtime.trimmed import trim

Precision = Literal["float64", "float32", "bfloat16"]


@dataclass(frozen=True)
class Machine:
    """Where and how networks compute: weights in ``dtype``, forward passes in ``precision``."""

    device: torch.device
    precision: Precision

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of weights, pixels and losses: float64 in float64 runs, else float32."""
        return torch.float64 if self.precision == "float64" else torch.float32

    def autocast(self) -> AbstractContextManager[object]:
        """A context in which forward passes run in the run's precision."""
        # A pass uses a weight once, so its cast is not kept: CUDA graphs could not follow it from pass to pass.
        lowers = self.precision == "bfloat16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=lowers, cache_enabled=False)

    def place(self, network: nn.Module) -> nn.Module:
        """``network`` on the device, trimmed and channels last: convolutions are fastest so, on CPUs as on GPUs.

        One that has the attribute ``plain_layout`` cannot take images so, and keeps torch's usual layout.
        """
        placed = trim(network).to(device=self.device, dtype=self.dtype)
        if not getattr(network, "plain_layout", False):
            for tensor in (*placed.parameters(), *placed.buffers()):
                if tensor.dim() == 4:  # Module.to would refuse those of five dimensions
                    tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
        return placed

    def layout(self, images: Tensor) -> Tensor:
        """``images [B, C, S, S]`` in the memory layout of :meth:`place`."""
        return images.contiguous(memory_format=torch.channels_last)


def open_machine(device: str, precision: Precision, threads: int, local_rank: int = 0) -> Machine:
    """The machine that resolved settings name; sets torch's number of threads.

    Of several processes on a machine each takes the GPU of its ``local_rank``, unless the settings name one.

    Raises:
        SettingsError: the device is unknown or absent.
    """
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    found = find_device(f"cuda:{local_rank}" if device == "cuda" and local_rank else device)
    if found.type == "cuda":
        torch.backends.cudnn.deterministic = True  # what a unit comes to must not depend on who makes it, or when
        torch.backends.cudnn.allow_tf32 = (
            False  # float32 is asked for where ten bits are too few: use bfloat16 for speed
        )
        if found.index is not None:
            torch.cuda.set_device(found)
    return Machine(found, precision)


def find_device(device: str) -> torch.device:
    """The device of that name.

    Raises:
        SettingsError: it is unknown or absent.
    """
    chosen = _parse(device)
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise SettingsError(
            f"runtime.device is {device!r}, but torch finds {torch.cuda.device_count()} CUDA devices here: "
            "use one of those, or cpu."
        )
    return chosen


def _parse(device: str) -> torch.device:
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise SettingsError(f"runtime.device {device!r} is not a device: use cpu, cuda or cuda:N.") from error
    if chosen.type not in ("cpu", "cuda"):
        raise SettingsError(f"runtime.device {device!r} is not supported: use cpu, cuda or cuda:N.")
    return chosen


def default_device() -> str:
    """``cuda`` where there is one, else ``cpu``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def default_precision(device: str) -> Precision:
    """bfloat16 where the processor multiplies it in hardware, else float32.

    Raises:
        SettingsError: the device is unknown.
    """
    if _parse(device).type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() and _has_bf16_products() else "float32"


def _has_bf16_products() -> bool:
    """Whether the CPU has dot products of bfloat16 (AVX512-BF16 or AMX); without them it is emulated and slow."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags.split())


def default_threads() -> int:
    """The cores this process may use; torchrun's processes on one machine share them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
