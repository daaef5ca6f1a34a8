"""Views against torchvision's crops, flips and torch's rolls; CutMix against a literal loop. All in float64."""

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as TF

from wmdd.augment import Mixes, Views, render, render_mixed, sample_mixes, sample_views
from wmdd.data import MemoryImages

COUNT = 24


@pytest.fixture(scope="module")
def images(digits32: MemoryImages) -> Tensor:
    noise = torch.rand(COUNT, 3, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return digits32.pixels[:COUNT].double() / 255 + noise  # every channel and pixel its own value


def literally(image: Tensor, views: Views, i: int) -> Tensor:
    left, top, width, height = views.box[i].tolist()
    shown = TF.resized_crop(image, top, left, height, width, list(image.shape[1:]), antialias=True)
    if views.flip[i]:
        shown = shown.flip(2)
    down, right = views.roll[i].tolist()
    return torch.roll(shown, (down, right), (1, 2))


@pytest.mark.parametrize("min_area", [0.08, 0.5, 1.0])
def test_random_views_are_those_of_torchvision(images: Tensor, min_area: float) -> None:
    views = sample_views(
        COUNT, 32, torch.Generator().manual_seed(1), min_area=min_area, flip=True, roll=0 if min_area == 1 else 7
    )
    assert views.flip.any()
    assert not views.flip.all()
    shown = render(images, views)
    for i in range(COUNT):
        torch.testing.assert_close(shown[i], literally(images[i], views, i), rtol=0, atol=1e-6)


def test_any_box_down_to_one_pixel(images: Tensor) -> None:
    generator = torch.Generator().manual_seed(2)
    extent = torch.randint(1, 33, (COUNT, 2), generator=generator)
    extent[0] = torch.tensor([1, 1])
    extent[1] = torch.tensor([32, 1])
    corner = (torch.rand(COUNT, 2, generator=generator) * (33 - extent)).long()
    views = Views(
        torch.cat([corner, extent], dim=1).int(),
        torch.rand(COUNT, generator=generator) < 0.5,
        torch.randint(-40, 41, (COUNT, 2), generator=generator, dtype=torch.int32),
    )
    shown = render(images, views)
    for i in range(COUNT):
        torch.testing.assert_close(shown[i], literally(images[i], views, i), rtol=0, atol=1e-6)


def test_float32_views_are_exact_to_its_rounding(images: Tensor) -> None:
    views = sample_views(COUNT, 32, torch.Generator().manual_seed(3), min_area=0.08, flip=True, roll=4)
    torch.testing.assert_close(render(images.float(), views).double(), render(images, views), rtol=0, atol=2e-6)


def test_cutmix_pastes_what_a_loop_pastes(images: Tensor) -> None:
    generator = torch.Generator().manual_seed(4)
    views = sample_views(COUNT, 32, generator, min_area=0.2, flip=True)
    mixes = sample_mixes(COUNT, 32, generator)
    shown = render(images, views)
    expected = shown.clone()
    pasted = torch.zeros(COUNT)
    for i in range(COUNT):
        left, top, width, height = mixes.box[i].tolist()
        for y in range(top, top + height):
            for x in range(left, left + width):
                expected[i, :, y, x] = shown[mixes.partner[i], :, y, x]
                pasted[i] += 1
    found = render_mixed(lambda rows: images[rows], views, mixes, torch.arange(COUNT))
    assert torch.equal(found, expected)
    assert not torch.equal(found, shown)
    torch.testing.assert_close(mixes.share(32), 1 - pasted / 32**2, rtol=0, atol=1e-6)


def test_a_mix_with_its_own_row_or_with_an_empty_box_changes_nothing(images: Tensor) -> None:
    views = sample_views(COUNT, 32, torch.Generator().manual_seed(5), min_area=0.2, flip=False)
    rows = torch.arange(COUNT)
    whole = torch.tensor([[0, 0, 32, 32]], dtype=torch.int32).expand(COUNT, 4)
    for mixes in (Mixes(rows, whole), Mixes(rows.flip(0), torch.zeros_like(whole))):
        assert torch.equal(render_mixed(lambda r: images[r], views, mixes, rows), render(images, views))
