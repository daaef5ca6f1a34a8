"""What a run directory keeps of work that is not finished."""

from pathlib import Path

from wmdd.pipeline.run_directory import RunDirectory


def test_only_savepoints_of_finished_units_are_removed(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    mine, theirs = (run.savepoint_path("evaluation", unit) for unit in ("mine", "wmdd/theirs"))
    mine.parent.mkdir(parents=True)
    for path in (mine, theirs, mine.with_name(".killed.tmp")):
        path.touch()
    run.tidy("evaluation", ["mine", "never begun"])
    assert list(mine.parent.iterdir()) == [theirs], "another process may be at it"
    run.tidy("evaluation", ["wmdd/theirs"])
    assert not mine.parent.exists()
