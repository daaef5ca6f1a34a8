"""The same bytes whatever happens: in one go, in shards, in another order, after kill -9."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_images import digit_folder

from wmdd.cli.main import main
from wmdd.pipeline.run_directory import RunDirectory

# Five classes do not divide into groups of two, and three images of a class do not fit into a batch of two.
SETTINGS = [
    *("--ipc", "3", "--image-size", "16", "--teacher-epochs", "6", "--seeds", "0"),
    *("--teacher.batch_size", "20", "--synthesis.group_size", "2", "--synthesis.batch_size", "2"),
    *("--evaluation.epochs", "12", "--runtime.threads", "1", "--runtime.precision", "float32", "-q"),
]
LONG = ["--steps", "150"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digit_folder(tmp_path_factory.mktemp("digits"), classes=5, train=20, val=10)


@pytest.fixture(scope="module")
def undisturbed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    assert main(["run", str(run), "--data", str(data), *SETTINGS, *LONG]) == 0
    return run


@pytest.fixture
def begun(undisturbed: Path, tmp_path: Path) -> Path:
    """A copy of the run as it was before synthesis."""
    run = tmp_path / "run"
    shutil.copytree(undisturbed, run)
    RunDirectory(run).discard("synthesis")
    assert not (run / "results.json").exists()
    return run


def contents(run: Path, *stages: str) -> dict[str, str]:
    """The hash of every artifact of ``stages``; records hold times, which differ."""
    return {
        path.relative_to(run).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for stage in stages
        for path in sorted((run / "artifacts" / stage).rglob("*"))
        if path.is_file() and path.parent.name != "units"
    }


def test_groups_are_fixed_by_the_settings_and_written_down(undisturbed: Path) -> None:
    groups = [record.covers["classes"] for record in RunDirectory(undisturbed).records("synthesis").values()]
    assert groups == [[0, 1], [2, 3], [4]]
    assert len(list((undisturbed / "artifacts/synthesis").rglob("*.png"))) == 15


@pytest.mark.parametrize("shards", [("0/2", "1/2"), ("1/2", "0/2"), ("2/3", "0/3", "1/3")])
def test_shards_in_any_order_make_the_same_bytes(undisturbed: Path, begun: Path, shards: tuple[str, ...]) -> None:
    for verb in ("synthesize", "relabel"):
        for shard in shards:
            assert main([verb, str(begun), "--shard", shard, "-q"]) == 0
    assert contents(begun, "synthesis", "relabel") == contents(undisturbed, "synthesis", "relabel")


def test_kill_in_the_middle_of_synthesis_then_the_same_command(undisturbed: Path, begun: Path, data: Path) -> None:
    command = [sys.executable, "-m", "wmdd", "run", str(begun), "--data", str(data), *SETTINGS, *LONG]
    unfinished = begun / "artifacts" / "synthesis" / "unfinished"
    process = subprocess.Popen(command)
    for _ in _until(lambda: any(unfinished.glob("*.safetensors")), process):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not RunDirectory(begun).records("evaluation")
    assert subprocess.run(command, check=False).returncode == 0
    stages = ("teacher", "statistics", "barycenters", "synthesis", "relabel", "evaluation")
    assert contents(begun, *stages) == contents(undisturbed, *stages)
    assert not list(begun.rglob("*.tmp"))


def _until(condition: object, process: subprocess.Popen[bytes]) -> Iterator[None]:
    deadline = time.monotonic() + 120
    while not condition():  # type: ignore[operator]
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        yield


def test_the_whole_run_again_from_nothing_makes_the_same_bytes(undisturbed: Path, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "again"
    assert main(["run", str(run), "--data", str(data), *SETTINGS, *LONG]) == 0
    stages = ("teacher", "statistics", "barycenters", "synthesis", "relabel", "evaluation")
    assert contents(run, *stages) == contents(undisturbed, *stages)


def test_the_same_command_again_does_nothing(undisturbed: Path, data: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (undisturbed / "artifacts").rglob("*") if path.is_file()}
    assert main(["run", str(undisturbed), "--data", str(data), *SETTINGS, *LONG]) == 0
    after = {path: path.stat().st_mtime_ns for path in (undisturbed / "artifacts").rglob("*") if path.is_file()}
    assert before == after


def images_of_groups(run: Path, data: Path, group_size: str) -> dict[str, bytes]:
    """Images after 20 steps in float64, by class and number."""
    words = ["--synthesis.group_size", group_size, "--runtime.precision", "float64", "--steps", "20"]
    assert main(["run", str(run), "--data", str(data), *SETTINGS, *words, "--evaluation.epochs", "1"]) == 0
    folder = run / "artifacts/synthesis"
    return {path.relative_to(folder).as_posix().partition("/")[2]: path.read_bytes() for path in folder.rglob("*.png")}


def test_group_size_changes_nothing_in_float64(data: Path, tmp_path: Path) -> None:
    """Images of groups of 1, 2, 3 and all classes agree after 20 steps: classes are independent problems."""
    found = [images_of_groups(tmp_path / size, data, size) for size in ("1", "2", "3", "5")]
    assert len(found[0]) == 15
    assert all(images == found[0] for images in found)
