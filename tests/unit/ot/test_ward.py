import pytest
import torch
from sklearn.cluster import AgglomerativeClustering

from wmdd.ot import ward
from wmdd.ot.ragged import Measures, centred
from wmdd.ot.ward import suits, ward_atoms


def measures(*classes: torch.Tensor) -> tuple[Measures, torch.Tensor]:
    return centred([(one, torch.full((len(one),), 1 / len(one)).double()) for one in classes], torch.float64)


@pytest.mark.parametrize("m", [1, 2, 9, 40])
def test_atoms_are_the_means_of_the_clusters_that_scikit_learn_finds(m: int) -> None:
    generator = torch.Generator().manual_seed(m)
    classes = [torch.randn(n, 4, generator=generator, dtype=torch.float64) for n in (50, 41)]
    both, centres = measures(*classes)
    for g, points in enumerate(classes):
        labels = torch.from_numpy(AgglomerativeClustering(m, linkage="ward").fit_predict(points.numpy()))
        expected = torch.stack([points[labels == j].mean(0) for j in range(m)])
        found = ward_atoms(both, g, m) + centres[g]
        torch.testing.assert_close(found[found[:, 0].argsort()], expected[expected[:, 0].argsort()])


def test_ties_leave_atoms_too_many_at_the_mean() -> None:
    corners = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]).double()  # both merges cost the same
    found = ward_atoms(measures(corners)[0], 0, 3)
    assert found.shape == (3, 2)
    assert torch.isfinite(found).all()
    assert (found == 0).all(1).any()


def test_an_atom_has_its_share_of_heavy_points() -> None:
    points, masses = torch.tensor([[0.0], [1.0], [10.0]]).double(), torch.tensor([0.2, 0.6, 0.2]).double()
    weighted, centre = centred([(points, masses)], torch.float64)
    found = ward_atoms(weighted, 0, 2)[:, 0] + centre[0, 0]
    assert found.sort().values.tolist() == pytest.approx([0.75, 10.0])


def test_the_tree_is_for_small_cells_and_for_measures_whose_distances_can_be_held() -> None:
    assert not suits(5, 5)
    assert suits(6, 5)
    assert suits(5 * ward.SMALL_CELLS, 5)
    assert not suits(5 * ward.SMALL_CELLS + 1, 5)
    assert suits(ward.LARGEST, 1000)
    assert not suits(ward.LARGEST + 1, 1000)
