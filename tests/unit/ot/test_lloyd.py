import torch

from wmdd.ot.cells import _stable_order, assign
from wmdd.ot.lloyd import descend
from wmdd.ot.ragged import Jobs, Measures, centred


def measures(*classes: list[float] | torch.Tensor) -> Measures:
    """Measures of equal masses, around their means."""
    points = [torch.as_tensor(one, dtype=torch.float64).view(len(one), -1) for one in classes]
    return centred([(one, torch.full((len(one),), 1 / len(one)).double()) for one in points], torch.float64)[0]


def test_an_empty_cell_moves_to_the_point_that_costs_most() -> None:
    jobs = Jobs.each(measures([-3.0, -2.0, 0.0, 5.0]), 2)
    cells = assign(jobs, torch.tensor([[[-2.5], [100.0]], [[-2.5], [4.0]]]).double())
    assert cells.atoms[..., 0].tolist() == [[-2.5, 5.0], [-2.5, 4.0]]
    assert (cells.counts > 0).all()


def test_cells_stay_empty_only_when_points_are_fewer_than_atoms() -> None:
    cells = assign(Jobs.each(measures([-1.0, -1.0, 1.0, 1.0])), torch.tensor([[[-1.0], [1.0], [1.0]]]).double())
    assert cells.counts.tolist() == [[2, 2, 0]]
    assert cells.masses.tolist() == [[0.5, 0.5, 0]]
    assert float(cells.cost) == 0


def test_points_of_a_cell_keep_their_order_however_many_cells_there_are() -> None:
    for large in (3, 40_000):  # cells of 16 bits have a quicker sort
        assert _stable_order(torch.tensor([large, 2, large, 2, 0]), large + 1).tolist() == [4, 1, 3, 0, 2]


def test_every_set_descends_on_its_own() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(60, 3, generator=generator), torch.randn(45, 3, generator=generator)
    both = measures(first, second)
    atoms = torch.randn(4, 5, 3, generator=generator).double()
    together = descend(assign(Jobs(both, (0, 0, 1, 1)), atoms), 50, 0.0)
    for j, (alone, row) in enumerate([(first, 0), (first, 1), (second, 2), (second, 3)]):
        own = descend(assign(Jobs.each(measures(alone)), atoms[row : row + 1]), 50, 0.0)
        assert own.steps[0] == together.steps[j]
        torch.testing.assert_close(own.atoms[0], together.atoms[j])
        torch.testing.assert_close(own.history(0), together.history(j))
    assert together.converged.all()
    assert (together.costs.diff(dim=0) <= 0).all()


def test_cells_and_means_against_a_loop() -> None:
    generator = torch.Generator().manual_seed(1)
    points, masses = torch.randn(50, 4, generator=generator).double(), torch.rand(50, generator=generator).double()
    masses /= masses.sum()
    weighted, centre = centred([(points, masses)], torch.float64)
    atoms = torch.randn(1, 6, 4, generator=generator).double()
    cells = assign(Jobs.each(weighted), atoms)
    near = torch.cdist(atoms[0] + centre, points).square().min(0)
    assert torch.equal(cells.labels, near.indices)
    torch.testing.assert_close(cells.shares, masses * near.values)
    for j in range(6):
        mine = near.indices == j
        torch.testing.assert_close(cells.masses[0, j], masses[mine].sum())
        mean = (masses[mine] @ points[mine]) / masses[mine].sum() - centre[0]
        torch.testing.assert_close(cells.means()[0, j], mean)
