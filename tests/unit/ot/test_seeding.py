import torch

from wmdd.ot.seeding import greedy_seeds, sample_by


def test_sampling_follows_the_mass_and_skips_what_has_none() -> None:
    mass = torch.tensor([[0.0, 1.0, 0.0, 3.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    drawn = sample_by(mass, 4000, torch.Generator().manual_seed(0))
    share = torch.stack([row.bincount(minlength=4) for row in drawn]) / 4000
    torch.testing.assert_close(share[0], torch.tensor([0.0, 0.25, 0.0, 0.75]), atol=0.03, rtol=0)
    assert share[1].tolist() == [1, 0, 0, 0]
    assert share[2].tolist() == [0, 0, 0, 1]


def test_seeds_are_distinct_points_one_in_every_far_cluster() -> None:
    clusters = torch.tensor([[0.0], [100.0], [200.0]]).repeat(5, 1) + torch.arange(15).view(-1, 1) * 0.01
    seeds = greedy_seeds(clusters - clusters.mean(), 3, 6, torch.Generator().manual_seed(0))
    assert seeds.shape == (6, 3, 1)
    for start in seeds[..., 0]:
        assert start.sort().values.diff().min() > 50
