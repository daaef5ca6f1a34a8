import pytest
import torch

from wmdd.ot.cells import assign
from wmdd.ot.ragged import RUN_NUMBERS, Jobs, Measures, Run, centred, filled_up, functionals, one_by_one
from wmdd.ot.rooms import Rooms


def measures(*sizes: int, width: int = 3, dtype: torch.dtype = torch.float32) -> Measures:
    generator = torch.Generator().manual_seed(0)
    classes = [torch.randn(size, width, generator=generator) for size in sizes]
    return centred([(one, torch.full((len(one),), 1 / len(one)).double()) for one in classes], dtype)[0]


def test_sizes_are_filled_up_to_half_octaves() -> None:
    assert filled_up(measures(1, 2, 3, 5, 7, 9, 13, 17)).sizes == (1, 2, 3, 6, 8, 12, 16, 24)


def test_what_fills_up_is_copies_of_the_first_point_without_mass() -> None:
    plain = measures(9, 12)
    filled = filled_up(plain)
    assert filled.sizes == (12, 12)
    torch.testing.assert_close(filled.points(slice(9, 12)), plain.points(slice(0, 1)).expand(3, 3))
    assert torch.equal(filled.loaded[:9], plain.loaded[:9])
    assert torch.equal(filled.loaded[12:], plain.loaded[9:])
    assert (filled.masses[9:12] < 2e-12).all()


def test_filling_up_changes_no_cell() -> None:
    plain, generator = measures(9, 40), torch.Generator().manual_seed(1)
    atoms = torch.randn(4, 5, 3, generator=generator)
    before, after = assign(Jobs.each(plain, 2), atoms), assign(Jobs.each(filled_up(plain), 2), atoms)
    torch.testing.assert_close(before.atoms, after.atoms)
    torch.testing.assert_close(before.cost, after.cost)
    torch.testing.assert_close(before.masses, after.masses)
    torch.testing.assert_close(before.means(), after.means())


def test_runs_join_measures_that_are_alike() -> None:
    jobs = Jobs(measures(4, 4, 4, 6, 6), (0, 0, 1, 1, 2, 3, 4))
    assert jobs.runs(2) == (
        Run(range(2), slice(0, 4), slice(0, 16)),
        Run(range(2, 3), slice(4, 5), slice(16, 20)),
        Run(range(3, 5), slice(5, 7), slice(20, 32)),
    )
    assert len(Jobs.each(jobs.measures).runs(RUN_NUMBERS)) == 5  # a run of two would be too large


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tables_are_squared_distances_less_energies(dtype: torch.dtype) -> None:
    both, atoms = measures(7, 7, dtype=dtype), torch.randn(2, 4, 3, dtype=dtype)
    found = both.tables(range(2), functionals(atoms)) + both.span(range(2), both.energies)[:, None]
    for g in range(2):
        expected = torch.cdist(atoms[g], both.points(both.rows(g))).square() / 7
        torch.testing.assert_close(found[g], expected)


def test_ties_go_to_the_first_atom() -> None:
    points = torch.tensor([[-1.0], [-0.5], [0.5], [1.0], [0.0]])
    one = centred([(points, torch.full((5,), 1 / 5).double())], torch.float64)[0]
    assert assign(Jobs.each(one), torch.tensor([[[1.0], [-1.0]]]).double()).labels.tolist() == [1, 1, 0, 0, 0]


def test_classes_one_by_one_are_those_together_in_the_same_memory() -> None:
    generator = torch.Generator().manual_seed(0)
    classes = [(torch.randn(n, 3, generator=generator), torch.full((n,), 1 / n).double()) for n in (5, 8, 2)]
    together, centres = centred(classes, torch.float64)
    places = set()
    for g, (measure, centre) in enumerate(one_by_one(classes, 8, torch.float64)):
        assert torch.equal(measure.loaded, together.loaded[together.rows(g)])
        assert torch.equal(centre, centres[g])
        places.add(measure.loaded.data_ptr())
    assert len(places) == 1


def test_a_room_is_used_again_and_grows() -> None:
    rooms, like = Rooms(), torch.zeros(1)
    small = rooms.take("a", (2, 3), like)
    assert rooms.take("a", (3,), like).data_ptr() == small.data_ptr()
    assert rooms.take("b", (2, 3), like).data_ptr() != small.data_ptr()
    assert rooms.take("a", (40,), like).shape == (40,)
    assert rooms.take("a", (40,), like.double()).dtype == torch.float64
