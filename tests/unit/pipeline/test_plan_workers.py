"""A stage of a plan with several processes at it."""

from dataclasses import replace
from random import Random

import pytest

from wmdd.pipeline.plan.parts import Parts
from wmdd.pipeline.plan.probe import BYTES_PER_SECOND, Part, Probe, Shared
from wmdd.pipeline.plan.simulation import Deaths
from wmdd.pipeline.plan.workers import Work
from wmdd.pipeline.units import Unit, passes

STEP = Probe(cold=5.0, first=1.0, step=1.0, flops=0.0, peak_mb=0.0)


def classes(*parts: Part) -> Work:
    return Work("statistics", list(passes(1000)), 1, Parts(parts))


def teacher(*parts: Part, most: int = 100) -> Work:
    return Work("teacher", [Unit("teacher", {})], most, Parts(parts, savepoints=10))


def test_one_worker_takes_what_the_plan_of_one_process_says() -> None:
    for work in (classes(Part(STEP, 500)), teacher(Part(STEP, 70, shared=Shared(0.1, 10)))):
        assert work.seconds(1) == pytest.approx(work.parts.parts[0].seconds)
        assert work.gradients(1) == 0


def test_units_of_classes_are_made_apart_and_what_is_cold_is_paid_by_all() -> None:
    work = classes(Part(STEP, 500))
    assert work.team(64) == 1
    assert work.seconds(64) == pytest.approx(5 + 8)  # 500 units of a second: seven rounds of 64, and one of 52
    assert work.seconds(1000) == pytest.approx(5 + 1)


def test_what_everyone_does_for_itself_takes_no_less() -> None:
    assert classes(replace(Part(STEP, 50), everyone=True)).seconds(64) == pytest.approx(5 + 50)


def test_a_team_divides_a_step_but_for_what_is_fixed() -> None:
    shared = Shared(fixed=0.1)
    assert shared.step(1.0, 1) == 1.0
    assert shared.step(1.0, 9) == pytest.approx(0.2)
    work = teacher(Part(STEP, 10, shared=shared), most=9)
    assert work.team(64) == 9
    assert work.seconds(64) == pytest.approx(5 + 10 * 0.2)


def test_gradients_are_sent_while_others_are_computed() -> None:
    little, much = (Shared(gradients=int(share * BYTES_PER_SECOND)) for share in (0.1, 10))
    assert little.step(1.0, 2) == 0.5
    assert much.step(1.0, 2) == pytest.approx(0.5 / 3 + 10)
    assert much.bytes_sent(4) == pytest.approx(2 * 3 / 4 * 10 * BYTES_PER_SECOND)
    assert teacher(Part(STEP, 7, shared=much)).gradients(4) == pytest.approx(7 * much.bytes_sent(4))


def test_parts_of_some_units_are_theirs_alone() -> None:
    units = [Unit(name, {"protocol": name}) for name in "ab"]
    parts = [Part(STEP, 6, units=("a",)), Part(STEP, 2, units=("b",))]
    work = Work("evaluation", units, 1, Parts(parts))
    assert work.unit_seconds(1) == [6, 2]
    assert work.seconds(2) == pytest.approx(2 * 5 + 6)


def test_students_of_a_round_are_counted_as_gradients_of_each() -> None:
    units = [Unit(f"{seed}", {"seed": seed}) for seed in range(6)]
    work = Work("evaluation", units, 10, Parts([Part(STEP, 6 * 5, shared=Shared(0.0, 100))]))
    assert work.team(8) == 4
    assert work.gradients(8) == pytest.approx(3 * 5 * 2 * 3 / 4 * 100)  # three students, one after the other
    assert work.team(64) == 10
    assert work.gradients(64) == pytest.approx(5 * 2 * 9 / 10 * 100)


def test_drawn_durations_and_failures_follow_their_seed() -> None:
    work = classes(Part(STEP, 500))
    found = [work.seconds(64, deaths=Deaths(0.01), spread=[0.5, 1.5], random=Random(seed)) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]
    assert found[0] > 500 / 64
    assert Work("relabel", [], 1, Parts(())).seconds(64) == 0
