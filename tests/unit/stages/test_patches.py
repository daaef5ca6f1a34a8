"""Images stitched from patches, on images whose every pixel says which image it is from."""

from dataclasses import replace

import pytest
import torch
from small_world import SIZE, World
from torch import Tensor
from torch.nn import functional as F

from wmdd.core.types import Preprocessing
from wmdd.models import Teacher
from wmdd.runtime.random import stream
from wmdd.stages.patches import CROPS, stitched_patches

K = 3


def stitch(world: World, images: Tensor, m: int, seed: int = 0, batch_size: int = 64, grid: int = 2) -> Tensor:
    return stitched_patches(world.teacher, images, K, m, world.machine, stream(seed, "test"), batch_size, grid)


def plain(count: int) -> Tensor:
    """Images of one shade each, all different."""
    return (torch.arange(count, dtype=torch.uint8) * 20 + 10).view(-1, 1, 1, 1).expand(-1, 3, SIZE, SIZE).contiguous()


def shades(world: World, stitched: Tensor) -> Tensor:
    """Which of the :func:`plain` images each quarter of each image is from, ``[m, 4]``."""
    values = world.preprocessing.denormalize(stitched).float()
    quarters = values.unfold(2, SIZE // 2, SIZE // 2).unfold(3, SIZE // 2, SIZE // 2).flatten(4)
    assert (quarters.amax(4) - quarters.amin(4) <= 1).all()
    return ((quarters.mean((1, 4)) - 10) / 20).round().long().flatten(1)


def entropy(world: World, images: Tensor) -> Tensor:
    with torch.no_grad():
        logits = world.teacher.logits(world.preprocessing.normalize(images, world.machine.dtype))
    return F.cross_entropy(logits, torch.full((len(images),), K), reduction="none")


def test_the_images_that_the_teacher_knows_best_come_first(world: World) -> None:
    images = plain(12)
    wanted = entropy(world, images).argsort()
    assert shades(world, stitch(world, images, 2)).flatten().tolist() == wanted[:8].tolist()
    assert shades(world, stitch(world, images, 3)).flatten().tolist() == wanted.tolist()


def test_every_image_is_used_before_any_twice_and_none_need_be_left(world: World) -> None:
    used = shades(world, stitch(world, plain(6), 2)).flatten().tolist()
    assert sorted(used[:6]) == list(range(6))
    assert used[6:] == used[:2]
    alone = shades(world, stitch(world, plain(1), CROPS))  # more patches than there are crops
    assert alone.shape == (CROPS, 4)
    assert not alone.any()


def test_an_image_of_one_patch(world: World) -> None:
    wanted = entropy(world, plain(12)).argsort()
    assert shades(world, stitch(world, plain(12), 4, grid=1)).tolist() == wanted[:4, None].repeat(1, 4).tolist()


def _tile(stitched: Tensor) -> Tensor:
    """The upper left patch of each image."""
    return stitched[:, :, : SIZE // 2, : SIZE // 2]


def test_the_best_patches_of_digits_are_taken(world: World) -> None:
    digits = world.train.take((world.train.labels == K).nonzero()[:, 0])
    stitched = stitch(world, digits, 4)
    few, many = (stitch(world, digits[:count], count // 4) for count in (16, 120))
    whole = entropy(world, world.preprocessing.denormalize(F.interpolate(_tile(many), (SIZE, SIZE)))).mean()
    assert whole > entropy(world, world.preprocessing.denormalize(F.interpolate(_tile(stitched), (SIZE, SIZE)))).mean()
    assert few.shape == (4, 3, SIZE, SIZE)
    lower, upper = world.preprocessing.bounds(stitched)
    assert stitched.shape == (4, 3, SIZE, SIZE)
    assert ((stitched >= lower - 1e-9) & (stitched <= upper + 1e-9)).all()
    assert torch.equal(stitched, stitch(world, digits, 4))
    torch.testing.assert_close(stitched, stitch(world, digits, 4, batch_size=7), rtol=0, atol=1e-9)
    assert not torch.equal(stitched, stitch(world, digits, 4, seed=1))


@pytest.mark.parametrize("size", [15, 9])
def test_odd_sides(world: World, size: int) -> None:
    teacher = Teacher(
        world.teacher.network,
        arch="convnet3",
        stem="small",
        preprocessing=Preprocessing(size),
        class_names=world.teacher.class_names,
    )
    digits = plain(5)[:, :, :size, :size].contiguous()
    assert stitch(replace(world, teacher=teacher), digits, 2).shape == (2, 3, size, size)
