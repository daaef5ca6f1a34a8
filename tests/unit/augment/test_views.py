"""Single views, looked at pixel by pixel."""

import pytest
import torch

from wmdd.augment import Mixes, Views, render, render_mixed, sample_boxes, sample_mixes, sample_views


def one(box: tuple[int, int, int, int], *, flip: bool = False, roll: tuple[int, int] = (0, 0)) -> Views:
    return Views(torch.tensor([box], dtype=torch.int32), torch.tensor([flip]), torch.tensor([roll], dtype=torch.int32))


IMAGE = torch.arange(48, dtype=torch.float64).view(1, 3, 4, 4)
WHOLE = (0, 0, 4, 4)


def test_the_whole_image_is_itself() -> None:
    assert torch.equal(render(IMAGE, one(WHOLE)), IMAGE)


def test_a_flip_mirrors_left_and_right() -> None:
    assert torch.equal(render(IMAGE, one(WHOLE, flip=True)), IMAGE.flip(3))


def test_a_roll_moves_down_and_right_and_comes_in_again() -> None:
    rolled = render(IMAGE, one(WHOLE, roll=(1, 2)))
    assert torch.equal(rolled, IMAGE.roll((1, 2), (2, 3)))
    assert rolled[0, 0, 1, 2] == IMAGE[0, 0, 0, 0]
    assert torch.equal(render(IMAGE, one(WHOLE, roll=(-3, 6))), rolled)  # the same way round a side of 4


def test_a_flip_comes_before_a_roll() -> None:
    shown = render(IMAGE, one(WHOLE, flip=True, roll=(0, 1)))
    assert torch.equal(shown, IMAGE.flip(3).roll(1, 3))
    assert not torch.equal(shown, IMAGE.roll(1, 3).flip(3))


def test_one_pixel_fills_the_view() -> None:
    shown = render(IMAGE, one((2, 1, 1, 1)))
    assert torch.equal(shown, IMAGE[:, :, 1:2, 2:3].expand(1, 3, 4, 4))


def test_a_crop_shows_nothing_from_outside() -> None:
    images = torch.full((1, 3, 8, 8), torch.nan, dtype=torch.float64)
    inside = torch.rand(3, 5, 4, dtype=torch.float64)
    images[0, :, 2:7, 3:7] = inside
    zeroed = images.nan_to_num(1e9)
    shown = render(zeroed, one((3, 2, 4, 5)))
    assert shown.min() >= inside.min() - 1e-6
    assert shown.max() <= inside.max() + 1e-6


def test_views_are_differentiable() -> None:
    images = torch.rand(2, 3, 6, 6, dtype=torch.float64, requires_grad=True)
    views = sample_views(2, 6, torch.Generator().manual_seed(0), min_area=0.3, flip=True, roll=2)
    assert torch.autograd.gradcheck(lambda x: render(x, views), (images,))


def test_boxes_are_whole_where_the_whole_area_is_asked_for() -> None:
    box = sample_boxes(50, 31, 1.0, torch.Generator().manual_seed(0))
    assert (box == torch.tensor([0, 0, 31, 31])).all()


def test_areas_are_uniform_over_their_range() -> None:
    box = sample_boxes(20000, 200, 0.25, torch.Generator().manual_seed(0)).double()
    area = box[:, 2] * box[:, 3] / 200**2
    below = [float((area <= 0.25 + 0.75 * share).double().mean()) for share in (0.2, 0.4)]
    # Large boxes with a long side do not fit and are drawn again, so small areas are a little likelier.
    assert below[0] == pytest.approx(0.22, abs=0.04)
    assert below[1] == pytest.approx(0.45, abs=0.06)
    ratio = (box[:, 2] / box[:, 3]).log()
    assert abs(float(ratio.mean())) < 0.01
    centre = box[:, :2] + box[:, 2:] / 2
    assert (centre.mean(dim=0) - 100).abs().max() < 1


def test_half_of_the_views_are_flipped_and_rolls_reach_both_ends() -> None:
    views = sample_views(2000, 32, torch.Generator().manual_seed(0), min_area=0.5, flip=True, roll=3)
    assert float(views.flip.float().mean()) == pytest.approx(0.5, abs=0.04)
    assert views.roll.unique().tolist() == [-3, -2, -1, 0, 1, 2, 3]


def test_lambda_is_uniform_where_boxes_are_not_clipped() -> None:
    mixes = sample_mixes(20000, 1000, torch.Generator().manual_seed(0))
    left, top, width, height = mixes.box.unbind(dim=1)
    free = (left > 0) & (top > 0) & (left + width < 1000) & (top + height < 1000)
    assert (width[free] - height[free]).abs().max() <= 1
    small = mixes.share(1000) > 0.75  # a quarter of lambdas, most of whose boxes are whole
    assert 0.25 <= float(small.float().mean()) < 0.55  # clipping only makes shares larger


def test_views_and_mixes_can_be_indexed_and_moved() -> None:
    views = sample_views(5, 8, torch.Generator().manual_seed(0), min_area=0.2, flip=True)
    assert len(views[1:4]) == 3
    assert torch.equal(views[torch.tensor([4, 0])].box, views.box[[4, 0]])
    assert torch.equal(views.to(torch.device("cpu")).flip, views.flip)
    half = Mixes(torch.tensor([0]), torch.tensor([[0, 0, 4, 8]]))
    assert half.share(8).tolist() == [0.5]


def test_mixed_views_show_the_partners_view() -> None:
    images = torch.stack([torch.zeros(3, 4, 4), torch.ones(3, 4, 4)])
    views = Views(*(torch.cat([part, part]) for part in (one(WHOLE).box, one(WHOLE).flip, one(WHOLE).roll)))
    mixes = Mixes(torch.tensor([1, 0]), torch.tensor([[1, 0, 2, 3], [0, 0, 0, 0]]))
    shown = render_mixed(lambda rows: images[rows], views, mixes, torch.tensor([0, 1]))
    expected = torch.zeros(4, 4)
    expected[0:3, 1:3] = 1
    assert torch.equal(shown[0, 0], expected)
    assert torch.equal(shown[1], images[1])
