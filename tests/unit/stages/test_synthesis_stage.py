"""Optimising images: exact in any chunks, to the bit after a kill, each class on its own."""

from copy import deepcopy
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from small_world import SIZE, KillAt, Killed, World
from torch import Tensor, nn

from wmdd.config import SynthesisConfig
from wmdd.core.types import Moments, Preprocessing
from wmdd.models import Teacher
from wmdd.runtime.device import Machine
from wmdd.runtime.random import seeded
from wmdd.stages.synthesis import SynthesisProblem, noise, synthesize
from wmdd.storage.savepoint import Savepoint

CONFIG = SynthesisConfig(steps=5, jitter=0.1)
DIVERGENCES = ("wasserstein", "sinkhorn", "sliced", "mmd-gaussian", "mmd-energy", "mmd-linear")


def run(world: World, problem: SynthesisProblem, config: SynthesisConfig = CONFIG, **options: Any) -> Tensor:
    return synthesize(world.teacher, problem, config, world.machine, options.pop("seed", 0), flip=True, **options)


@pytest.fixture(scope="module")
def problem(world: World) -> SynthesisProblem:
    found = world.problem((2, 5, 9), 4)
    assert (found.weights.max(dim=1).values > 1.2 / 4).all()  # uneven, so that weighting shows
    return found


@pytest.mark.parametrize(
    ("feature_loss", "statistics_loss", "weighted", "cross_entropy"),
    [
        *product(("squared", "norm"), ("squared", "norm"), (False, True), (0.0, 0.5)),
        *product(DIVERGENCES, ("norm",), (True,), (0.0,)),
        ("norm", "relative", True, 0.0),
    ],
)
def test_chunks_give_what_one_batch_gives(
    world: World,
    problem: SynthesisProblem,
    feature_loss: str,
    statistics_loss: str,
    weighted: bool,
    cross_entropy: float,
) -> None:
    config = replace(
        CONFIG,
        feature_loss=feature_loss,  # type: ignore[arg-type]
        statistics_loss=statistics_loss,  # type: ignore[arg-type]
        weighted=weighted,
        cross_entropy=cross_entropy,
    )
    logs = [KillAt(), KillAt(), KillAt()]
    whole = run(world, problem, config, log=logs[0])
    assert (whole - problem.start).abs().max() > 0.1
    for log, batch_size in ((logs[1], 5), (logs[2], 1)):
        torch.testing.assert_close(
            run(world, problem, replace(config, batch_size=batch_size), log=log), whole, rtol=0, atol=1e-9
        )
        assert log.seen == [pytest.approx(values, rel=1e-9) for values in logs[0].seen]
    assert set(logs[0].seen[0]) == {"feature", "statistics", "loss"} | ({"cross_entropy"} if cross_entropy else set())


def test_chunks_without_statistics(world: World, problem: SynthesisProblem) -> None:
    config = replace(CONFIG, statistics=0.0)
    log = KillAt()
    torch.testing.assert_close(
        run(world, problem, replace(config, batch_size=5)), run(world, problem, config, log=log), rtol=0, atol=1e-9
    )
    assert set(log.seen[0]) == {"feature", "loss"}


class VectorNorm(nn.Module):
    """A network with a norm layer on vectors, as some of timm's have before their classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, stride=2)
        self.norm = nn.BatchNorm2d(6)
        self.last = nn.BatchNorm1d(6)
        self.classifier = nn.Linear(6, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.last(self.norm(self.conv(x)).relu().mean(dim=(2, 3))))

    def get_classifier(self) -> nn.Module:
        return self.classifier


def test_statistics_of_all_classes_together(world: World, problem: SynthesisProblem) -> None:
    aims = {name: Moments(mean.mean(0)[None], var.mean(0)[None]) for name, (mean, var) in problem.moments.items()}
    together = replace(problem, moments=aims)
    config = replace(CONFIG, feature=0.0, cross_entropy=0.5, statistics_of="all", min_crop=1.0, jitter=0.0)
    log = KillAt()
    whole = synthesize(world.teacher, together, config, world.machine, 0, flip=False, log=log)
    with torch.no_grad():
        seen = world.teacher.observe(problem.start.flatten(0, 1))
    expected = 0.0
    classes, ipc = problem.start.shape[:2]
    for name, moments in seen.moments.items():
        for j in range(ipc):  # one image of each class at a time, as SRe2L has it
            mean, var = (moment.view(classes, ipc, -1)[:, j] for moment in moments)
            expected += float((mean.mean(0) - aims[name].mean[0]).norm())
            expected += float((var.mean(0) + mean.var(0, unbiased=False) - aims[name].var[0]).norm())
    assert log.seen[0]["statistics"] == pytest.approx(config.statistics * expected / ipc)
    assert set(log.seen[0]) == {"statistics", "cross_entropy", "loss"}
    chunks = synthesize(world.teacher, together, replace(config, batch_size=5), world.machine, 0, flip=False)
    torch.testing.assert_close(chunks, whole, rtol=0, atol=1e-9)


def test_crops_go_from_easy_to_hard(world: World, problem: SynthesisProblem) -> None:
    """At the first step whole images, as if crops were never smaller; later not."""
    hard, easy = replace(CONFIG, min_crop=0.1), replace(CONFIG, min_crop=1.0)
    logs = [KillAt() for _ in range(3)]
    for config, log in zip((replace(hard, min_crop_start=1.0), easy, hard), logs, strict=True):
        run(world, problem, config, log=log)
    rising, whole, small = (log.seen for log in logs)
    assert rising[0] == whole[0] != small[0]
    assert rising[-1] != whole[-1]
    assert rising[-1] != small[-1]


def test_chunks_of_a_network_with_norms_on_vectors(world: World) -> None:
    with seeded(0, "weights"):
        network = VectorNorm().double()
    teacher = Teacher(
        network, arch="v", stem="small", preprocessing=Preprocessing(SIZE), class_names=tuple("0123456789")
    )
    stream = torch.Generator().manual_seed(0)
    aims = {
        name: Moments(torch.randn(2, 6, generator=stream), torch.rand(2, 6, generator=stream))
        for name in ("norm", "last")
    }
    problem = SynthesisProblem(
        (0, 1),
        torch.randn(2, 3, 6, generator=stream),
        torch.full((2, 3), 1 / 3),
        aims,
        torch.randn(2, 3, 3, SIZE, SIZE, generator=stream),
    )
    whole, chunks = (
        synthesize(teacher, problem, replace(CONFIG, batch_size=size), world.machine, 0, flip=True) for size in (100, 2)
    )
    torch.testing.assert_close(chunks, whole, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("batch_size", "precision", "feature_loss"),
    [
        *product([100, 5], ["float64", "float32", "bfloat16"], ["norm"]),
        *product([5], ["bfloat16"], DIVERGENCES),
    ],
)
def test_going_on_after_a_kill_gives_the_same_bits(
    world: World, problem: SynthesisProblem, tmp_path: Path, batch_size: int, precision: str, feature_loss: Any
) -> None:
    machine = Machine(torch.device("cpu"), precision)  # type: ignore[arg-type]
    config = replace(CONFIG, batch_size=batch_size, steps=6, feature_loss=feature_loss)
    teacher = Teacher(
        machine.place(deepcopy(world.teacher.network)),
        arch="convnet3",
        stem="small",
        preprocessing=world.preprocessing,
        class_names=world.teacher.class_names,
    )
    placed = replace(world, teacher=teacher, machine=machine)
    undisturbed = run(placed, problem, config)
    state = Savepoint(tmp_path / "state", "key", seconds=0)
    with pytest.raises(Killed):
        run(placed, problem, config, log=KillAt(4), savepoint=state)
    log = KillAt()
    again = run(placed, problem, config, log=log, savepoint=state)
    assert len(log.seen) == 3  # the state was that of three steps done
    assert torch.equal(again, undisturbed)


@pytest.mark.parametrize("feature_loss", ["norm", *DIVERGENCES])
def test_a_class_alone_gives_what_it_gives_in_a_group(
    world: World, problem: SynthesisProblem, feature_loss: Any
) -> None:
    steps = 20 if feature_loss == "norm" else 5
    config = replace(CONFIG, steps=steps, cross_entropy=0.2, weighted=True, feature_loss=feature_loss)
    together = run(world, problem, config)
    for g, k in enumerate(problem.classes):
        alone = SynthesisProblem(
            (k,),
            problem.atoms[[g]],
            problem.weights[[g]],
            {name: Moments(mean[[g]], var[[g]]) for name, (mean, var) in problem.moments.items()},
            problem.start[[g]],
            problem.real[g : g + 1],
        )
        torch.testing.assert_close(run(world, alone, config), together[[g]], rtol=0, atol=1e-6)


def test_images_stay_between_black_and_white(world: World, problem: SynthesisProblem) -> None:
    images = run(world, problem, replace(CONFIG, lr=5.0))
    lower, upper = world.preprocessing.bounds(images)
    assert (images >= lower).all()
    assert (images <= upper).all()
    assert (images == lower).any()
    assert (images == upper).any()


def test_no_steps_return_the_start(world: World, problem: SynthesisProblem) -> None:
    assert torch.equal(run(world, problem, replace(CONFIG, steps=0)), problem.start)


def test_the_start_is_left_as_it_was(world: World, problem: SynthesisProblem) -> None:
    before = problem.start.clone()
    images = run(world, problem)
    assert torch.equal(problem.start, before)
    further = replace(problem, start=images)  # in the layout that a second round could overwrite
    kept = images.clone()
    assert not torch.equal(run(world, further), kept)
    assert torch.equal(images, kept)


def test_losses_fall_and_images_reach_their_atoms(world: World, problem: SynthesisProblem) -> None:
    log = KillAt()
    start = torch.stack([noise(k, 4, SIZE, 0) for k in problem.classes])
    config = replace(CONFIG, steps=60, min_crop=1.0, jitter=0.0)
    synthesize(world.teacher, replace(problem, start=start), config, world.machine, 0, flip=False, log=log)
    losses = [values["loss"] for values in log.seen]
    assert losses[-1] < 0.3 * losses[0]
    assert log.seen[-1]["feature"] < 0.3 * log.seen[0]["feature"]
    assert log.seen[-1]["loss"] == pytest.approx(log.seen[-1]["feature"] + log.seen[-1]["statistics"])


@pytest.mark.parametrize("crop_per_image", [True, False])
def test_seed_and_views_decide_the_images(world: World, problem: SynthesisProblem, crop_per_image: bool) -> None:
    config = replace(CONFIG, crop_per_image=crop_per_image)
    first, second, other = (run(world, problem, config, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert not torch.equal(first, run(world, problem, replace(config, crop_per_image=not crop_per_image)))


def test_weights_matter_only_where_they_are_asked_for(world: World, problem: SynthesisProblem) -> None:
    even = replace(problem, weights=torch.full_like(problem.weights, 1 / 4))
    assert torch.equal(run(world, problem), run(world, even))
    weighted = replace(CONFIG, weighted=True)
    assert not torch.allclose(run(world, problem, weighted), run(world, even, weighted))


def test_noise_is_of_its_class_and_seed() -> None:
    assert noise(3, 2, 8, 0).shape == (2, 3, 8, 8)
    assert torch.equal(noise(3, 2, 8, 0), noise(3, 2, 8, 0))
    assert not torch.equal(noise(3, 2, 8, 0), noise(4, 2, 8, 0))
    assert not torch.equal(noise(3, 2, 8, 0), noise(3, 2, 8, 1))
    many = noise(0, 50, 16, 0)
    assert abs(float(many.mean())) < 0.02
    assert abs(float(many.std()) - 1) < 0.02
