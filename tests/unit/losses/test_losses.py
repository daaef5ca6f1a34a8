"""What the losses promise beyond their formulas."""

import pytest
import torch

from wmdd.core.types import Moments
from wmdd.losses import class_moments, feature_loss, soft_label_loss, statistics_loss
from wmdd.losses.norms import root


def test_the_norm_has_gradient_zero_where_it_is_zero() -> None:
    features = torch.ones(2, 3, 4, requires_grad=True)
    feature_loss(features, torch.ones(2, 3, 4), "norm").sum().backward()
    assert features.grad is not None
    assert not features.grad.any()


def test_the_gradient_of_the_norm_does_not_shrink_with_the_distance() -> None:
    for kind, ratio in (("norm", 1.0), ("squared", 0.001)):
        sizes = []
        for distance in (1.0, 0.001):
            features = torch.full((1, 2, 3), distance, dtype=torch.float64, requires_grad=True)
            feature_loss(features, torch.zeros(1, 2, 3), kind).sum().backward()  # type: ignore[arg-type]
            assert features.grad is not None
            sizes.append(features.grad.norm())
        torch.testing.assert_close(sizes[1] / sizes[0], torch.tensor(ratio, dtype=torch.float64))


def test_classes_do_not_mix() -> None:
    mine = {"a": Moments(torch.rand(3, 4), torch.rand(3, 4))}
    real = {
        "a": Moments(torch.rand(3, 4), torch.rand(3, 4)),
        "not asked for": Moments(torch.rand(3, 9), torch.rand(3, 9)),
    }
    weight = torch.ones(3, 1)
    together = statistics_loss(mine, weight, real, "norm")
    for k in range(3):
        one, theirs = (
            {name: Moments(mean[k : k + 1], var[k : k + 1]) for name, (mean, var) in m.items()} for m in (mine, real)
        )
        torch.testing.assert_close(statistics_loss(one, weight[:1], theirs, "norm"), together[k : k + 1])


def test_relative_statistics_do_not_depend_on_the_scale_of_a_layer() -> None:
    def scaled(moments: Moments, by: float) -> Moments:
        return Moments(by * moments.mean, by**2 * moments.var)

    mine, real = ({"a": Moments(torch.rand(3, 4), torch.rand(3, 4))} for _ in range(2))
    larger_mine, larger_real = ({"a": scaled(moments["a"], 40)} for moments in (mine, real))
    expected = statistics_loss(mine, torch.ones(3, 1), real, "relative")
    found = statistics_loss(larger_mine, torch.ones(3, 1), larger_real, "relative")
    torch.testing.assert_close(found, expected)


def test_a_layer_that_is_constant_over_a_class_has_relative_statistics_too() -> None:
    mine = {"a": Moments(torch.ones(1, 2).requires_grad_(), torch.zeros(1, 2))}
    real = {"a": Moments(torch.zeros(1, 2), torch.zeros(1, 2))}
    loss = statistics_loss(mine, torch.ones(1, 1), real, "relative")
    loss.sum().backward()
    assert torch.isfinite(mine["a"].mean.grad).all()  # type: ignore[arg-type]
    assert float(loss.detach()) == pytest.approx(2**0.5)


def test_the_real_statistics_may_be_wider_than_the_synthetic_ones() -> None:
    mine = {"a": Moments(torch.zeros(1, 2), torch.zeros(1, 2))}
    real = {"a": Moments(torch.ones(1, 2, dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64))}
    assert statistics_loss(mine, torch.ones(1, 1), real, "squared").dtype == torch.float32


def test_a_weight_of_one_takes_the_image_alone() -> None:
    images = Moments(torch.rand(4, 3), torch.rand(4, 3))
    found = class_moments(images, torch.eye(4)[[2]])
    torch.testing.assert_close(found.mean, images.mean[[2]])
    torch.testing.assert_close(found.var, images.var[[2]])


def test_a_student_of_weight_zero_is_not_learned_from() -> None:
    student = torch.randn(3, 5, requires_grad=True)
    soft_label_loss(student, torch.randn(3, 5), 20.0, torch.tensor([1.5, 0.0, 1.5])).backward()
    assert student.grad is not None
    assert not student.grad[1].any()
    assert student.grad[0].any()


def test_what_is_not_a_number_stays_none() -> None:
    squares = torch.tensor([4.0, 0.0, torch.nan, torch.inf], requires_grad=True)
    found = root(squares)
    torch.testing.assert_close(found, torch.tensor([2.0, 0.0, torch.nan, torch.inf]), equal_nan=True)
    found[:2].sum().backward()
    assert squares.grad is not None
    assert squares.grad[:2].tolist() == [0.25, 0.0]
