"""Soft labels on disk, epoch by epoch."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from wmdd.core.errors import RunError
from wmdd.core.types import SoftLabels
from wmdd.storage.labels import StoredLabels, write_soft_labels
from wmdd.storage.tensors import read_tensors, write_tensors

COUNT, CLASSES = 30, 60
FIELDS = ("box", "flip", "partner", "mix_box")


def labels(first: int, epochs: int, *, mixed: bool = True) -> SoftLabels:
    """Those of some epochs, whose values tell which they are."""
    draw = torch.Generator().manual_seed(first)
    numbers = torch.arange(first, first + epochs)
    boxes = numbers.short()[:, None, None].expand(-1, COUNT, 4)
    return SoftLabels(
        logits=(torch.randn(epochs, COUNT, CLASSES, generator=draw) + numbers[:, None, None]).half(),
        box=boxes,
        flip=numbers.bool()[:, None].expand(-1, COUNT),
        partner=numbers.int()[:, None].expand(-1, COUNT) if mixed else None,
        mix_box=boxes + 1 if mixed else None,
    )


@pytest.mark.parametrize("mixed", [True, False])
def test_epochs_come_back_in_any_order(tmp_path: Path, mixed: bool) -> None:
    written = {0: labels(0, 4, mixed=mixed), 4: labels(4, 3, mixed=mixed), 7: labels(7, 1, mixed=mixed)}
    for first, part in written.items():
        write_soft_labels(tmp_path / f"{first}.safetensors", part)
    stored = StoredLabels({first: tmp_path / f"{first}.safetensors" for first in (7, 0, 4)})
    for epoch in (7, 0, 3, 4, 6, 5, 0):
        found = stored.read(epoch)
        first = max(start for start in written if start <= epoch)
        for name in FIELDS:
            value, expected = getattr(found, name), getattr(written[first], name)
            if expected is None:
                assert value is None
            else:
                assert torch.equal(value[0], expected[epoch - first])
        logits = stored[epoch]
        assert torch.equal(logits, written[first].logits[epoch - first])
        assert logits.dtype == torch.float16


def test_an_epoch_outlives_its_file_and_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "labels.safetensors"
    write_soft_labels(path, labels(0, 3))
    stored = StoredLabels({0: path})
    logits = stored[1].clone()
    path.unlink()
    assert torch.equal(stored[1], logits)
    with pytest.raises(RunError, match="missing or damaged"):
        stored.read(2)


@pytest.mark.parametrize("count", [1, 7, 30])
def test_four_bits_are_within_half_a_step(tmp_path: Path, count: int) -> None:
    path, draw = tmp_path / "labels.safetensors", torch.Generator().manual_seed(0)
    logits = (8 * torch.randn(3, count, CLASSES, generator=draw)).half()
    logits[1, 0] = 5.0  # all the same
    logits[2, 0] = torch.linspace(-65_504, 65_504, CLASSES).half()
    views = replace(labels(0, 3), box=torch.zeros(3, count, 4).short(), flip=torch.zeros(3, count).bool())
    write_soft_labels(path, replace(views, logits=logits, partner=None, mix_box=None), in_four_bits=True)
    stored = StoredLabels({0: path})
    for epoch, exact in enumerate(logits.float()):
        half_a_step = (exact.amax(1) - exact.amin(1))[:, None] / 30
        found = stored[epoch]
        assert found.dtype == torch.float16
        assert ((found.float() - exact).abs() <= half_a_step * 1.001 + exact.abs().amax(1)[:, None] * 2**-10).all()
    assert path.stat().st_size < 3 * count * (CLASSES / 2 + 20) + 3 * CLASSES + 1000


def test_files_of_the_first_form_are_what_they_always_were(tmp_path: Path) -> None:
    path = tmp_path / "labels.safetensors"
    write_soft_labels(path, labels(0, 2))
    tensors, metadata = read_tensors(path)
    assert set(tensors) == {"logits", *FIELDS}
    assert tensors["logits"].dtype == torch.float16
    assert metadata == {}


@pytest.mark.parametrize(
    "held", [{"other": torch.zeros(2)}, {"logits": torch.zeros(2)}, {"codes": torch.zeros(2, 1, 1)}]
)
def test_tensors_that_are_no_labels(tmp_path: Path, held: dict[str, torch.Tensor]) -> None:
    write_tensors(tmp_path / "0.safetensors", held)
    with pytest.raises(RunError, match=r"0\.safetensors is damaged: it holds no soft labels"):
        StoredLabels({0: tmp_path / "0.safetensors"}).read(0)
