"""Training and scoring the teacher."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_world import SIZE, KillAt, Killed, World, new_network
from torch import Tensor, nn

from wmdd.config import TeacherConfig
from wmdd.data import MemoryImages
from wmdd.pipeline.stages.teacher import chance_level
from wmdd.runtime.device import Machine
from wmdd.stages.scoring import score
from wmdd.stages.teacher import train_teacher
from wmdd.storage.savepoint import Savepoint

CONFIG = TeacherConfig(epochs=3, batch_size=32)


def some(world: World, count: int = 100) -> MemoryImages:
    rows = torch.arange(count)
    return MemoryImages(world.train.take(rows), world.train.labels[rows])


def with_dropout() -> nn.Module:
    """Random layers must go on from the right place, too."""
    network = new_network(width=6)
    network.pool.append(nn.Dropout(0.3))
    return network


def train(
    world: World, network: nn.Module, config: TeacherConfig = CONFIG, *, seed: int = 0, **options: object
) -> KillAt:
    log = options.pop("log", None) or KillAt()
    machine = options.pop("machine", world.machine)
    train_teacher(
        network,
        some(world),
        world.preprocessing,
        config,
        machine,
        seed,
        flip=True,
        log=log,
        **options,  # type: ignore[arg-type]
    )
    assert isinstance(log, KillAt)
    return log


def same(first: nn.Module, second: nn.Module) -> bool:
    return all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_going_on_after_one_of_three_epochs_gives_the_same_bits(world: World, tmp_path: Path, precision: str) -> None:
    machine = Machine(world.machine.device, precision)  # type: ignore[arg-type]
    undisturbed = with_dropout()
    train(world, undisturbed, machine=machine)
    path = tmp_path / "state"
    killed = with_dropout()
    with pytest.raises(Killed):
        train(world, killed, log=KillAt(6), savepoint=Savepoint(path, "key", seconds=0), machine=machine)
    assert path.exists()
    assert not same(killed, undisturbed)
    again = new_network(seed=9, width=6)
    again.pool.append(nn.Dropout(0.3))
    log = train(world, again, savepoint=Savepoint(path, "key", seconds=0), machine=machine)
    assert len(log.seen) == 2 * 4  # 100 images in 4 batches; one epoch was done already
    assert same(again, undisturbed)


def test_the_seed_decides_order_and_views(world: World) -> None:
    first, second, other = (new_network(width=6) for _ in range(3))
    for network, seed in ((first, 0), (second, 0), (other, 1)):
        train(world, network, seed=seed)
    assert same(first, second)
    assert not same(first, other)


def test_the_global_random_state_is_left_alone(world: World) -> None:
    network = with_dropout()
    torch.manual_seed(3)
    state = torch.get_rng_state()
    train(world, network, replace(CONFIG, epochs=1))
    assert torch.equal(torch.get_rng_state(), state)


def test_the_teacher_learns(world: World) -> None:
    found = score(world.teacher.network, world.validation, 10, world.preprocessing, world.machine, 100)
    assert found.top1 > 60
    assert found.top1 <= found.top5 <= 100
    log = train(world, new_network(width=16), replace(CONFIG, epochs=15, min_crop=0.8))
    losses = [values["loss"] for values in log.seen]
    assert sum(losses[-4:]) < 0.8 * sum(losses[:4])
    assert all(0 <= values["accuracy"] <= 100 for values in log.seen)


class Constant(nn.Module):
    """Always the same scores."""

    def __init__(self, scores: list[float]) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.tensor(scores))

    def forward(self, x: Tensor) -> Tensor:
        return self.scores.to(x.dtype).expand(len(x), -1)


def test_scores_are_counted_right(world: World) -> None:
    counts = world.validation.labels.bincount()
    falling = Constant([float(-k) for k in range(10)])
    for batch_size in (7, 1000):
        found = score(falling, world.validation, 10, world.preprocessing, world.machine, batch_size)
        assert found.top1 == pytest.approx(100 * float(counts[0] / counts.sum()), abs=1e-3)
        assert found.top5 == pytest.approx(100 * float(counts[:5].sum() / counts.sum()), abs=1e-3)
        assert found.per_class == (100.0, *[0.0] * 9)


def test_few_classes_are_always_in_the_top_five(world: World) -> None:
    rows = (world.validation.labels < 3).nonzero().squeeze(1)
    images = MemoryImages(world.validation.take(rows), world.validation.labels[rows])
    found = score(Constant([0.0, 1.0, 2.0]), images, 3, world.preprocessing, world.machine, 50)
    assert found.top5 == 100
    assert found.per_class == (0, 0, 100)


def test_scoring_puts_the_network_into_eval_mode(world: World) -> None:
    network = with_dropout().double().train()
    first, second = (score(network, world.validation, 10, world.preprocessing, world.machine, 100) for _ in range(2))
    assert first == second
    assert not network.training
    assert world.preprocessing.image_size == SIZE


def test_what_cannot_be_told_from_chance() -> None:
    chance, useless_below = chance_level([36] * 10)
    assert chance == 10
    assert useless_below == pytest.approx(10 + 300 * (0.1 * 0.9 / 360) ** 0.5, abs=1e-3)
    assert chance_level([900, 100]) == (90, pytest.approx(92.846, abs=1e-3))  # always naming the larger class
    assert chance_level([2, 2])[1] < 100  # a perfect score is never chance
    hits = torch.rand(2000, 360, generator=torch.Generator().manual_seed(0)) < 0.1
    guesses = 100 * hits.double().mean(dim=1)
    assert float((guesses > useless_below).double().mean()) < 0.005
    assert chance_level([36000] * 10)[1] < 10.2  # the more images, the nearer
