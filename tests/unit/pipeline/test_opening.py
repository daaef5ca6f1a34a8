"""Two processes that begin a run at once."""

from pathlib import Path

import pytest

from wmdd.config.load import parse
from wmdd.pipeline.opening import open_run
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.runtime.progress import Reporter


@pytest.mark.parametrize("usual", ["float32", "bfloat16"])
def test_whoever_is_second_takes_over_what_the_first_found_out(
    usual: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one's machine has another precision, and more cores."""
    small, begin = parse({"data": {"image_size": 8}, "synthesis": {"steps": 0}}), RunDirectory.begin

    def on_another_machine(run: RunDirectory, config: object) -> bool:
        monkeypatch.setattr(RunDirectory, "begin", begin)
        with monkeypatch.context() as there:
            there.setattr("wmdd.pipeline.resolve.default_precision", lambda _: "float32")
            there.setattr("wmdd.pipeline.resolve.default_threads", lambda: 3)
            open_run(RunDirectory(tmp_path / "run"), small, Reporter(quiet=True))
        return begin(run, config)  # type: ignore[arg-type]

    monkeypatch.setattr("wmdd.pipeline.resolve.default_precision", lambda _: usual)
    monkeypatch.setattr("wmdd.pipeline.resolve.default_threads", lambda: 1)
    monkeypatch.setattr(RunDirectory, "begin", on_another_machine)
    work = open_run(RunDirectory(tmp_path / "run"), small, Reporter(quiet=True))
    for config in (work.config, RunDirectory(tmp_path / "run").config()):
        assert (config.runtime.precision, config.runtime.threads) == ("float32", 3)
