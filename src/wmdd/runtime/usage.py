"""What a piece of work took: seconds and peak memory; and on what it ran."""

import platform
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch

PACKAGES = ("wmdd", "torch", "torchvision", "timm", "numpy", "POT", "scikit-learn", "pillow")


@dataclass
class Usage:
    """Seconds of wall time, and peak memory meanwhile of the process (CPU) or the device's allocator (GPU), in MB."""

    seconds: float = 0.0
    peak_mb: float = 0.0


@contextmanager
def measured(device: torch.device) -> Iterator[Usage]:
    """Fill in the :class:`Usage` of the block when it ends."""
    usage = Usage()
    _reset_peak(device)
    start = time.perf_counter()
    yield usage
    usage.seconds = round(time.perf_counter() - start, 3)
    usage.peak_mb = round(_peak_bytes(device) / 1e6, 1)


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # Linux: the high-water mark begins anew
    except OSError:
        return


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])
    except (OSError, IndexError):
        pass
    # Elsewhere the mark of the whole process has to do; Linux counts kilobytes, macOS bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def machine_name(device: torch.device, threads: int) -> str:
    """One line that says what computed: processor or GPU, and CPU threads."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, {threads} CPU threads"
    return f"{_processor()}, {threads} threads"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
