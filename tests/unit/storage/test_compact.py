"""Compact labels: what comes back, how large they are, and that students see nearly the same targets."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from wmdd.core.errors import DataError
from wmdd.storage.compact import RELATIVE_ERROR, SHARED, compress, decompress


def teacher_logits(classes: int, images: int, epochs: int = 2, width: int = 32) -> Tensor:
    """Of a random linear head on random features, half precision, the right class ahead."""
    draw = torch.Generator().manual_seed(classes)
    head = torch.randn(width, classes, generator=draw)
    features = (torch.randn(epochs, images, width, generator=draw) * torch.arange(1, width + 1) ** -0.5).relu()
    ahead = 4 * F.one_hot(torch.arange(images) % classes, classes)
    return (features @ head + ahead + 3).half()


def centred(logits: Tensor) -> Tensor:
    return logits.float() - logits.float().mean(-1, keepdim=True)


def lost(exact: Tensor, kept: Tensor) -> float:
    """Squared error relative to the squared size of the centred logits."""
    return float((centred(kept) - centred(exact)).square().sum() / centred(exact).square().sum())


def divergence(exact: Tensor, kept: Tensor, temperature: float) -> float:
    """KL between the targets of a student, over all labels."""
    p, q = (F.log_softmax(logits.float() / temperature, dim=-1) for logits in (exact, kept))
    return float((p.exp() * (p - q)).sum(-1).mean())


def bytes_of(tensors: dict[str, Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


@pytest.mark.parametrize("classes", [2, 3, 10, 49, 50, 200])
def test_the_error_is_about_the_wanted_one_or_less(classes: int) -> None:
    logits = teacher_logits(classes, 400)
    kept = decompress(compress(logits))
    assert kept.shape == logits.shape
    assert kept.dtype == torch.float32
    assert lost(logits, kept) < 1.1 * RELATIVE_ERROR


@pytest.mark.parametrize("classes", [10, 200])
def test_students_see_nearly_the_same_targets_at_every_temperature(classes: int) -> None:
    logits = teacher_logits(classes, 400)
    kept, uniform = decompress(compress(logits)), torch.zeros(logits.shape)
    for temperature in (20, 4, 1):
        assert divergence(logits, kept, temperature) < 0.06 * divergence(logits, uniform, temperature)
    assert divergence(logits, kept, 20) == pytest.approx(lost(logits, kept) * divergence(logits, uniform, 20), rel=0.3)


def test_the_largest_logits_stay_as_they_are_where_classes_are_many() -> None:
    logits = teacher_logits(200, 300)
    kept = decompress(compress(logits))
    top, index = logits.float().topk(4, dim=-1)
    assert float((kept.argmax(-1) == logits.argmax(-1)).float().mean()) > 0.99  # a near tie may turn over
    gaps = kept.gather(-1, index).diff(dim=-1)
    torch.testing.assert_close(gaps, top.diff(dim=-1), atol=0.02, rtol=0)


def test_a_thousand_classes_take_a_tenth() -> None:
    logits = teacher_logits(1000, 2000, width=128)
    tensors = compress(logits)
    assert bytes_of(tensors) < bytes_of({"logits": logits}) / 10
    assert tensors["top_index"].dtype == torch.int16
    assert set(tensors) == {"codes", "top_index", "top_value", *SHARED}


def test_any_epochs_can_be_read_alone() -> None:
    logits = teacher_logits(60, 50, epochs=3)
    tensors = compress(logits)
    whole = decompress(tensors)
    for epoch in range(3):
        part = {name: t if name in SHARED else t[epoch : epoch + 1] for name, t in tensors.items()}
        torch.testing.assert_close(decompress(part)[0], whole[epoch], rtol=0, atol=1e-5)


def test_the_same_logits_give_the_same_bytes() -> None:
    first, second = (compress(teacher_logits(100, 80)) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("classes", [1, 2, 10, 100])
def test_logits_that_say_nothing_come_back(classes: int) -> None:
    """All ties: no direction has any variance, and any of the classes may be a largest one."""
    kept = decompress(compress(torch.full((2, 3, classes), 7.0).half()))
    torch.testing.assert_close(kept.softmax(-1), torch.full((2, 3, classes), 1 / classes))


def test_a_single_label_comes_back_exactly_enough() -> None:
    logits = teacher_logits(100, 1, epochs=1)
    torch.testing.assert_close(centred(decompress(compress(logits))), centred(logits), atol=0.05, rtol=0)


def test_ties_between_the_largest_keep_their_value() -> None:
    logits = teacher_logits(100, 60)
    logits[:, :, 10:20] = 30.0
    kept = decompress(compress(logits))
    assert lost(logits, kept) < 1.1 * RELATIVE_ERROR


def test_logits_at_the_end_of_half_precision_stay_finite() -> None:
    limit = torch.finfo(torch.float16).max
    logits = teacher_logits(100, 60)
    logits[0, 0, 0], logits[1, 1, 1] = limit, -limit
    kept = decompress(compress(logits))
    assert kept.isfinite().all()
    assert int(kept[0, 0].argmax()) == 0


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_logits_that_are_not_finite_are_refused(wrong: float) -> None:
    logits = teacher_logits(10, 20)
    logits[1, 3, 2] = wrong
    with pytest.raises(DataError, match="not all finite"):
        compress(logits)
