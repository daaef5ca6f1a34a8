"""Taking over what another run made in a stage."""

from pathlib import Path

import pytest

from wmdd.core.hashing import digest_file
from wmdd.core.records import UnitRecord
from wmdd.pipeline.run_directory import RunDirectory


@pytest.fixture
def other(tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path / "other")
    path = run.folder("teacher") / "teacher.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    files = {path.relative_to(run.path).as_posix(): digest_file(path)}
    run.record("teacher", UnitRecord("teacher", "k", {}, files, 1.0, 1.0, "m"))
    return run


@pytest.mark.parametrize("links", [True, False])
def test_files_and_records_are_there_and_verified(
    other: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refuse(*_: object) -> None:
        raise OSError

    if not links:
        monkeypatch.setattr(Path, "hardlink_to", refuse)
    mine = RunDirectory(tmp_path / "mine")
    left = mine.folder("teacher") / "teacher.safetensors"  # by an earlier try that was cut off
    left.parent.mkdir(parents=True)
    left.write_bytes(b"wei")
    mine.take_over("teacher", other)
    (record,) = mine.outputs("teacher")
    theirs = other.file(record, ".safetensors")
    assert mine.file(record, ".safetensors").read_bytes() == b"weights"
    assert mine.file(record, ".safetensors").samefile(theirs) == links
    assert mine.stage_digest("teacher") == other.stage_digest("teacher")
    mine.discard("teacher")
    assert theirs.read_bytes() == b"weights"


def test_what_is_there_already_stays(other: RunDirectory, tmp_path: Path) -> None:
    mine = RunDirectory(tmp_path / "mine")
    mine.path.mkdir()
    mine.record("teacher", UnitRecord("teacher", "own", {}, {}, 1.0, 1.0, "m"))
    mine.take_over("teacher", other)
    assert mine.records("teacher")["teacher"].key == "own"


def test_what_is_there_and_damaged_is_taken_over_again(other: RunDirectory, tmp_path: Path) -> None:
    mine = RunDirectory(tmp_path / "mine")
    mine.take_over("teacher", other)
    (record,) = mine.outputs("teacher")
    path = mine.file(record, ".safetensors")
    path.unlink()
    path.write_bytes(b"weighty")
    again = RunDirectory(mine.path)  # another process: nothing is verified yet
    again.take_over("teacher", other)
    assert path.read_bytes() == b"weights"
