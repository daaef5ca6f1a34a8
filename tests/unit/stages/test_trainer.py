"""The schedule, and going on from the middle of a training."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from wmdd.models.convnet import ConvNet3
from wmdd.runtime.random import seeded
from wmdd.stages.training import Trainer, cosine, silent
from wmdd.storage.tensors import read_tensors, write_tensors

OPTIMIZERS: dict[str, Callable[[Sequence[Tensor]], torch.optim.Optimizer]] = {
    "sgd": partial(torch.optim.SGD, lr=1.0, momentum=0.9, nesterov=True),
    "plain sgd": partial(torch.optim.SGD, lr=1.0),
    "adamw": partial(torch.optim.AdamW, lr=1.0, weight_decay=0.01),
}


def a_trainer(kind: str, seed: int) -> Trainer:
    with seeded(seed, "weights"):
        network = ConvNet3(4, width=6).to(memory_format=torch.channels_last)
    return Trainer(network.train(), OPTIMIZERS[kind], lr=0.01, total_steps=12, warmup=0.25)


def an_epoch(trainer: Trainer) -> None:
    generator = torch.Generator().manual_seed(trainer.epoch)
    for _ in range(3):
        x = torch.randn(5, 3, 16, 16, generator=generator)
        trainer.update(trainer.network(x).logsumexp(dim=1).square().mean(), len(x))
    trainer.epoch += 1


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_going_on_from_a_state_gives_the_same_bits(kind: str, tmp_path: Path) -> None:
    undisturbed, first = a_trainer(kind, 0), a_trainer(kind, 0)
    for _ in range(4):
        an_epoch(undisturbed)
    for _ in range(2):
        an_epoch(first)
    write_tensors(tmp_path / "state", first.state())
    again = a_trainer(kind, 1)
    again.load(read_tensors(tmp_path / "state")[0])
    assert (again.step, again.epoch) == (6, 2)
    for _ in range(2):
        an_epoch(again)
    assert (again.step, again.epoch) == (undisturbed.step, undisturbed.epoch) == (12, 4)
    expected = undisturbed.state()
    for name, value in again.state().items():
        assert torch.equal(value, expected[name]), name
    assert any("optimizer/" in name for name in expected) == (kind != "plain sgd")


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_weights_seen_in_the_order_of_memory_learn_what_they_would(kind: str) -> None:
    trainer, network = a_trainer(kind, 0), a_trainer(kind, 0).network
    optimizer = OPTIMIZERS[kind](list(network.parameters()))
    generator = torch.Generator().manual_seed(0)
    for _ in range(4):
        x = torch.randn(5, 3, 16, 16, generator=generator)
        trainer.update(trainer.network(x).logsumexp(dim=1).square().mean(), len(x))
        optimizer.param_groups[0]["lr"] = trainer.optimizer.param_groups[0]["lr"]
        optimizer.zero_grad()
        network(x).logsumexp(dim=1).square().mean().backward()
        optimizer.step()
    seen = trainer.optimizer.param_groups[0]["params"]
    assert all(weights.is_contiguous() for weights in seen)
    assert not all(weights.is_contiguous() for weights in network.parameters())
    for mine, plain in zip(trainer.network.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(mine, plain)


def test_a_state_without_its_optimizer_would_not_do() -> None:
    """That the test above can fail: momentum lost, other weights."""
    undisturbed, again = a_trainer("sgd", 0), a_trainer("sgd", 0)
    for trainer in (undisturbed, again):
        an_epoch(trainer)
    again.optimizer = OPTIMIZERS["sgd"](again.optimizer.param_groups[0]["params"])
    for trainer in (undisturbed, again):
        an_epoch(trainer)
    assert not torch.equal(undisturbed.state()["network/classifier.weight"], again.state()["network/classifier.weight"])


@pytest.mark.parametrize(
    ("progress", "warmup", "share"),
    [
        (0, 0, 1),
        (0.5, 0, 0.5),
        (1, 0, 0),
        (1 / 3, 0, 0.75),
        (0, 0.2, 0),
        (0.1, 0.2, 0.5),
        (0.2, 0.2, 1),
        (0.6, 0.2, 0.5),
        (1, 0.2, 0),
    ],
)
def test_the_schedule(progress: float, warmup: float, share: float) -> None:
    assert cosine(progress, warmup) == pytest.approx(share, abs=1e-12)


@pytest.mark.parametrize("warmup", [0.0, 0.25])
def test_the_learning_rate_of_every_step(warmup: float) -> None:
    trainer = a_trainer("plain sgd", 0)
    trainer.warmup = warmup
    rates = []
    for _ in range(12):
        trainer.update(trainer.network(torch.rand(2, 3, 8, 8)).sum() * 0, 2)
        rates.append(trainer.optimizer.param_groups[0]["lr"])
    if warmup:
        assert rates[:3] == pytest.approx([0.01 / 3, 0.02 / 3, 0.01])
        expected = [0.005 * (1 + math.cos(math.pi * step / 9)) for step in range(1, 10)]
        assert rates[3:] == pytest.approx(expected)
    else:
        assert rates == pytest.approx([0.005 * (1 + math.cos(math.pi * step / 12)) for step in range(12)])
    assert silent(1, 2, loss=3.0) is None
