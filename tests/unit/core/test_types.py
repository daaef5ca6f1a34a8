"""The central types on the digits."""

import pytest
import torch
from torch.utils.data import DataLoader

from wmdd.config import DataConfig
from wmdd.core.types import Barycenters, ClassStatistics, CostCurve, DistilledDataset, Preprocessing
from wmdd.data import load_images, open_source


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_normalising_and_back_changes_no_pixel(dtype: torch.dtype) -> None:
    every = torch.arange(256, dtype=torch.uint8).expand(1, 3, 256).unsqueeze(-1)
    preprocessing = Preprocessing(32)
    pixels = preprocessing.normalize(every, dtype)
    assert pixels.dtype == dtype
    assert torch.equal(preprocessing.denormalize(pixels), every)
    lower, upper = preprocessing.bounds(pixels)
    torch.testing.assert_close(pixels.amin(dim=(2, 3))[0], lower.flatten())
    torch.testing.assert_close(pixels.amax(dim=(2, 3))[0], upper.flatten())


def test_normalised_pixels_have_the_stated_mean_and_spread() -> None:
    preprocessing = Preprocessing(1, mean=(0.5, 0.25, 0.75), std=(0.5, 0.125, 2.0))
    pixels = preprocessing.normalize(torch.full((1, 3, 1, 1), 255, dtype=torch.uint8), torch.float64)
    torch.testing.assert_close(pixels.flatten(), torch.tensor([1.0, 6.0, 0.125], dtype=torch.float64))
    far = torch.tensor([-9.0, 9.0, 0.0]).view(1, 3, 1, 1)
    assert preprocessing.denormalize(far).flatten().tolist() == [0, 255, 191]


def test_statistics_find_the_rows_of_a_class() -> None:
    features = torch.arange(12.0).view(6, 2)
    statistics = ClassStatistics(
        classes=(4, 2),
        moments={},
        features=features,
        offsets=torch.tensor([0, 2, 6]),
        index=torch.tensor([11, 13, 0, 5, 6, 9]),
    )
    assert statistics.counts.tolist() == [2, 4]
    assert torch.equal(statistics.features_of(2), features[2:])
    assert statistics.index_of(4).tolist() == [11, 13]
    with pytest.raises(ValueError):
        statistics.features_of(3)


def test_barycenters_say_what_they_are() -> None:
    barycenters = Barycenters(
        atoms=torch.zeros(3, 2, 5),
        weights=torch.full((3, 2), 0.5),
        cost=torch.tensor([1.0, 2.0, 6.0]),
        iterations=torch.tensor([1, 2, 3]),
        converged=torch.tensor([True, False, True]),
        history=((1.0,), (2.0,), (6.0,)),
        curve=CostCurve(torch.tensor([1, 2]), torch.tensor([[4.0, 1.0], [4.0, 2.0], [8.0, torch.nan]])),
        method="uniform",
        seed=0,
    )
    assert "uniform" in repr(barycenters)
    assert "3 classes x 2 atoms in R^5" in repr(barycenters)
    assert "mean W2^2 3" in repr(barycenters)
    assert "converged 2/3" in repr(barycenters)
    assert barycenters.share_left.tolist() == [0.25, 0.5, 0.75]


def test_the_distilled_set_is_a_torch_dataset() -> None:
    source = open_source(DataConfig())
    images = load_images(source.train, 8, DataConfig(), torch.device("cpu"))
    rows = torch.arange(7)
    distilled = DistilledDataset(
        images.take(rows), images.labels[rows], torch.ones(7), source.class_names, Preprocessing(8)
    )
    batches = list(DataLoader(distilled, batch_size=4))
    assert [tuple(x.shape) for x, _ in batches] == [(4, 3, 8, 8), (3, 3, 8, 8)]
    assert torch.equal(torch.cat([y for _, y in batches]), images.labels[rows])
    shown = torch.cat([x for x, _ in batches])
    assert shown.dtype == torch.float32
    assert torch.equal(Preprocessing(8).denormalize(shown), images.take(rows))
    assert repr(distilled) == "DistilledDataset(7 images, 10 classes, 8 px)"
