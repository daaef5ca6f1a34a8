import pytest
import torch

from wmdd.ot import BarycenterProblem, solve
from wmdd.ot.barycenter import BarycenterOutput, join
from wmdd.ot.blocks import class_bytes, solve_in_blocks, split


def problem(sizes: tuple[int, ...] = (10, 30, 5, 5, 20, 40, 7)) -> BarycenterProblem:
    generator = torch.Generator().manual_seed(0)
    return BarycenterProblem(torch.randn(sum(sizes), 3, generator=generator), 2, sizes)


@pytest.fixture(autouse=True)
def blocks_may_be_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wmdd.ot.blocks.SMALL_BLOCK", 1)


@pytest.mark.parametrize("at_least", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("block_bytes", [1, 400, 600, 10**9])
def test_blocks_cover_every_class_once_and_keep_their_bounds(block_bytes: int, at_least: int) -> None:
    whole = problem()
    blocks = split(whole, block_bytes, at_least)
    assert [g for block in blocks for g in block] == list(range(len(whole)))
    total, classes = class_bytes(whole, range(len(whole))), [class_bytes(whole, range(g, g + 1)) for g in range(7)]
    limit = min(block_bytes, -(-total // at_least))
    assert all(class_bytes(whole, block) <= limit + max(classes) for block in blocks)
    assert len(blocks) <= -(-total // limit)  # and none is cut sooner than it must be


def test_blocks_of_equal_classes_are_alike() -> None:
    assert split(problem((8,) * 10), 10**9, 2) == [range(5), range(5, 10)]
    assert [len(block) for block in split(problem((8,) * 10), 8 * 3 * 4 * 4, 1)] == [3, 4, 3]


def test_bytes_are_those_of_the_points() -> None:
    assert class_bytes(problem(), range(1, 3)) == 35 * 3 * 4
    assert split(problem((8, 8, 8)), 10**9, 3) == [range(1), range(1, 2), range(2, 3)]
    assert split(problem((8, 8, 8)), 10**9, 1) == [range(3)]


def test_on_another_device_blocks_are_solved_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, asked = problem(), []
    monkeypatch.setattr("wmdd.ot.blocks.GPU_BLOCK", 40 * 3 * 4)
    monkeypatch.setattr(BarycenterProblem, "select", on_cpu(BarycenterProblem.select))

    def solver(part: BarycenterProblem) -> BarycenterOutput:
        asked.append(part.lengths)
        return solve(part, "exact")

    found = solve_in_blocks(whole, torch.device("meta"), solver)
    assert asked == [(10, 30), (5, 5, 20), (40, 7)]
    assert torch.equal(found.atoms, solve(whole, "exact").atoms)


def on_cpu(select: object) -> object:
    """``select`` that leaves the points where they are, so that a test needs no other device."""
    return lambda self, classes, device: select(self, classes)  # type: ignore[operator]


def test_joined_blocks_are_the_whole() -> None:
    whole = problem()
    together = solve(whole, "uniform", restarts=2)
    parts = join([solve(whole.select(classes), "uniform", restarts=2) for classes in (range(3), range(3, 7))])
    for name in ("atoms", "weights", "cost", "iterations", "converged"):
        assert torch.equal(getattr(parts, name), getattr(together, name)), name
    assert parts.history == together.history
    assert parts.restarts == together.restarts == 2
    assert all(torch.equal(a.alpha, b.alpha) for a, b in zip(parts.duals, together.duals, strict=True))


def test_output_says_what_was_found_and_moves() -> None:
    output = solve(problem(), "exact")
    for part in ("7 classes, mean W2^2 ", "2 atoms in R^3", "converged 7/7 after", "restarts 10"):
        assert part in repr(output)
    assert "classes" not in repr(solve(problem((9,)), "exact"))
    moved = output.to(torch.device("meta"))
    assert {moved.atoms.device.type, moved.weights.device.type, moved.duals[6].alpha.device.type} == {"meta"}
    assert {moved.cost.device.type, moved.iterations.device.type, moved.converged.device.type} == {"cpu"}
    assert moved.history == output.history


def test_small_problems_are_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wmdd.ot.blocks.SMALL_BLOCK", 16 * 3 * 4)
    assert split(problem((8, 8, 8)), 10**9, 3) == [range(1), range(1, 3)]
