"""Every stage on a GPU, in float32 and bfloat16: it runs, agrees with the CPU, and repeats itself."""

from copy import deepcopy
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor

from wmdd.config import PROTOCOLS, BarycentersConfig, DataConfig, SynthesisConfig, TeacherConfig
from wmdd.core.types import ClassStatistics, Preprocessing
from wmdd.data import Images, ImageSource, load_images, open_source
from wmdd.models import Teacher, build_network
from wmdd.runtime.device import Machine, Precision, default_device, default_precision, open_machine
from wmdd.runtime.random import seeded
from wmdd.runtime.usage import machine_name, measured
from wmdd.stages.barycenters import find_barycenters
from wmdd.stages.evaluation import online_labels, stored_labels, train_student
from wmdd.stages.relabel import label_epoch, plan_epoch
from wmdd.stages.scoring import score
from wmdd.stages.statistics import collect_statistics
from wmdd.stages.synthesis import SynthesisProblem, noise, synthesize
from wmdd.stages.teacher import train_teacher

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and torch finds none"),
]

SIZE = 32
DEVICE = "cuda"
CPU = Machine(torch.device("cpu"), "float32")


@pytest.fixture(scope="module")
def source() -> ImageSource:
    return open_source(DataConfig())


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def machine(request: pytest.FixtureRequest) -> Machine:
    precision: Precision = request.param
    return open_machine(DEVICE, precision, torch.get_num_threads())


@pytest.fixture(scope="module")
def train(source: ImageSource, machine: Machine) -> Images:
    return load_images(source.train, SIZE, DataConfig(), machine.device)


def a_teacher(train: Images, machine: Machine, epochs: int = 2) -> Teacher:
    with seeded(0, "gpu-test"):
        network = build_network("convnet3", 10, SIZE, "small")
    train_teacher(network, train, Preprocessing(SIZE), TeacherConfig(epochs=epochs), machine, 0, flip=False)
    return Teacher(
        network, arch="convnet3", stem="small", preprocessing=Preprocessing(SIZE), class_names=tuple("0123456789")
    )


@pytest.fixture(scope="module")
def teacher(train: Images, machine: Machine) -> Teacher:
    return a_teacher(train, machine)


@pytest.fixture(scope="module")
def statistics(teacher: Teacher, train: Images, machine: Machine) -> ClassStatistics:
    return collect_statistics(teacher, train, range(10), machine, 256)


def on_the_cpu(teacher: Teacher) -> Teacher:
    return Teacher(
        CPU.place(deepcopy(teacher.network)),
        arch=teacher.arch,
        stem=teacher.stem,
        preprocessing=teacher.preprocessing,
        class_names=teacher.class_names,
    )


def test_the_device_is_the_default_and_has_a_name(machine: Machine) -> None:
    assert default_device() == DEVICE
    assert default_precision(DEVICE) in ("bfloat16", "float32")
    assert machine_name(machine.device, 1).endswith("1 CPU threads")
    with measured(machine.device) as usage:
        block = torch.ones(25_000_000, device=machine.device)
        del block
    assert usage.peak_mb >= 100


def test_the_teacher_learns(teacher: Teacher, source: ImageSource, machine: Machine) -> None:
    assert {parameter.device.type for parameter in teacher.network.parameters()} == {DEVICE}
    validation = load_images(source.validation, SIZE, DataConfig(), machine.device)
    assert score(teacher.network, validation, 10, teacher.preprocessing, machine, 256).top1 > 70


def test_statistics_are_those_of_the_cpu(
    teacher: Teacher, statistics: ClassStatistics, source: ImageSource, machine: Machine
) -> None:
    here = load_images(source.train, SIZE, DataConfig(), CPU.device)
    expected = collect_statistics(on_the_cpu(teacher), here, range(10), CPU, 100)
    assert statistics.features.device.type == "cpu"
    assert torch.equal(statistics.index, expected.index)
    for name, moments in expected.moments.items():
        for found, wanted in zip(statistics.moments[name], moments, strict=True):
            assert found.device.type == "cpu"
            assert float((found - wanted).norm() / wanted.norm()) < 1e-3, name
    assert float((statistics.features - expected.features).norm() / expected.features.norm()) < 1e-3


def a_problem(statistics: ClassStatistics) -> SynthesisProblem:
    classes = (1, 4, 7)
    found = find_barycenters(statistics, classes, 5, BarycentersConfig(solver="exact"), 0)
    moments = {name: type(m)(*(part[list(classes)] for part in m)) for name, m in statistics.moments.items()}
    start = torch.stack([noise(k, 5, SIZE, 0) for k in classes])
    return SynthesisProblem(classes, found.atoms, found.weights, moments, start)


@pytest.mark.parametrize("batch_size", [100, 7])
def test_images_are_the_same_again(
    teacher: Teacher, statistics: ClassStatistics, machine: Machine, batch_size: int
) -> None:
    problem = a_problem(statistics)
    config = SynthesisConfig(steps=20, weighted=True, cross_entropy=0.1, batch_size=batch_size, jitter=0.1)
    losses: list[float] = []

    def log(step: int, total: int, **values: float | Tensor) -> None:
        losses.append(float(values["loss"]))

    first, second = (synthesize(teacher, problem, config, machine, 0, flip=True, log=log) for _ in range(2))
    assert first.device.type == DEVICE
    assert first.isfinite().all()
    assert losses[19] < losses[0]
    images = [teacher.preprocessing.denormalize(found) for found in (first, second)]
    assert torch.equal(*images)
    assert losses[:20] == losses[20:]


def test_images_are_those_of_the_cpu(teacher: Teacher, statistics: ClassStatistics, machine: Machine) -> None:
    if machine.precision != "float32":
        pytest.skip("bfloat16 rounds differently on every device")
    problem = a_problem(statistics)
    config = SynthesisConfig(steps=3)
    found = synthesize(teacher, problem, config, machine, 0, flip=True).cpu()
    expected = synthesize(on_the_cpu(teacher), problem, config, CPU, 0, flip=True)
    assert float((found - expected).abs().mean()) < 0.01  # Adam's first steps are signs: a few pixels may differ


def test_labels_and_students(teacher: Teacher, train: Images, machine: Machine) -> None:
    protocol = replace(PROTOCOLS["wmdd"], epochs=3, batch_size=10)
    count = 40
    images, labels = train.take(torch.arange(count)), train.labels[:count]
    plan = partial(plan_epoch, protocol, count=count, size=SIZE, seed=0, flip=False)

    def views(epoch: int) -> object:
        return plan(epoch)

    whole, parts = (
        torch.stack([label_epoch(teacher, images, plan(epoch), machine, size) for epoch in range(3)])
        for size in (100, 7)
    )
    assert whole.device.type == "cpu"
    assert whole.dtype == torch.float16
    tolerance = 0.05 if machine.precision == "bfloat16" else 5e-3
    assert float((whole.float() - parts.float()).norm() / whole.float().norm()) < tolerance
    expected = label_epoch(on_the_cpu(teacher), images.cpu(), plan(0), CPU, 100)
    assert float((whole[0].float() - expected.float()).norm() / expected.float().norm()) < tolerance

    def student(source: object) -> tuple[list[float], Tensor]:
        with seeded(1, "gpu-test"):
            network = build_network("convnet3", 10, SIZE, "small")
        losses: list[float] = []

        def log(step: int, total: int, **values: float | Tensor) -> None:
            losses.append(float(values["loss"]))

        trained = train_student(
            network,
            images,
            labels,
            torch.full((count,), 0.25),
            source,  # type: ignore[arg-type]
            protocol,
            views,  # type: ignore[arg-type]
            teacher.preprocessing,
            machine,
            0,
            log=log,
        )
        return losses, trained.state_dict()["classifier.weight"]

    stored, weights = student(stored_labels(whole))
    online, _ = student(online_labels(teacher, machine))
    assert len(stored) == 3 * 4
    assert weights.device.type == DEVICE
    assert weights.isfinite().all()
    assert stored == pytest.approx(online, rel=0.1)
    assert stored[-1] < stored[0]
