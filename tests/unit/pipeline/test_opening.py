"""Beginning a run and going on with it: settings of several processes, and what was automatic."""

import multiprocessing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wmdd.config import RunConfig
from wmdd.config.load import dotted, merge, parse, to_values
from wmdd.core.errors import RunError
from wmdd.data import open_source
from wmdd.pipeline.opening import open_run
from wmdd.pipeline.resolve import loosened, resolve
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


def test_a_worker_that_imports_the_program_begins_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would wait for what the process that started it is making, and that one for it."""
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)  # as python has it then
    with pytest.raises(RunError, match='put that call under `if __name__ == "__main__":`'):
        open_run(RunDirectory(tmp_path / "run"), parse({}), Reporter(quiet=True))
    assert not (tmp_path / "run").exists()


def test_settings_stay_while_another_process_is_at_work(tmp_path: Path) -> None:
    """It would go on with what it has, and find images of another number."""
    small = parse({"data": {"image_size": 8}, "synthesis": {"steps": 0}})
    run = RunDirectory(tmp_path / "run")
    open_run(run, small, Reporter(quiet=True))
    held = run.claim("teacher", "teacher")
    assert held is not None
    with held:
        with pytest.raises(RunError, match="another process is at teacher"):
            open_run(RunDirectory(run.path), replace(small, ipc=5), Reporter(quiet=True))
        assert run.config().ipc == small.ipc
        more = replace(small, evaluation=replace(small.evaluation, seeds=(7,)))  # that only adds to it
        open_run(RunDirectory(run.path), more, Reporter(quiet=True))
        assert run.config().evaluation.seeds == (7,)
    open_run(RunDirectory(run.path), replace(small, ipc=5), Reporter(quiet=True))
    assert run.config().ipc == 5


@pytest.mark.parametrize(
    ("changes", "follows"),
    [
        ({"seed": 1}, {"synthesis.seed": 1}),
        ({"seed": 1, "synthesis": {"seed": 0}}, {"synthesis.seed": 0}),
        ({"ipc": 50}, {"synthesis.group_size": 2}),
        ({"teacher": {"arch": "resnet18"}}, {"evaluation.students": ["resnet18"]}),
        (
            {"data": {"image_size": 96}},
            {
                "teacher.arch": "resnet18",
                "teacher.stem": "imagenet",
                "evaluation.students": ["resnet18"],
                "synthesis.patch_grid": 2,
                "synthesis.steps": 1000,
            },
        ),
        ({"synthesis": {"steps": 7}}, {}),
    ],
)
def test_what_was_automatic_follows_what_it_came_from(changes: dict[str, Any], follows: dict[str, Any]) -> None:
    source = open_source(RunConfig().data)
    begun = resolve(RunConfig(), source)
    found = dotted(resolve(parse(merge(to_values(loosened(begun, changes)), changes)), source))
    assert {name: found[name] for name in follows} == follows
    asked = dotted(parse(merge(to_values(begun), changes)))
    assert {name: value for name, value in found.items() if value != asked[name]}.keys() <= follows.keys()


def test_what_was_chosen_stays(tmp_path: Path) -> None:
    begun = resolve(parse({"synthesis": {"seed": 3, "group_size": 4}}), open_source(RunConfig().data))
    assert loosened(begun, {"seed": 1, "ipc": 50}) == begun
