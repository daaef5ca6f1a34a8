"""Views: boxes stay inside, rendering is linear, and a row's view does not depend on the batch it is rendered in."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wmdd.augment import Views, render, render_mixed, sample_boxes, sample_mixes, sample_views
from wmdd.augment.apply import taps

QUICK = settings(deadline=None, max_examples=50)
SEEDS = st.integers(0, 2**62)
AREAS = st.floats(0.01, 1.0)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(size=st.integers(8, 300), min_area=AREAS, seed=SEEDS)
@QUICK
def test_boxes_lie_inside_with_the_wanted_area_and_ratio(size: int, min_area: float, seed: int) -> None:
    box = sample_boxes(200, size, min_area, generator(seed))
    assert box.dtype == torch.int32
    left, top, width, height = box.unbind(dim=1)
    assert (left >= 0).all()
    assert (top >= 0).all()
    assert (width >= 1).all()
    assert (height >= 1).all()
    assert (left + width <= size).all()
    assert (top + height <= size).all()
    # Rounding moves each side by up to half a pixel; the real area and ratio lie within what that allows.
    least, most = (width - 0.5) * (height - 0.5) / size**2, (width + 0.5) * (height + 0.5) / size**2
    whole = (width == size) & (height == size)
    assert ((most >= min_area) & (least <= 1) | whole).all()
    assert (((width + 0.5) / (height - 0.5) >= 3 / 4) & ((width - 0.5) / (height + 0.5) <= 4 / 3)).all()


@given(size=st.integers(8, 40), min_area=AREAS, flip=st.booleans(), roll=st.integers(0, 12), seed=SEEDS)
@QUICK
def test_sampled_views_keep_their_promises(size: int, min_area: float, flip: bool, roll: int, seed: int) -> None:
    views = sample_views(32, size, generator(seed), min_area=min_area, flip=flip, roll=roll)
    assert len(views) == 32
    assert flip or not views.flip.any()
    assert views.roll.abs().max() <= roll
    again = sample_views(32, size, generator(seed), min_area=min_area, flip=flip, roll=roll)
    for name in ("box", "flip", "roll"):
        assert torch.equal(getattr(views, name), getattr(again, name))


@given(size=st.integers(1, 40), data=st.data())
@QUICK
def test_weights_of_taps_sum_to_one_and_stay_in_the_crop(size: int, data: st.DataObject) -> None:
    length = data.draw(st.integers(1, size))
    start = data.draw(st.integers(0, size - length))
    order = torch.tensor([data.draw(st.permutations(range(size)))])
    found = taps(torch.tensor([start]), torch.tensor([length]), order, torch.float64)
    assert (found.weight >= 0).all()
    assert (found.weight.sum(dim=2) == 1).all()
    assert (found.source >= start).all()
    assert (found.source < start + length).all()
    ramp = torch.arange(size, dtype=torch.float64).view(1, size, 1)
    shown = found.apply(ramp)[0, order[0].argsort(), 0]  # unmixed: a ramp stays one, stretched, flat at its ends
    expected = start - 0.5 + (torch.arange(size) + 0.5) * length / size
    torch.testing.assert_close(shown, expected.double().clamp(start, start + length - 1))


@given(size=st.integers(4, 24), a=st.floats(-3, 3), b=st.floats(-3, 3), seed=SEEDS)
@QUICK
def test_a_view_is_a_linear_map(size: int, a: float, b: float, seed: int) -> None:
    stream = generator(seed)
    x, y = torch.randn(2, 5, 3, size, size, generator=stream, dtype=torch.float64)
    views = sample_views(5, size, stream, min_area=0.1, flip=True, roll=size)
    torch.testing.assert_close(
        render(a * x + b * y, views), a * render(x, views) + b * render(y, views), rtol=1e-10, atol=1e-12
    )
    assert render(torch.ones_like(x), views).allclose(torch.ones_like(x))


@given(size=st.integers(4, 16), count=st.integers(1, 9), mixed=st.booleans(), seed=SEEDS, data=st.data())
@QUICK
def test_any_rows_render_as_they_do_in_the_whole(
    size: int, count: int, mixed: bool, seed: int, data: st.DataObject
) -> None:
    stream = generator(seed)
    images = torch.randn(count, 3, size, size, generator=stream, dtype=torch.float64)
    views = sample_views(count, size, stream, min_area=0.1, flip=True, roll=2)
    mixes = sample_mixes(count, size, stream) if mixed else None
    rows = torch.tensor(data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=12)))
    whole = render_mixed(lambda rows: images[rows], views, mixes, torch.arange(count))
    part = render_mixed(lambda rows: images[rows], views, mixes, rows)
    torch.testing.assert_close(part, whole[rows], rtol=1e-12, atol=1e-13)


@given(size=st.integers(8, 64), count=st.integers(1, 40), seed=SEEDS)
@QUICK
def test_mixes_pair_every_view_once_and_their_boxes_lie_inside(size: int, count: int, seed: int) -> None:
    mixes = sample_mixes(count, size, generator(seed))
    assert mixes.partner.sort().values.tolist() == list(range(count))
    left, top, width, height = mixes.box.unbind(dim=1)
    assert (mixes.box >= 0).all()
    assert (left + width <= size).all()
    assert (top + height <= size).all()
    share = mixes.share(size)
    assert (share >= 0).all()
    assert (share <= 1).all()


@given(size=st.integers(4, 16), seed=SEEDS)
@QUICK
def test_flipping_and_rolling_move_pixels_and_change_none(size: int, seed: int) -> None:
    stream = generator(seed)
    images = torch.randn(3, 3, size, size, generator=stream, dtype=torch.float64)
    whole = torch.tensor([[0, 0, size, size]], dtype=torch.int32).expand(3, 4)
    roll = torch.randint(-size, size + 1, (3, 2), generator=stream, dtype=torch.int32)
    shown = render(images, Views(whole, torch.tensor([True, False, True]), roll))
    torch.testing.assert_close(shown.flatten(1).sort().values, images.flatten(1).sort().values)
