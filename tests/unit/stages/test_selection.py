"""Which real images stand for a class, against plain loops over all choices."""

import itertools

import pytest
import torch
from torch import Tensor

from wmdd.stages.selection import herding, k_center, random_rows


@pytest.fixture
def features() -> Tensor:
    return torch.randn(9, 3, generator=torch.Generator().manual_seed(0)) + 5


def test_herding_takes_what_brings_the_mean_nearest(features: Tensor) -> None:
    chosen: list[int] = []
    for count in range(1, 6):
        gaps = {
            row: float((features[[*chosen, row]].mean(0) - features.mean(0)).norm())
            for row in range(9)
            if row not in chosen
        }
        chosen.append(min(gaps, key=lambda row: gaps[row]))
        assert herding(features, count).tolist() == chosen


def test_k_center_takes_the_farthest(features: Tensor) -> None:
    chosen = [int((features - features.mean(0)).norm(dim=1).argmin())]
    for count in range(1, 6):
        assert k_center(features, count).tolist() == chosen
        chosen.append(int(torch.cdist(features, features[chosen]).amin(1).argmax()))


def test_k_center_is_within_twice_the_best_radius(features: Tensor) -> None:
    def radius(rows: list[int]) -> float:
        return float(torch.cdist(features, features[rows]).amin(1).max())

    best = min(radius(list(rows)) for rows in itertools.combinations(range(9), 3))
    assert radius(k_center(features, 3).tolist()) <= 2 * best


@pytest.mark.parametrize("m", [1, 4, 9])
def test_no_row_twice_even_where_images_are_alike(m: int) -> None:
    alike = torch.ones(9, 3)
    rows = [herding(alike, m), k_center(alike, m), random_rows(alike, m, torch.Generator().manual_seed(0))]
    assert all(len(set(found.tolist())) == m for found in rows)


def test_random_rows_depend_on_the_generator_alone(features: Tensor) -> None:
    first, again, other = (random_rows(features, 4, torch.Generator().manual_seed(seed)).tolist() for seed in (1, 1, 2))
    assert first == again != other
