"""Freed memory, kept and given back: in a process of its own, for it concerns all of one."""

import platform
import subprocess
import sys

import pytest

from wmdd.runtime.allocator import give_back

CODE = """
from pathlib import Path
from wmdd.runtime.allocator import give_back, keep_freed

def resident():
    return 1024 * int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0])

keep_freed()
before, block = resident(), bytearray(b"1") * 100_000_000
del block
kept = resident()
give_back()
print(kept - before, resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone is told to")
def test_freed_memory_is_kept_until_it_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True)
    kept, left = map(int, done.stdout.split())
    assert kept > 90_000_000
    assert left < 10_000_000


def test_giving_back_is_harmless() -> None:
    give_back()
