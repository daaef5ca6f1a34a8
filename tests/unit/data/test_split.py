"""The held-out share of one class."""

import pytest

from wmdd.data.split import hold_out


@pytest.mark.parametrize(("count", "share", "held"), [(10, 0.2, 2), (2, 0.9, 1), (3, 0.01, 1), (1000, 0.25, 250)])
def test_the_share_is_kept_within_one_and_all_but_one(count: int, share: float, held: int) -> None:
    chosen = hold_out(count, share, seed=0, class_name="cat")
    assert len(chosen) == held
    assert chosen <= set(range(count))


def test_every_class_and_seed_has_its_own_choice() -> None:
    choices = {hold_out(50, 0.2, seed, name) for seed in (0, 1) for name in ("cat", "dog")}
    assert len(choices) == 4
    assert hold_out(50, 0.2, 0, "cat") == hold_out(50, 0.2, 0, "cat")
