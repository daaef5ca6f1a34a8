"""Soft labels of views, and students that learn from them."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from small_world import SIZE, KillAt, Killed, World, new_network
from torch import Tensor, nn

from wmdd.augment import render_mixed
from wmdd.config import PROTOCOLS, Protocol
from wmdd.runtime.device import Machine
from wmdd.stages.evaluation import LabelSource, online_labels, stored_labels, train_student
from wmdd.stages.relabel import EpochViews, label_epoch, plan_epoch, show
from wmdd.storage.savepoint import Savepoint

SOFT = replace(PROTOCOLS["wmdd"], epochs=3, batch_size=8)
HARD = replace(PROTOCOLS["hard-label"], epochs=3, batch_size=8)
COUNT = 20


@pytest.fixture(scope="module")
def images(world: World) -> Tensor:
    return world.train.take(torch.arange(COUNT))


def plan(epoch: int, protocol: Protocol = SOFT) -> EpochViews:
    return plan_epoch(protocol, epoch, COUNT, SIZE, 0, flip=True)


def train(
    world: World,
    images: Tensor,
    source: LabelSource,
    protocol: Protocol = SOFT,
    *,
    network: nn.Module | None = None,
    weights: Tensor | None = None,
    views_of: Callable[[int], EpochViews] | None = None,
    **options: Any,
) -> nn.Module:
    weights = torch.full((COUNT,), 1 / 2) if weights is None else weights
    return train_student(
        network or new_network(3),
        images,
        world.train.labels[:COUNT],
        weights,
        source,
        protocol,
        views_of or partial(plan, protocol=protocol),
        world.preprocessing,
        options.pop("machine", world.machine),
        0,
        **options,
    )


def same(first: nn.Module, second: nn.Module) -> bool:
    return all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


# --- views and labels -------------------------------------------------------------------------------------------------


def test_plans_are_fixed_by_seed_epoch_and_protocol() -> None:
    first, again, later = plan(0), plan(0), plan(1)
    assert torch.equal(first.views.box, again.views.box)
    assert not torch.equal(first.views.box, later.views.box)
    assert not torch.equal(first.views.box, plan_epoch(SOFT, 0, COUNT, SIZE, 1, flip=True).views.box)
    assert not torch.equal(first.views.box, plan_epoch(PROTOCOLS["wmdd-paper"], 0, COUNT, SIZE, 0, flip=True).views.box)
    assert first.mixes is not None
    assert again.mixes is not None
    assert torch.equal(first.mixes.box, again.mixes.box)
    assert plan(0, HARD).mixes is None
    assert not first.views.roll.any()


def test_views_are_shown_normalised_and_mixed(world: World, images: Tensor) -> None:
    epoch = plan(0)
    rows = torch.tensor([4, 17, 4])
    normalised = world.preprocessing.normalize(images, torch.float64)
    expected = render_mixed(lambda wanted: normalised[wanted], epoch.views, epoch.mixes, rows)
    assert torch.equal(show(images, epoch, rows, world.preprocessing, torch.float64), expected)


def test_labels_do_not_depend_on_the_batch_size(world: World, images: Tensor) -> None:
    whole = label_epoch(world.teacher, images, plan(2), world.machine, 1000)
    assert whole.dtype == torch.float16
    assert whole.shape == (COUNT, 10)
    with torch.no_grad():
        exact = world.teacher.logits(show(images, plan(2), torch.arange(COUNT), world.preprocessing, torch.float64))
    torch.testing.assert_close(whole.double(), exact, rtol=2**-11, atol=1e-6)
    for batch_size in (1, 3, 7, 20):
        part = label_epoch(world.teacher, images, plan(2), world.machine, batch_size)
        # Float64 sums differ in their last bits, which may turn a rounding to half precision over, but no more.
        torch.testing.assert_close(part.double(), whole.double(), rtol=2**-10, atol=1e-7)
        assert float((part != whole).double().mean()) < 0.02


def test_logits_beyond_half_precision_are_clipped(world: World, images: Tensor) -> None:
    classifier = world.teacher.network.classifier
    assert isinstance(classifier, nn.Linear)
    before = classifier.weight.clone()
    try:
        classifier.weight.mul_(1e7)
        labels = label_epoch(world.teacher, images, plan(0), world.machine, 100)
    finally:
        classifier.weight.copy_(before)
    assert labels.isfinite().all()
    assert labels.abs().max() == torch.finfo(torch.float16).max


# --- students ---------------------------------------------------------------------------------------------------------


def test_online_labels_are_the_stored_ones_up_to_rounding(world: World, images: Tensor) -> None:
    logits = torch.stack([label_epoch(world.teacher, images, plan(epoch), world.machine, 6) for epoch in range(3)])
    online, stored = KillAt(), KillAt()
    train(world, images, online_labels(world.teacher, world.machine), log=online)
    train(world, images, stored_labels(logits), log=stored)
    assert len(online.seen) == len(stored.seen) == 3 * 3
    for one, other in zip(online.seen, stored.seen, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=5e-3)
        assert one["loss"] != other["loss"]
    exact = torch.stack(
        [_exact(world, images, epoch) for epoch in range(3)]
    )  # without rounding there is no difference beyond float64's
    unrounded = KillAt()
    train(world, images, stored_labels(exact), log=unrounded)
    assert [v["loss"] for v in unrounded.seen] == pytest.approx([v["loss"] for v in online.seen], rel=1e-9)


@torch.no_grad()
def _exact(world: World, images: Tensor, epoch: int) -> Tensor:
    return world.teacher.logits(show(images, plan(epoch), torch.arange(COUNT), world.preprocessing, torch.float64))


@pytest.mark.parametrize("protocol", [SOFT, HARD], ids=["soft", "hard"])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_going_on_after_a_kill_gives_the_same_bits(
    world: World, images: Tensor, tmp_path: Path, protocol: Protocol, precision: str
) -> None:
    machine = Machine(torch.device("cpu"), precision)  # type: ignore[arg-type]
    logits = torch.stack([label_epoch(world.teacher, images, plan(epoch), world.machine, 6) for epoch in range(3)])

    def student(seed: int) -> nn.Module:
        network = new_network(seed)
        network.pool.append(nn.Dropout(0.2))
        return network

    source = stored_labels(logits)
    undisturbed = train(world, images, source, protocol, network=student(3), machine=machine)
    state = Savepoint(tmp_path / "state", "key", seconds=0)
    with pytest.raises(Killed):
        train(world, images, source, protocol, network=student(3), log=KillAt(5), savepoint=state, machine=machine)
    log = KillAt()
    again = train(world, images, source, protocol, network=student(8), log=log, savepoint=state, machine=machine)
    assert len(log.seen) == 2 * 3  # two of three epochs, of three batches
    assert same(again, undisturbed)


def test_students_learn_their_images(world: World, images: Tensor) -> None:
    log = KillAt()
    protocol = replace(HARD, epochs=60, min_crop=1.0, batch_size=COUNT, lr=0.03)
    views = plan_epoch(protocol, 0, COUNT, SIZE, 0, flip=False)
    network = train(
        world, images, online_labels(world.teacher, world.machine), protocol, log=log, views_of=lambda _: views
    )
    assert log.seen[-1]["loss"] < 0.5 * log.seen[0]["loss"]
    assert network.training


def test_weights_count_only_where_the_protocol_says_so(world: World, images: Tensor) -> None:
    uneven = torch.linspace(0.1, 0.9, COUNT)
    source = online_labels(world.teacher, world.machine)
    assert same(train(world, images, source), train(world, images, source, weights=uneven))
    weighted = replace(SOFT, weighted=True)
    even = train(world, images, source, weighted)
    assert not same(even, train(world, images, source, weighted, weights=uneven))
    assert same(train(world, images, source), even)


def test_an_image_and_its_partner_share_the_weight_of_a_mixed_view(world: World, images: Tensor) -> None:
    """The first loss of a weighted batch of all images, written out."""
    weighted = replace(SOFT, weighted=True, batch_size=COUNT, epochs=1)
    weights = torch.linspace(0.1, 0.9, COUNT, dtype=torch.float64)
    log = KillAt()
    train(world, images, online_labels(world.teacher, world.machine), weighted, weights=weights, log=log)
    epoch = plan(0)
    assert epoch.mixes is not None
    x = show(images, epoch, torch.arange(COUNT), world.preprocessing, torch.float64)
    network = new_network(3).double().train()
    with torch.no_grad():
        p, q = (net(x).div(20).softmax(dim=1) for net in (world.teacher.network, network))
    total = 0.0
    for i in range(COUNT):
        width, height = epoch.mixes.box[i, 2:].tolist()
        own = 1 - width * height / SIZE**2
        weight = own * weights[i] + (1 - own) * weights[epoch.mixes.partner[i]]
        total += float(weight / weights.mean() * (p[i] * (p[i] / q[i]).log()).sum())
    assert log.seen[0]["loss"] == pytest.approx(total / COUNT, rel=1e-6)


def test_order_and_layers_come_from_the_seed_alone(world: World, images: Tensor) -> None:
    source = online_labels(world.teacher, world.machine)
    torch.manual_seed(1)
    first = train(world, images, source)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert same(first, train(world, images, source))
    assert torch.equal(torch.get_rng_state(), state)
