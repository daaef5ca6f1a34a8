"""Records of finished units, as they come from JSON."""

from dataclasses import asdict
from typing import Any

import pytest

from wmdd.core.records import UnitRecord, unit_record

GOOD = asdict(UnitRecord("a", "k", {"classes": [0, 2]}, {"x.json": "0"}, 1, 2.5, "machine", {"torch": "2"}))


def test_a_record_comes_back() -> None:
    assert asdict(unit_record(GOOD)) == GOOD
    assert asdict(unit_record(GOOD | {"precision": "float32"}))["precision"] == "float32"
    assert unit_record({name: value for name, value in GOOD.items() if name != "versions"}).versions == {}


@pytest.mark.parametrize(
    "change",
    [
        {"name": None},
        {"key": 3},
        {"covers": []},
        {"covers": {"classes": 3}},
        {"covers": {"classes": [-1]}},
        {"covers": {"classes": [True]}},
        {"covers": {"epochs": [0]}},
        {"files": ["x.json"]},
        {"files": {"x.json": None}},
        {"seconds": float("nan")},
        {"peak_mb": "2"},
        {"precision": None},
        {"other": 1},
    ],
    ids=str,
)
def test_another_shape_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="it"):
        unit_record(GOOD | change)


@pytest.mark.parametrize("values", [None, [], {}, {"name": "a"}, 3])
def test_no_record_at_all(values: Any) -> None:
    with pytest.raises(ValueError, match="it "):
        unit_record(values)
