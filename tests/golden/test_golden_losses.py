"""Golden losses: the first steps of every stage on real digits, float64, one thread, fixed seed.

A refactor must reproduce them. Where a change of values is meant, run `python tests/golden/test_golden_losses.py` and
say in the commit why they changed.
"""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from wmdd.config import PROTOCOLS, BarycentersConfig, DataConfig, SynthesisConfig, TeacherConfig
from wmdd.core.types import Preprocessing
from wmdd.data import MemoryImages, load_images, open_source
from wmdd.models import Teacher, build_network
from wmdd.runtime.device import Machine
from wmdd.runtime.random import seeded
from wmdd.stages.barycenters import find_barycenters
from wmdd.stages.evaluation import online_labels, train_student
from wmdd.stages.relabel import label_epoch, plan_epoch
from wmdd.stages.statistics import collect_statistics
from wmdd.stages.synthesis import SynthesisProblem, noise, synthesize
from wmdd.stages.teacher import train_teacher

GOLDEN = Path(__file__).with_suffix(".json")
STEPS = 20
SIZE = 16
SEED = 7
MACHINE = Machine(torch.device("cpu"), "float64")


@dataclass
class Curve:
    """A log that keeps one value of each of the first steps."""

    values: list[float] = field(default_factory=list)

    def __call__(self, step: int, total: int, **values: float | Tensor) -> None:
        if len(self.values) < STEPS and values:
            self.values.append(float(values.get("loss", values.get("cost", 0.0))))


def measure() -> dict[str, list[float]]:
    """The curves of all stages, each fed by the one before."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _measure()
    finally:
        torch.set_num_threads(threads)


def _measure() -> dict[str, list[float]]:
    source = open_source(DataConfig())
    everything = load_images(source.train, SIZE, DataConfig(), MACHINE.device)
    chosen = torch.cat([(everything.labels == k).nonzero().squeeze(1)[:25] for k in range(4)])
    images = MemoryImages(everything.take(chosen), everything.labels[chosen])
    preprocessing = Preprocessing(SIZE)
    curves: dict[str, Curve] = {name: Curve() for name in ("teacher", "barycenters", "synthesis", "student")}

    with seeded(SEED, "teacher-weights"):
        network = build_network("convnet3", 4, SIZE, "small")
    config = TeacherConfig(epochs=4, batch_size=20)
    train_teacher(network, images, preprocessing, config, MACHINE, SEED, flip=False, log=curves["teacher"])
    teacher = Teacher(
        network, arch="convnet3", stem="small", preprocessing=preprocessing, class_names=("0", "1", "2", "3")
    )

    statistics = collect_statistics(teacher, images, range(4), MACHINE, 32)
    barycenters = find_barycenters(
        statistics, range(4), 3, BarycentersConfig(solver="uniform"), SEED, log=curves["barycenters"]
    )
    # Which atom comes first hangs on the sign of an eigenvector, and that on the machine; they weigh the same.
    order = barycenters.atoms[..., 0].argsort(dim=1)
    problem = SynthesisProblem(
        (0, 1, 2, 3),
        barycenters.atoms.gather(1, order[..., None].expand_as(barycenters.atoms)),
        barycenters.weights,
        statistics.moments,
        torch.stack([noise(k, 3, SIZE, SEED) for k in range(4)]),
    )
    pixels = synthesize(
        teacher, problem, SynthesisConfig(init="noise", steps=STEPS), MACHINE, SEED, flip=False, log=curves["synthesis"]
    )

    distilled = preprocessing.denormalize(pixels.flatten(0, 1))
    # The schedule when these losses were written.
    protocol = replace(PROTOCOLS["wmdd"], epochs=STEPS, lr=1e-3, warmup=0.0)
    labels, weights = torch.arange(4).repeat_interleave(3), torch.full((12,), 1 / 3)
    plans = [plan_epoch(protocol, epoch, 12, SIZE, SEED, flip=False) for epoch in range(protocol.epochs)]
    logits = torch.stack([label_epoch(teacher, distilled, plan, MACHINE, 5) for plan in plans])
    with seeded(SEED, "student-weights", 0):
        student = build_network("convnet3", 4, SIZE, "small")
    train_student(
        student,
        distilled,
        labels,
        weights,
        online_labels(teacher, MACHINE),
        protocol,
        plans.__getitem__,
        preprocessing,
        MACHINE,
        SEED,
        log=curves["student"],
    )
    return {
        **{name: curve.values for name, curve in curves.items()},
        "statistics": [
            float(value) for layer in statistics.moments.values() for part in layer for value in part.mean(1)
        ][:STEPS],
        "relabel": logits.double().square().mean(dim=(1, 2)).tolist(),
    }


@pytest.fixture(scope="module")
def measured() -> dict[str, list[float]]:
    return measure()


@pytest.mark.parametrize("stage", ["teacher", "statistics", "barycenters", "synthesis", "relabel", "student"])
def test_the_first_losses_are_the_golden_ones(stage: str, measured: dict[str, list[float]]) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))[stage]
    # Labels are kept in fp16; everything else is float64, where only the order of sums may differ between machines.
    tolerance = 1e-3 if stage == "relabel" else 1e-6
    assert measured[stage] == pytest.approx(golden, rel=tolerance)
    assert len(golden) == (4 if stage == "barycenters" else STEPS)


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(measure(), indent=1) + "\n", encoding="utf-8")
