"""The rows of a comparison, by hand."""

from math import sqrt
from statistics import mean, stdev

import pytest

from wmdd.comparison.table import Cost, Row, Score, rows_of

TEACHER = {"arch": "convnet3", "top1": 97.0}
TOP1 = {
    "random": {0: 50.0, 1: 60.0, 2: 40.0},
    "ours": {2: 47.0, 0: 53.0, 1: 62.0, 3: 90.0},  # seed 3 has nothing to be compared with
    "lone": {0: 10.0},
}


def scores(protocol: str = "wmdd", student: str = "convnet3") -> list[Score]:
    return [Score(m, 10, seed, protocol, student, top1) for m, found in TOP1.items() for seed, top1 in found.items()]


def costs() -> list[Cost]:
    return [
        Cost(method, 10, seed, seconds=1.0 + seed, peak_mb=100.0 * (seed + 1), image_bytes=8, label_bytes={"wmdd": 30})
        for method, found in TOP1.items()
        for seed in found
    ]


def rows(found: list[Score]) -> dict[str, Row]:
    return {row.method: row for row in rows_of(found, costs(), {"random": True, "ours": False, "lone": True}, TEACHER)}


def test_gains_are_paired_by_seed() -> None:
    found = rows(scores())
    ours = found["ours"]
    assert ours.top1 == mean([53, 62, 47, 90])
    assert ours.top1_std == pytest.approx(stdev([53, 62, 47, 90]))
    assert ours.gain == pytest.approx(mean([3, 2, 7]))
    assert ours.gain_error == pytest.approx(stdev([3, 2, 7]) / sqrt(3))
    assert (ours.seeds, ours.seconds, ours.peak_mb, ours.real_pixels) == (4, 2.5, 400, False)
    assert found["random"].gain is found["random"].gain_error is None
    assert found["lone"].gain == -40
    assert found["lone"].gain_error is found["lone"].top1_std is None


def test_the_best_comes_first_and_labels_belong_to_their_protocol() -> None:
    found = rows_of([*scores(), *scores("hard-label")], costs(), dict.fromkeys(TOP1, True), TEACHER)
    assert [row.method for row in found] == ["ours", "random", "lone"] * 2
    assert {row.protocol: row.label_bytes for row in found} == {"hard-label": 0, "wmdd": 30}


def test_hard_label_recovery_is_that_of_the_teachers_own_architecture() -> None:
    assert rows(scores("hard-label"))["random"].hard_label_recovery == pytest.approx(47)
    assert rows(scores("hard-label-30-epochs"))["random"].hard_label_recovery == pytest.approx(47)
    assert rows(scores("hard-label", "resnet18"))["random"].hard_label_recovery is None
    assert rows(scores())["random"].hard_label_recovery is None
