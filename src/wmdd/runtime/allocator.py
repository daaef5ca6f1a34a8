"""The C library's memory: kept for what is taken next, or given back to the system."""

import ctypes
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def keep_freed() -> None:
    """Keep freed memory for what is taken next, in this whole process.

    Training takes and frees the same large tensors at every step. Fresh pages for each cost more than most arithmetic
    on them: a fifth of a step of a small network on a CPU.
    """
    with suppress(OSError, AttributeError):  # glibc alone has it
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_MAX, 0)  # large blocks come from the heap, too
        mallopt(_M_TRIM_THRESHOLD, -1)


def give_back() -> None:
    """Return what the C library holds unused to the system, so that what is taken next shows."""
    with suppress(OSError, AttributeError):  # glibc alone has it
        ctypes.CDLL(None).malloc_trim(0)
