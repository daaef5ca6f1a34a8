"""Faults of the machine: one sentence, and the same command goes on when the cause is gone."""

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from coloured_images import TINY, coloured_folder

from wmdd.cli.main import main
from wmdd.pipeline.run_directory import RunDirectory

LONG = ["--steps", "1000", "--synthesis.group_size", "1"]


@contextmanager
def loop_mounted(image: Path, place: Path) -> Iterator[Path]:
    """A file system of its own, as a network folder is, in a file."""
    place.mkdir(exist_ok=True)
    made = subprocess.run(["mount", "-o", "loop", image, place], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"nothing can be mounted here: {made.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=False, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """An empty file system, not mounted yet."""
    image = tmp_path / "disk.img"
    with image.open("wb") as file:
        file.truncate(64_000_000)
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("there is no mkfs.ext4 here")
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    return image


def artifacts(run: Path) -> dict[str, bytes]:
    files = (path for path in (run / "artifacts").rglob("*") if path.is_file() and path.parent.name != "units")
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in files}


def test_a_folder_that_vanishes_and_comes_back(disk: Path, pristine_colours: Path, tmp_path: Path) -> None:
    place, undisturbed = tmp_path / "network", tmp_path / "undisturbed"
    words = ["--data", str(pristine_colours), *TINY, *LONG]
    assert main(["run", str(undisturbed), *words]) == 0
    command = [sys.executable, "-m", "wmdd", "run", str(place / "run"), *words]
    with loop_mounted(disk, place):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 120
        while not any((place / "run/artifacts/synthesis/unfinished").glob("*.safetensors")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        subprocess.run(["umount", "--lazy", place], check=True)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said.startswith("wmdd: ")
    assert said.count("\n") == 1
    assert str(place / "run") in said
    assert not (place / "run").exists()  # nothing is begun below the mount point
    with loop_mounted(disk, place):
        assert main(["run", str(place / "run"), *words]) == 0
        assert artifacts(place / "run") == artifacts(undisturbed)
        assert not [*place.rglob("*.tmp"), *place.rglob("*.claim")]


def test_a_clock_that_was_set_back(finished: Path, pristine_run: Path) -> None:
    """To this process all that is there comes from the future."""
    RunDirectory(finished).discard("synthesis")
    for path in [finished, *finished.rglob("*")]:
        os.utime(path, (4e9, 4e9))
    assert main(["run", str(finished), "-q"]) == 0
    assert artifacts(finished) == artifacts(pristine_run)
    before = {path: path.stat().st_mtime_ns for path in (finished / "artifacts").rglob("*.*")}
    assert main(["run", str(finished), "-q"]) == 0
    assert {path: path.stat().st_mtime_ns for path in (finished / "artifacts").rglob("*.*")} == before


@contextmanager
def limited(most: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def one_file_left() -> Iterator[None]:
    """One more file may be opened: numbers below the limit that are free, wherever, are taken."""
    held: list[int] = []
    with limited(max(map(int, os.listdir("/proc/self/fd"))) + 2):
        try:
            with suppress(OSError):
                while True:
                    held.append(os.open(os.devnull, os.O_RDONLY))
            os.close(held.pop())
            yield
        finally:
            for handle in held:
                os.close(handle)


def test_2000_open_files_are_enough_for_more_images(tmp_path: Path) -> None:
    data = coloured_folder(tmp_path / "many", count=800)
    with limited(2000):
        assert main(["run", str(tmp_path / "run"), "--data", str(data), *TINY, "--data.workers", "2"]) == 0


def test_too_few_open_files(
    pristine_colours: Path, pristine_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", str(tmp_path / "run"), "--data", str(pristine_colours), *TINY]
    with one_file_left():
        code = main(words)
    said = capsys.readouterr().err
    assert code == 2
    assert "Too many open files" in said
    assert said.count("\n") == 1
    assert main(words) == 0
    assert artifacts(tmp_path / "run") == artifacts(pristine_run)
