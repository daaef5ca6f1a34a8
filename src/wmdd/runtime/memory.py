"""How much memory a process may still take."""

import os
from contextlib import suppress
from pathlib import Path

import torch

_MEMINFO = Path("/proc/meminfo")
_OWN = Path("/proc/self/cgroup")
_CGROUPS = (
    # version 2, and 1: controller, folder, what is allowed, what is taken, and the file cache that would give way
    ("", "", "memory.max", "memory.current", "inactive_file"),
    ("memory", "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def available_bytes(device: torch.device, cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Free memory of a GPU, what torch's allocator holds unused included; or else of the machine or its cgroup.

    A container sees its cgroup as the root; a job of Slurm or systemd has one below it, and each above limits it, too.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return min([_machine_bytes(), *_cgroup_bytes(cgroup)])


def _machine_bytes() -> int:
    with suppress(OSError, LookupError, ValueError, StopIteration):
        return 1024 * _entry(_MEMINFO, "MemAvailable:")
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _cgroup_bytes(root: Path) -> list[int]:
    """What the limits leave, if there are any that can be read."""
    found = []
    for controller, folder, limit, usage, cache in _CGROUPS:
        own = root / folder / _own_path(controller)
        for place in (own, *own.parents):
            with suppress(OSError, LookupError, ValueError, StopIteration):  # "max" is no number, and no limit
                allowed, taken = (int((place / name).read_text(encoding="ascii")) for name in (limit, usage))
                found.append(max(0, allowed - taken + _entry(place / "memory.stat", cache)))
            if place == root:
                break
    return found


def _own_path(controller: str) -> str:
    """Where below the root this process's cgroup is; the root itself where that cannot be read."""
    with suppress(OSError, ValueError):
        for line in _OWN.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controller in controllers.split(","):
                return path.strip("/")
    return ""


def _entry(path: Path, name: str) -> int:
    lines = path.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.split()[0] == name)
