"""What a plan counts, and what it makes of a measured step."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from wmdd.config import RunConfig
from wmdd.config.load import parse
from wmdd.core.records import STAGES
from wmdd.data import ImageSource, open_source
from wmdd.pipeline.plan import line, parts, plan
from wmdd.pipeline.plan.disk import disk_bytes
from wmdd.pipeline.plan.plan import Plan, StagePlan, make_plan
from wmdd.pipeline.plan.probe import STEADY_STEPS, Part, Probe, Task, probe, repeated
from wmdd.pipeline.plan.rehearsal import Rehearsal
from wmdd.pipeline.resolve import resolve
from wmdd.pipeline.stages import ALL_STAGES
from wmdd.runtime.progress import Reporter

CPU = torch.device("cpu")
SMALL = {"data": {"image_size": 8}, "runtime": {"precision": "float32", "threads": 1, "device": "cpu"}}


@pytest.fixture(scope="module")
def digits() -> ImageSource:
    return open_source(RunConfig().data)


def settings(digits: ImageSource, **sections: object) -> RunConfig:
    return resolve(parse({**SMALL, **sections}), digits)


class Told(Exception):
    pass


@pytest.fixture
def totals(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Instead of measuring: the steps that each stage itself says it will do; every step is one second."""
    said: list[int] = []

    def ask(task: Task, device: torch.device) -> Probe:
        def log(step: int, total: int, **values: float | Tensor) -> None:
            said.append(total)
            raise Told

        with pytest.raises(Told):
            task(log)
        return Probe(0.0, 1.0, 1.0, 2.0, 100.0)

    nothing = Part(Probe(0.0, 0.0, 0.0, 0.0, 0.0), 0)
    monkeypatch.setattr(line, "probe", ask)
    monkeypatch.setattr(line, "seconds_of_a_step", lambda _: 0.0)  # where it stalls, parts of batches are measured, too
    monkeypatch.setattr(parts, "probe_once", lambda *_: Probe(0.0, 1.0, 1.0, 0.0, 100.0))
    monkeypatch.setattr(parts, "_reading", lambda *_: nothing)
    monkeypatch.setattr(parts, "_writing", lambda *_: nothing)
    return said


def seconds(found: Plan) -> dict[str, float]:
    return {stage.stage: stage.seconds for stage in found.stages}


def test_the_steps_of_a_plan_are_those_that_the_stages_do(digits: ImageSource, totals: list[int]) -> None:
    config = settings(digits, synthesis={"steps": 7}, teacher={"epochs": 3}, evaluation={"epochs": 2})
    found = make_plan(config, digits, Reporter(quiet=True))
    teacher, statistics, student = 3 * 23, 1437 / 256, 2 * 5  # 1437 images in batches of 64, 100 in batches of 20
    assert totals[0] == teacher
    assert totals[2] == 6
    assert totals[3] == 7
    assert totals[5] == student
    assert seconds(found) == pytest.approx(
        {
            "teacher": teacher + 360 / 256,
            "statistics": statistics,
            "barycenters": 10 / 4,  # where two take the second that every probe takes here, four are measured
            "synthesis": 7,
            "relabel": 2 * 4,  # two epochs of the distilled set and of three random ones, a batch each
            "evaluation": 6 * (student + 360 / 256),
        },
        abs=1e-3,
    )
    assert found.stages[3].flops == 14
    assert [stage.units for stage in found.stages] == [1, 1, 1, 1, 4, 6]


def test_more_classes_than_a_group_and_more_protocols(digits: ImageSource, totals: list[int]) -> None:
    config = settings(
        digits,
        synthesis={"steps": 7, "group_size": 4},
        evaluation={"protocols": ["wmdd", "hard-label"], "students": ["convnet3", "resnet10t"], "seeds": [0]},
    )
    found = {stage.stage: stage for stage in make_plan(config, digits, Reporter(quiet=True)).stages}
    assert found["synthesis"].units == 3
    assert found["synthesis"].seconds == pytest.approx(7 * 2.5)  # two groups of four, one of two
    assert found["relabel"].seconds == pytest.approx(100 * 2)  # hard labels need none
    students = 2 * 2 * (100 * 5 + 300 * 1)
    assert found["evaluation"].seconds == pytest.approx(students + 8 * 360 / 256, abs=1e-2)


@pytest.mark.parametrize("teacher", [{"checkpoint": "weights.pt"}, {"pretrained": True}])
def test_nothing_to_train_to_label_or_to_optimise(
    digits: ImageSource, monkeypatch: pytest.MonkeyPatch, teacher: dict[str, object]
) -> None:
    config = settings(
        digits, synthesis={"steps": 0}, teacher={"arch": "convnet3", **teacher}, evaluation={"labels": "online"}
    )
    monkeypatch.setattr(line, "probe", counted(calls := []))
    monkeypatch.setattr(line, "seconds_of_a_step", lambda _: 0.0)
    found = {stage.stage: stage for stage in make_plan(config, digits, Reporter(quiet=True)).stages}
    assert found["relabel"] == StagePlan("relabel", 0, 0.0, 0.0, 0.0, 0.0)
    assert found["synthesis"].flops == 0
    assert found["teacher"].seconds < 30
    assert len(calls) == 5


def counted(calls: list[Task]) -> Callable[[Task, torch.device], Probe]:
    def note(task: Task, device: torch.device) -> Probe:
        calls.append(task)
        return Probe(0.0, 1.0, 1.0, 2.0, 100.0)

    return note


def test_what_a_run_holds_is_added_to_what_its_probes_held(digits: ImageSource, totals: list[int]) -> None:
    held = make_plan(settings(digits), digits, Reporter(quiet=True)).stages[0].peak_mb
    assert held == pytest.approx(100 + 1797 * 3 * 8 * 8 / 1e6, abs=0.1)
    streamed = settings(digits, data={"image_size": 8, "memory_gb": 0})
    assert make_plan(streamed, digits, Reporter(quiet=True)).stages[0].peak_mb == 100


def test_a_part_is_begun_in_every_unit_and_cold_once() -> None:
    found = Part(Probe(cold=5.0, first=3.0, step=1.0, flops=2.0, peak_mb=1.0), steps=10, starts=2)
    assert found.seconds == 5 + 2 * 2 + 10
    assert found.flops == 20
    assert Part(found.probe, steps=0).seconds == 0


def test_a_probe_measures_the_steps_it_does() -> None:
    a = torch.ones(64, 64)

    def step() -> None:
        time.sleep(0.2)
        a @ a

    found = probe(repeated(step), CPU)
    assert 0.2 <= found.step < 0.3
    assert found.flops == 2 * 64**3
    assert found.peak_mb > 10
    done: list[int] = []
    probe(repeated(lambda: done.append(1), STEADY_STEPS), CPU)
    assert len(done) == 1 + STEADY_STEPS + 1  # a stage may have less than is wanted


def test_disk_follows_shapes(digits: ImageSource) -> None:
    def bytes_of(**sections: object) -> dict[str, int]:
        rehearsal = Rehearsal(settings(digits, **sections), digits)
        return disk_bytes(rehearsal, {stage.name: list(stage.units(rehearsal.work)) for stage in ALL_STAGES})

    ten, twenty = bytes_of(), bytes_of(ipc=20)
    assert tuple(ten) == STAGES
    assert twenty["teacher"] == ten["teacher"] > 1e6
    assert twenty["statistics"] == ten["statistics"]
    assert twenty["synthesis"] == 2 * ten["synthesis"]
    assert twenty["relabel"] == 2 * ten["relabel"] == 2 * 4 * 100 * 100 * (20 + 9 + 12)
    assert bytes_of(evaluation={"labels": "online"})["relabel"] == 0


def test_a_plan_as_plain_values() -> None:
    stages = tuple(StagePlan(name, 1, 2.0, 3.0 + i, 4.0, 5.0) for i, name in enumerate(STAGES))
    found = plan.Plan(RunConfig(), "a machine", stages).values()
    assert found["together"] == {"units": 6, "seconds": 12.0, "peak_mb": 8.0, "disk_mb": 24.0, "flops": 30.0}
    assert found["stages"]["teacher"] == {"units": 1, "seconds": 2.0, "peak_mb": 3.0, "disk_mb": 4.0, "flops": 5.0}
    assert found["settings"]["ipc"] == 10


@pytest.mark.parametrize("each", [0.1, 1.0])  # seconds of an image: a step is measured as a whole, or in parts
def test_a_clock_that_was_held_up_gives_no_line_that_falls(monkeypatch: pytest.MonkeyPatch, each: float) -> None:
    """A part of a step that seems to take longer than more of it would make the whole step take next to nothing."""

    def probed(size: Any, _: torch.device) -> Probe:
        step = 90.0 if size == 2 else each * size
        return Probe(0.0, step, step, 0.0, 0.0)

    monkeypatch.setattr(line, "seconds_of_a_step", lambda size: each * size)
    monkeypatch.setattr(line, "probe", probed)
    found = line.probe_batch(lambda size: size, 20, CPU, divided=True)  # type: ignore[arg-type, return-value]
    assert found.probe.step >= each * found.measured
    assert 0 <= found.fixed <= found.probe.step
