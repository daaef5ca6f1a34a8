import torch

from wmdd.ot.lloyd import assign, descend


def test_an_empty_cell_moves_to_the_worst_served_point() -> None:
    points = torch.tensor([[-3.0], [-2.0], [0.0], [5.0]])
    cells = assign(points, torch.tensor([[[-2.5], [100.0]], [[-2.5], [4.0]]]))
    assert cells.atoms[..., 0].tolist() == [[-2.5, 5.0], [-2.5, 4.0]]
    assert (cells.counts > 0).all()


def test_cells_stay_empty_only_when_points_are_fewer_than_atoms() -> None:
    points = torch.tensor([[-1.0], [-1.0], [1.0], [1.0]])
    cells = assign(points, torch.tensor([[[-1.0], [1.0], [1.0]]]))
    assert cells.counts.tolist() == [[2, 2, 0]]
    assert float(cells.cost) == 0


def test_every_start_descends_on_its_own() -> None:
    points = torch.randn(60, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    atoms = points[torch.randperm(60, generator=torch.Generator().manual_seed(1))[:20]].view(4, 5, 3)
    together = descend(points, assign(points, atoms), 50, 0.0)
    for start in range(4):
        alone = descend(points, assign(points, atoms[start : start + 1]), 50, 0.0)
        assert alone.steps[0] == together.steps[start]
        torch.testing.assert_close(alone.cells.atoms[0], together.cells.atoms[start])
        torch.testing.assert_close(alone.history(0), together.history(start))
    assert together.converged.all()
    assert (together.costs.diff(dim=0) <= 0).all()
