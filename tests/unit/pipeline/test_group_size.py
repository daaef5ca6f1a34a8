"""How many classes are optimised together."""

from pathlib import Path

import pytest
import torch

from wmdd.config import RunConfig
from wmdd.config.load import parse
from wmdd.core.errors import RunError
from wmdd.core.records import UnitRecord
from wmdd.data import ImageSource, open_source
from wmdd.pipeline import group_size
from wmdd.pipeline.group_size import bytes_of_an_image, fit_group, with_group
from wmdd.pipeline.lowered import as_begun, halve_group, refuse_another_group
from wmdd.pipeline.plan.rehearsal import Rehearsal
from wmdd.pipeline.resolve import resolve
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.stages import synthesis

SMALL = {"data": {"image_size": 8}, "runtime": {"precision": "float32", "threads": 1, "device": "cpu"}}


@pytest.fixture(scope="module")
def digits() -> ImageSource:
    return open_source(RunConfig().data)


@pytest.fixture(scope="module")
def config(digits: ImageSource) -> RunConfig:
    return resolve(parse(SMALL), digits)


@pytest.fixture
def run(tmp_path: Path, config: RunConfig) -> RunDirectory:
    run = RunDirectory(tmp_path / "run")
    run.write_config(config)
    return run


def make_a_unit(run: RunDirectory) -> None:
    run.record("synthesis", UnitRecord("group-000", "key", {"classes": [0]}, {}, 1.0, 1.0, "machine"))


# --- what fits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("images", "classes"), [(1e6, 10), (100 / 0.9, 10), (99, 8), (20, 1), (1, 1), (0, 1)])
def test_the_largest_group_that_fits(
    images: float, classes: int, config: RunConfig, digits: ImageSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Rehearsal(config, digits).held
    monkeypatch.setattr(group_size, "bytes_of_an_image", lambda _: 1e6)
    monkeypatch.setattr(group_size, "available_bytes", lambda _: (images + 1e-6) * 1e6 + held / 0.9)
    assert fit_group(config, digits) == with_group(config, classes)


def test_a_step_tells_what_an_image_takes(config: RunConfig, digits: ImageSource) -> None:
    larger = resolve(parse({**SMALL, "data": {"image_size": 32}}), digits)
    assert 1e5 < bytes_of_an_image(Rehearsal(larger, digits)) < 1e9


def test_a_gpu_that_does_not_hold_even_a_few_images(
    config: RunConfig, digits: ImageSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(synthesis, "_backward", fail)
    assert fit_group(config, digits) == with_group(config, 1)


# --- what a run has been given already --------------------------------------------------------------------------------


def test_an_automatic_group_stays_what_it_was(run: RunDirectory, config: RunConfig) -> None:
    auto = parse(SMALL)
    run.write_config(with_group(config, 7))
    assert as_begun(run, auto) == with_group(auto, 7)
    other = parse({**SMALL, "ipc": 50})
    assert as_begun(run, other) == other
    make_a_unit(run)
    assert as_begun(run, other) == with_group(other, 7)
    assert as_begun(run, with_group(auto, 5)) == with_group(auto, 5)


def test_a_lowered_group_stays_lowered(run: RunDirectory, config: RunConfig) -> None:
    make_a_unit(run)
    first = halve_group(run, config)
    assert first == with_group(config, 5) == run.config()
    assert not run.records("synthesis")
    assert halve_group(run, first) == with_group(config, 2)
    for asked in (config, parse(SMALL)):
        assert as_begun(run, asked).synthesis.group_size == 2
    assert as_begun(run, with_group(config, 5)).synthesis.group_size == 5
    run.discard("synthesis")
    assert as_begun(run, config) == config


def test_a_single_class_cannot_be_halved(run: RunDirectory, config: RunConfig) -> None:
    run.write_config(with_group(config, 1))
    assert halve_group(run, with_group(config, 1)) is None


def test_beside_other_processes_the_group_stays(run: RunDirectory, config: RunConfig) -> None:
    make_a_unit(run)
    held = run.claim("synthesis", "group-001")
    assert held is not None
    with held, pytest.raises(RunError, match=r"groups of 10 classes, and another process is at synthesis"):
        halve_group(run, config)
    assert run.config() == config
    assert run.records("synthesis")
    assert halve_group(run, config) == with_group(config, 5)


def test_several_processes_lower_the_group_once(run: RunDirectory, config: RunConfig) -> None:
    halve_group(run, config)
    make_a_unit(run)
    with pytest.raises(RunError, match=r"lowered synthesis\.group_size"):
        refuse_another_group(run, config)
    assert halve_group(run, config) == with_group(config, 5)
    assert run.records("synthesis")
    refuse_another_group(run, with_group(config, 5))
