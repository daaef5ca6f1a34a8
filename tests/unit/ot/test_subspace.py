import pytest
import torch

from wmdd.ot.ordering import in_canonical_order
from wmdd.ot.ragged import Measures, centred
from wmdd.ot.subspace import WIDTH, leading_directions


def weighted(*classes: torch.Tensor) -> Measures:
    generator = torch.Generator().manual_seed(0)
    masses = [torch.rand(len(one), generator=generator).double() + 0.1 for one in classes]
    return centred([(p, b / b.sum()) for p, b in zip(classes, masses, strict=True)], torch.float64)[0]


def reduced(measures: Measures) -> Measures:
    return leading_directions(measures, in_canonical_order(measures))


def wide(n: int, width: int, decay: float = 0.5) -> torch.Tensor:
    """Points whose principal deviations fall like a power of their rank."""
    generator = torch.Generator().manual_seed(n)
    scales = torch.arange(1, width + 1).double() ** -decay
    return torch.randn(n, width, generator=generator, dtype=torch.float64) * scales


def energies(measures: Measures) -> list[float]:
    return [float(measures.energies[measures.rows(g)].sum()) for g in range(len(measures))]


@pytest.mark.parametrize("width", [1, WIDTH])
def test_narrow_points_stay_as_they_are(width: int) -> None:
    measures = weighted(wide(40, width))
    assert reduced(measures) is measures


@pytest.mark.parametrize("n", [300, 33])
def test_the_directions_keep_nearly_what_principal_ones_do(n: int) -> None:
    measures = weighted(wide(n, 200), wide(2 * n, 200))
    narrow = reduced(measures)
    assert narrow.sizes == measures.sizes
    assert narrow.loaded.shape == (3 * n, WIDTH + 1)
    assert torch.equal(narrow.masses, measures.masses)
    for g, kept in enumerate(energies(narrow)):
        rows = measures.rows(g)
        scaled = measures.loaded[rows, :-1] / measures.masses[rows, None].sqrt()
        best = float(torch.linalg.svdvals(scaled)[:WIDTH].square().sum())
        assert 0.95 * best <= kept <= best * (1 + 1e-12)


@pytest.mark.parametrize(("n", "width"), [(20, 64), (24, 64), (100, 24)])
def test_few_points_and_few_dimensions_lose_next_to_nothing(n: int, width: int) -> None:
    measures = weighted(wide(n, width))
    narrow = reduced(measures)
    if n <= WIDTH + 1:  # centred points of that number span no more directions than are kept
        assert energies(narrow) == pytest.approx(energies(measures), rel=1e-9)
        torch.testing.assert_close(
            torch.cdist(narrow.points(slice(None)), narrow.points(slice(None))),
            torch.cdist(measures.points(slice(None)), measures.points(slice(None))),
        )
    assert energies(narrow)[0] >= 0.95 * energies(measures)[0]


def test_distances_turn_with_the_points() -> None:
    points = wide(120, 80)
    turn = torch.linalg.qr(torch.randn(80, 80, generator=torch.Generator().manual_seed(1)).double()).Q
    before, after = (reduced(weighted(p)).points(slice(None)) for p in (points, points @ turn))
    torch.testing.assert_close(torch.cdist(before, before), torch.cdist(after, after), rtol=1e-6, atol=1e-6)


def test_the_order_of_a_class_has_no_ties_on_a_lattice() -> None:
    square = torch.tensor([[2.0, 1.0], [1.0, 2.0], [-1.0, -2.0], [-2.0, -1.0], [3.0, 0.0], [-3.0, 1.0]]).double()
    mean = torch.full((6,), 1 / 6).double()
    order, shuffled = torch.tensor([4, 2, 0, 5, 3, 1]), []
    for points in (square, square[order], 3 * square + 7):
        measures, _ = centred([(points, mean)], torch.float64)
        shuffled.append(points[in_canonical_order(measures)])
    torch.testing.assert_close(shuffled[0], shuffled[1])
    torch.testing.assert_close(3 * shuffled[0] + 7, shuffled[2])
