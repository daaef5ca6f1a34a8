import torch

from wmdd.ot.ragged import Jobs, Measures, centred
from wmdd.ot.seeding import draw, greedy_seeds, sample_entries


def measures(*classes: torch.Tensor) -> Measures:
    return centred([(one, torch.full((len(one),), 1 / len(one))) for one in classes], torch.float32)[0]


def test_sampling_follows_the_mass_and_skips_what_has_none() -> None:
    jobs = Jobs(measures(torch.zeros(4, 1), torch.zeros(2, 1)), (0, 0, 0, 1))
    mass = torch.tensor([0.0, 1.0, 0.0, 3.0, 1e-30, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1e30, 1e30])
    drawn = sample_entries(jobs, mass, draw(0, 4, 4000))
    share = torch.stack([row.bincount(minlength=14) for row in drawn]) / 4000
    torch.testing.assert_close(share[0, :4], torch.tensor([0.0, 0.25, 0.0, 0.75]), atol=0.03, rtol=0)
    assert share[1, 4] == 1
    assert share[2, 11] == 1
    torch.testing.assert_close(share[3, 12:], torch.tensor([0.5, 0.5]), atol=0.03, rtol=0)


def test_seeds_are_distinct_points_one_in_every_far_cluster() -> None:
    clusters = torch.tensor([[0.0], [100.0], [200.0]]).repeat(5, 1) + torch.arange(15).view(-1, 1) * 0.01
    seeds = greedy_seeds(Jobs.each(measures(clusters, clusters[:9]), 6), 3, 0)
    assert seeds.shape == (12, 3, 1)
    for start in seeds[..., 0]:
        assert start.sort().values.diff().min() > 50


def test_a_class_draws_the_same_whatever_stands_beside_it() -> None:
    points = torch.randn(30, 3, generator=torch.Generator().manual_seed(2))
    alone = greedy_seeds(Jobs(measures(points), (0, 0)), 5, 9)
    beside = greedy_seeds(Jobs(measures(points * 1e4, points), (0, 1, 1)), 5, 9)
    assert torch.equal(alone, beside[1:])
