"""Compact labels: whatever the teacher says, what comes back is finite, of the same shape and nearly the same."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wmdd.storage.compact import compress, decompress

QUICK = settings(deadline=None, max_examples=60)


def logits(classes: int, images: int, epochs: int, scale: float, peak: float, rank: int, seed: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    factors = torch.randn(epochs, images, rank, generator=draw) @ torch.randn(rank, classes, generator=draw)
    ahead = peak * torch.nn.functional.one_hot(torch.arange(images) % classes, classes)
    return (scale * (factors + ahead)).clamp(-60000, 60000).half()


WORLDS = st.builds(
    logits,
    classes=st.integers(1, 120),
    images=st.integers(1, 40),
    epochs=st.integers(1, 3),
    scale=st.floats(1e-3, 1e3),
    peak=st.floats(0, 20),
    rank=st.integers(1, 130),
    seed=st.integers(0, 2**62),
)


@given(exact=WORLDS)
@QUICK
def test_what_comes_back_is_near_whatever_the_scale(exact: torch.Tensor) -> None:
    kept = decompress(compress(exact)).double()
    assert kept.shape == exact.shape
    assert kept.isfinite().all()
    exact = exact.double()
    centred = exact - exact.mean(-1, keepdim=True)
    error = kept - kept.mean(-1, keepdim=True) - centred
    assert float(error.square().sum()) <= 0.05 * float(centred.square().sum()) + 1e-9


@given(exact=WORLDS, shift=st.floats(-100, 100))
@QUICK
def test_a_constant_in_the_logits_of_a_label_does_not_matter(exact: torch.Tensor, shift: float) -> None:
    exact = exact.double()  # in half precision the constant would cost digits
    kept, shifted = decompress(compress(exact)), decompress(compress(exact + shift))
    size = float((exact - exact.mean(-1, keepdim=True)).square().mean()) ** 0.5
    difference = kept - shifted
    assert float((difference - difference.mean(-1, keepdim=True)).square().mean()) ** 0.5 <= 0.3 * size + 1e-3
