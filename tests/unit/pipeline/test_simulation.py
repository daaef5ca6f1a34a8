"""Simulated runs: what follows from the units alone, and what dead processes cost."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wmdd.pipeline.plan.simulation import Deaths, makespan
from wmdd.pipeline.units import team_size

UNITS = st.lists(st.floats(0.0, 100.0), max_size=40)
TEAMS = st.integers(1, 50)
any_time = settings(deadline=None)


def test_teams_take_the_next_unit_in_order() -> None:
    assert makespan([3, 1, 1, 1], 2) == 3
    assert makespan([1, 1, 1, 3], 2) == 4  # the longest comes last, and alone
    assert makespan([], 3) == 0


def test_a_hundred_units_of_64_workers_take_two_rounds() -> None:
    assert makespan([1.0] * 100, 64) == 2


@any_time
@given(UNITS, TEAMS)
def test_without_failures_the_time_is_bounded_by_work_and_by_the_longest(seconds: list[float], teams: int) -> None:
    found, work, longest = makespan(seconds, teams), sum(seconds), max(seconds, default=0.0)
    assert found >= max(work / teams, longest) - 1e-6
    assert found <= work / teams + longest + 1e-6  # Graham 1969
    assert makespan(seconds, 1) == pytest.approx(work)


DEATHS = st.builds(Deaths, st.floats(0.0, 0.05), st.booleans())  # of many, few units ever end


@any_time
@given(UNITS, TEAMS, DEATHS, st.integers(1, 100), st.integers())
def test_a_seed_says_all(seconds: list[float], teams: int, deaths: Deaths, savepoints: int, seed: int) -> None:
    def once() -> float:
        return makespan(seconds, teams, deaths=deaths, savepoints=savepoints, random=Random(seed))

    assert once() == once()
    assert once() >= sum(seconds) / teams - 1e-6


@any_time
@given(UNITS, DEATHS, st.integers(1, 100), st.integers())
def test_failures_cost_one_worker_no_less(seconds: list[float], deaths: Deaths, savepoints: int, seed: int) -> None:
    found = makespan(seconds, 1, deaths=deaths, savepoints=savepoints, random=Random(seed))
    assert found >= sum(seconds) - 1e-6


def mean(teams: int, deaths: Deaths, savepoints: int = 1) -> float:
    draws = range(200)
    times = [makespan([1.0] * 50, teams, deaths=deaths, savepoints=savepoints, random=Random(draw)) for draw in draws]
    return sum(times) / len(times)


@pytest.mark.parametrize("teams", [1, 8])
@pytest.mark.parametrize("all_stop", [False, True])
def test_more_failures_take_longer_and_savepoints_less(teams: int, all_stop: bool) -> None:
    usual, few, many = (mean(teams, Deaths(share, all_stop)) for share in (0.0, 0.01, 0.1))
    assert usual < few < many
    assert usual <= mean(teams, Deaths(0.1, all_stop), savepoints=100) < many


def test_stopping_all_costs_more_than_stopping_one() -> None:
    assert mean(8, Deaths(0.1)) < mean(8, Deaths(0.1, all_stop=True))
    assert mean(1, Deaths(0.1)) == mean(1, Deaths(0.1, all_stop=True))


def test_a_failure_costs_half_a_unit_of_one_worker_on_average() -> None:
    assert mean(1, Deaths(0.1)) == pytest.approx(50 * (1 + 0.05 + 0.05 * 0.1), rel=0.01)


class Loaded(Random):
    """The first unit fails at ``moment``, nothing else does."""

    def __init__(self, moment: float) -> None:
        super().__init__()
        self.draws = iter([0.0, moment])

    def random(self) -> float:
        return next(self.draws, 1.0)


def test_a_dead_process_stops_itself_or_all() -> None:
    def two(moment: float, all_stop: bool, savepoints: int) -> float:
        deaths = Deaths(0.5, all_stop)
        return makespan([2.0, 3.0], 2, deaths=deaths, savepoints=savepoints, random=Loaded(moment))

    assert two(0.5, False, 1) == 1 + 2 == 3
    assert two(0.5, True, 1) == 1 + 3
    assert two(0.75, False, 10) == pytest.approx(3.0)  # the first ends at 1.5 + 0.6, the second is longer
    assert two(0.55, True, 10) == pytest.approx(1.1 + 3 * 0.7)  # three tenths of the second


def test_a_crew_makes_teams_that_end_soonest() -> None:
    assert team_size(1, 8, 99) == 8  # a teacher
    assert team_size(1, 64, 20) == 20  # with two images each, no more can take part
    assert team_size(100, 64, 1) == 1
    assert team_size(6, 6, 10) == team_size(7, 6, 10) == 1
    assert team_size(6, 8, 10) == 4  # three rounds of two teams, not one round of six processes
    assert team_size(6, 64, 10) == 10
    assert team_size(2, 4, 10) == 2  # all four at one and then the other would take as long
    assert team_size(0, 4, 10) == 1


@any_time
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 300))
def test_teams_are_possible_and_no_slower_than_processes_apart(units: int, processes: int, most: int) -> None:
    size = team_size(units, processes, most)
    assert 1 <= size <= min(most, processes)
    assert -(-units // (processes // size)) / size <= -(-units // processes)
