"""Pooling per-image moments of classes."""

import torch

from wmdd.core.pooled import PooledMoments
from wmdd.core.types import Moments


def test_images_of_several_classes_are_pooled_apart() -> None:
    images = {"layer": Moments(torch.tensor([[1.0], [3.0], [10.0]]), torch.tensor([[0.5], [0.5], [2.0]]))}
    pooled = PooledMoments.of_images(images, torch.tensor([2, 2, 0]), 3)
    assert pooled.counts.tolist() == [1, 0, 2]
    assert pooled.moments["layer"].mean.tolist() == [[10], [0], [2]]
    assert pooled.moments["layer"].var.tolist() == [[2], [0], [1.5]]  # 0.5 within, 1 between
    assert pooled.moments["layer"].mean.dtype == torch.float64


def test_a_class_without_images_yet_adds_nothing() -> None:
    first = PooledMoments.of_images({"a": Moments(torch.tensor([[4.0]]), torch.tensor([[1.0]]))}, torch.tensor([0]), 2)
    second = PooledMoments.of_images({"a": Moments(torch.tensor([[6.0]]), torch.tensor([[3.0]]))}, torch.tensor([1]), 2)
    for merged in (first.merge(second), second.merge(first)):
        assert merged.counts.tolist() == [1, 1]
        assert merged.moments["a"].mean.tolist() == [[4], [6]]
        assert merged.moments["a"].var.tolist() == [[1], [3]]
