"""Losses against literal transcriptions of their formulas, in float64 with plain loops."""

import math

import pytest
import torch
from torch import Tensor

from wmdd.core.types import Moments
from wmdd.losses import class_moments, feature_loss, hard_label_loss, soft_label_loss, statistics_loss
from wmdd.models import image_moments


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def softmax(values: list[float]) -> list[float]:
    powers = [math.exp(value) for value in values]
    return [power / sum(powers) for power in powers]


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
def test_soft_label_loss(temperature: float) -> None:
    student, teacher, weights = 5 * randn(6, 4), 5 * randn(6, 4, seed=1), randn(6, seed=2).exp()
    weights = weights / weights.mean()
    total = 0.0
    for i in range(6):
        p = softmax([float(t) / temperature for t in teacher[i]])
        q = softmax([float(s) / temperature for s in student[i]])
        total += float(weights[i]) * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    assert float(soft_label_loss(student, teacher, temperature, weights)) == pytest.approx(total / 6, rel=1e-12)
    alike = soft_label_loss(teacher, teacher + 3, temperature, weights)  # a constant on all logits says nothing
    assert float(alike) == pytest.approx(0, abs=1e-12)


def test_the_gradient_of_the_soft_label_loss() -> None:
    student, teacher, weights = randn(5, 3).requires_grad_(), randn(5, 3, seed=1), torch.ones(5, dtype=torch.float64)
    soft_label_loss(student, teacher, 20.0, weights).backward()
    expected = ((student.detach() / 20).softmax(1) - (teacher / 20).softmax(1)) / 20 / 5
    assert student.grad is not None
    torch.testing.assert_close(student.grad, expected)


def test_hard_label_loss() -> None:
    student, labels, weights = 3 * randn(6, 4), torch.tensor([0, 3, 2, 2, 1, 0]), randn(6, seed=2).exp()
    total = sum(-float(weights[i]) * math.log(softmax(student[i].tolist())[int(labels[i])]) for i in range(6))
    assert float(hard_label_loss(student, labels, weights)) == pytest.approx(total / 6, rel=1e-12)


@pytest.mark.parametrize("kind", ["squared", "norm"])
def test_feature_loss(kind: str) -> None:
    features, atoms = randn(3, 4, 5), randn(3, 4, 5, seed=1)
    found = feature_loss(features, atoms, kind)  # type: ignore[arg-type]
    for k in range(3):
        total = 0.0
        for j in range(4):
            for d in range(5):
                total += float(features[k, j, d] - atoms[k, j, d]) ** 2
        assert float(found[k]) == pytest.approx(total if kind == "squared" else math.sqrt(total), rel=1e-12)


@pytest.mark.parametrize("kind", ["squared", "norm", "relative"])
def test_statistics_loss(kind: str) -> None:
    widths = {"a": 3, "b": 7}
    images = {name: Moments(randn(6, c), randn(6, c, seed=1)) for name, c in widths.items()}
    weights = torch.tensor([[0.7, 0.2, 0.1], [0, 0.35, 0.65]], dtype=torch.float64)
    mine = {name: class_moments(moments, weights) for name, moments in images.items()}
    real = {name: Moments(randn(2, c, seed=2), randn(2, c, seed=3).abs()) for name, c in reversed(widths.items())}
    found = statistics_loss(images, weights, real, kind)  # type: ignore[arg-type]
    for k in range(2):
        total = 0.0
        for name, c in widths.items():
            for part in range(2):
                square = sum(float(mine[name][part][k, i] - real[name][part][k, i]) ** 2 for i in range(c))
                variances = [float(real[name].var[k, i]) for i in range(c)]
                size = sum(variances) if part == 0 else sum(variance**2 for variance in variances)
                square /= size if kind == "relative" else 1
                total += square if kind == "squared" else math.sqrt(square)
        assert float(found[k]) == pytest.approx(total, rel=1e-12)


def test_class_moments_weight_every_pixel() -> None:
    """Two classes, non-uniform weights: each pixel of image j counts w_j / (positions)."""
    x = randn(6, 3, 2, 4)
    weights = torch.tensor([[0.7, 0.2, 0.1], [0, 0.35, 0.65]], dtype=torch.float64)
    found = class_moments(image_moments(x, 1), weights)
    for g in range(2):
        for c in range(3):
            mean = sum(float(weights[g, j]) * float(p) / 8 for j in range(3) for p in x[3 * g + j, c].flatten())
            squares = [[(float(p) - mean) ** 2 / 8 for p in x[3 * g + j, c].flatten()] for j in range(3)]
            var = sum(float(weights[g, j]) * sum(squares[j]) for j in range(3))
            assert float(found.mean[g, c]) == pytest.approx(mean, rel=1e-12)
            assert float(found.var[g, c]) == pytest.approx(var, rel=1e-12)


def test_class_moments_keep_float32_exact_far_from_zero() -> None:
    x = (1000 + randn(8, 2, 6, 6)).float()
    weights = torch.full((1, 8), 1 / 8)
    found = class_moments(image_moments(x, 1), weights)
    torch.testing.assert_close(found.var[0].double(), x.double().var(dim=(0, 2, 3), correction=0), rtol=1e-4, atol=0)
