"""How much memory a process may still take."""

import os
from contextlib import suppress
from pathlib import Path

import torch

_MEMINFO = Path("/proc/meminfo")
_CGROUPS = (
    # version 2, and 1: what is allowed, what is taken, and the statistics with the file cache that would give way
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)


def available_bytes(device: torch.device, cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Free memory of a GPU, what torch's allocator holds unused included; or else of the machine or its cgroup."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return min([_machine_bytes(), *_cgroup_bytes(cgroup)])


def _machine_bytes() -> int:
    with suppress(OSError, LookupError, ValueError, StopIteration):
        return 1024 * _entry(_MEMINFO, "MemAvailable:")
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _cgroup_bytes(root: Path) -> list[int]:
    """What the container's limits leave, if there are any that can be read."""
    found = []
    for limit, usage, statistics, cache in _CGROUPS:
        with suppress(OSError, LookupError, ValueError, StopIteration):  # "max" is no number, and no limit
            allowed, taken = (int((root / name).read_text(encoding="ascii")) for name in (limit, usage))
            found.append(max(0, allowed - taken + _entry(root / statistics, cache)))
    return found


def _entry(path: Path, name: str) -> int:
    lines = path.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.split()[0] == name)
