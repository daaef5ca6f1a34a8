"""Memory that may still be taken."""

from pathlib import Path

import pytest
import torch

from wmdd.runtime import memory
from wmdd.runtime.memory import available_bytes

CPU = torch.device("cpu")


@pytest.fixture
def unlimited(tmp_path: Path) -> int:
    return available_bytes(CPU, tmp_path / "none")


def write(root: Path, **contents: object) -> Path:
    for name, content in contents.items():
        path = root / name.replace("__", "/").replace("_in_", "@").replace("_", ".").replace("@", "_in_")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return root


def test_there_is_some(unlimited: int) -> None:
    assert 1e6 < unlimited < 1e15


def test_the_limit_of_a_container_counts_but_not_its_file_cache(tmp_path: Path) -> None:
    stat = "anon 1000\ninactive_file 300"
    second = write(tmp_path / "2", memory_max=5000, memory_current=2000, memory_stat=stat)
    assert available_bytes(CPU, second) == 3300
    first = write(
        tmp_path / "1",
        memory__memory_limit_in_bytes=5000,
        memory__memory_usage_in_bytes=2000,
        memory__memory_stat="total_inactive_file 400",
    )
    assert available_bytes(CPU, first) == 3400
    over = write(tmp_path / "over", memory_max=1000, memory_current=2000, memory_stat=stat)
    assert available_bytes(CPU, over) == 0


@pytest.mark.parametrize("limit", ["max", "", 2**62])
def test_what_is_no_limit_is_none(limit: object, tmp_path: Path) -> None:
    root = write(tmp_path / "c", memory_max=limit, memory_current=2000, memory_stat="inactive_file 0")
    assert available_bytes(CPU, root) > 1e6


def test_the_limit_of_a_job_is_below_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, stat = tmp_path / "own", "inactive_file 0"
    monkeypatch.setattr(memory, "_OWN", own)
    root = write(tmp_path / "2", memory_max="max", memory_current=9000, memory_stat=stat)
    write(root / "slurm/job_1", memory_max=5000, memory_current=2000, memory_stat=stat)
    write(root / "slurm/job_1/step_0", memory_max="max", memory_current=1500, memory_stat=stat)
    own.write_text("0::/slurm/job_1/step_0\n")
    assert available_bytes(CPU, root) == 3000
    own.write_text("0::/../elsewhere\n")
    assert available_bytes(CPU, root) > 1e6
    first = write(tmp_path / "1/memory/slurm/job_1", memory_limit_in_bytes=700, memory_usage_in_bytes=200)
    (first / "memory.stat").write_text("total_inactive_file 0\n")
    own.write_text("5:cpu,memory:/slurm/job_1\n0::/\n")
    assert available_bytes(CPU, tmp_path / "1") == 500
