"""Mean and standard deviation."""

import pytest

from wmdd.core.spread import Spread


def test_a_spread_prints_as_people_write_it() -> None:
    assert str(Spread.of([80.0, 82.0])) == "81.0 ± 1.4"
    assert Spread.of([80.0, 82.0]).error == pytest.approx(1)
    assert str(Spread.of([80.0])) == "80.0"
    assert Spread.of([80.0]).error is None
