"""Processes that torchrun starts again meet one another, not the names that the dead have left."""

import threading
from pathlib import Path

import pytest
import torch.distributed as dist

from wmdd.runtime.meeting import fresh_part


def meet(place: Path, order: list[int], size: int = 3) -> list[dist.Store]:
    """What the processes of one start get, which begin in that order, each when the one before has had its moment."""
    parts: dict[int, dist.Store] = {}

    def one(rank: int) -> None:
        parts[rank] = fresh_part(dist.FileStore(str(place), -1), rank, size)

    threads = [threading.Thread(target=one, args=(rank,), daemon=True) for rank in order]
    for thread in threads:
        thread.start()
        thread.join(0.2)
    for thread in threads:
        thread.join(30)
    return [parts[rank] for rank in range(size)]


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]])
def test_a_start_knows_nothing_of_the_one_before(order: list[int], tmp_path: Path) -> None:
    place = tmp_path / "store"
    first = meet(place, [0, 1, 2])
    first[1].set("address", "of one that is dead")
    assert [part.get("address") for part in first] == [b"of one that is dead"] * 3
    again = meet(place, order)
    assert not any(part.check(["address"]) for part in again)
    again[2].set("address", "of one that lives")
    assert [part.get("address") for part in again] == [b"of one that lives"] * 3


def test_names_of_a_start_that_never_met_are_no_hindrance(tmp_path: Path) -> None:
    place = tmp_path / "store"
    dist.FileStore(str(place), -1).set("name/1", "nobody")
    again = meet(place, [0, 2, 1])
    again[0].set("address", "here")
    assert [part.get("address") for part in again] == [b"here"] * 3
