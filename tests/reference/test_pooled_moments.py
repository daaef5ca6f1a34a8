"""Moments pooled batch by batch against one batch of the whole class, computed literally."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from wmdd.config import DataConfig, TeacherConfig
from wmdd.core.types import Preprocessing
from wmdd.data import MemoryImages, load_images, open_source
from wmdd.models import Teacher, build_network
from wmdd.models.convnet import ConvNet3
from wmdd.runtime.device import Machine, Precision
from wmdd.runtime.random import seeded
from wmdd.stages.statistics import collect_statistics
from wmdd.stages.teacher import train_teacher

CLASSES = (3, 7)


def some(images: MemoryImages, count: int) -> MemoryImages:
    """The first ``count`` images of class 3, somewhat more of class 7, and others that must not be counted."""
    rows = torch.cat([(images.labels == k).nonzero().squeeze(1)[: count + k] for k in (3, 7, 1)])
    rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]
    return MemoryImages(images.pixels[rows], images.labels[rows])


def a_teacher(arch: str, machine: Machine) -> Teacher:
    with seeded(0, "test", arch):
        network = machine.place(build_network(arch, 10, 32, "small"))
    return Teacher(network, arch=arch, stem="small", preprocessing=Preprocessing(32), class_names=tuple("0123456789"))


@contextmanager
def norm_inputs(network: nn.Module) -> Iterator[dict[str, Tensor]]:
    """What enters each norm layer, by hooks of our own: ``[B, C, H, W]`` or ``[B, N, C]`` as ``[B, P, C]``."""
    seen: dict[str, Tensor] = {}
    handles = []
    for name, layer in network.named_modules():
        if isinstance(layer, nn.BatchNorm2d):

            def keep(_: nn.Module, inputs: tuple[Tensor, ...], name: str = name) -> None:
                seen[name] = inputs[0].flatten(2).transpose(1, 2).double()
        elif isinstance(layer, nn.LayerNorm):

            def keep(_: nn.Module, inputs: tuple[Tensor, ...], name: str = name) -> None:
                seen[name] = inputs[0].double()
        else:
            continue
        handles.append(layer.register_forward_pre_hook(keep))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def whole_class(teacher: Teacher, images: MemoryImages, k: int, machine: Machine) -> tuple[dict[str, Tensor], Tensor]:
    """The norm layers' inputs ``[n_k, P, C]``, and the features' product with the classifier: the logits."""
    batch = images.pixels[images.labels == k]
    with norm_inputs(teacher.network) as seen:
        logits = teacher.network(teacher.preprocessing.normalize(batch, machine.dtype))
    return seen, logits


def off(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected).norm() / expected.norm())


@pytest.mark.parametrize(
    ("arch", "precision", "layers", "count", "batch_sizes"),
    [
        ("convnet3", "float64", 3, 20, (1, 7, 20, 1000)),
        ("convnet3", "float32", 3, 20, (1, 7, 20, 1000)),
        ("resnet18", "float64", 20, 4, (7,)),
        ("resnet18", "float32", 20, 4, (1, 7, 20, 1000)),
        ("vit_tiny_patch16_224", "float64", 25, 20, (7,)),
        ("vit_tiny_patch16_224", "float32", 25, 20, (1, 7, 20, 1000)),
    ],
)
def test_pooled_moments_are_those_of_the_whole_class_in_one_batch(
    digits32: MemoryImages, arch: str, precision: Precision, layers: int, count: int, batch_sizes: tuple[int, ...]
) -> None:
    machine = Machine(torch.device("cpu"), precision)
    teacher, images = a_teacher(arch, machine), some(digits32, count)
    whole = [whole_class(teacher, images, k, machine) for k in CLASSES]
    tolerance = 1e-5 if precision == "float32" else 1e-11
    for batch_size in batch_sizes:
        found = collect_statistics(teacher, images, CLASSES, machine, batch_size)
        assert found.counts.tolist() == [count + 3, count + 7]
        assert len(found.moments) == layers
        for g, k in enumerate(CLASSES):
            inputs, logits = whole[g]
            assert set(inputs) == set(found.moments)
            for name, values in inputs.items():
                var, mean = torch.var_mean(values, dim=(0, 1), correction=0)
                assert off(found.moments[name].mean[g], mean) < tolerance, (arch, batch_size, k, name)
                assert off(found.moments[name].var[g], var) < tolerance, (arch, batch_size, k, name)
            assert torch.equal(images.labels[found.index_of(k)], torch.full((count + k,), k))
            classifier = teacher.network.get_classifier()
            again = classifier(found.features_of(k).to(machine.dtype))
            expected = logits[torch.argsort(torch.argsort(found.index_of(k)))]
            torch.testing.assert_close(again, expected, rtol=1e-3, atol=1e-5)


def test_the_order_of_classes_is_that_asked_for(digits32: MemoryImages) -> None:
    machine = Machine(torch.device("cpu"), "float64")
    teacher, images = a_teacher("convnet3", machine), some(digits32, 5)
    both, one = (collect_statistics(teacher, images, classes, machine, 6) for classes in ((7, 3), (3,)))
    assert both.classes == (7, 3)
    assert both.counts.tolist() == [12, 8]
    for name, (mean, var) in one.moments.items():
        torch.testing.assert_close(both.moments[name].mean[1], mean[0])
        torch.testing.assert_close(both.moments[name].var[1], var[0])
    torch.testing.assert_close(both.features_of(3), one.features_of(3))


def test_the_mean_of_batch_variances_understates_by_more_than_half_a_percent() -> None:
    """What merging without the between-batch term gives (the reference implementation): why pooling is needed."""
    machine = Machine(torch.device("cpu"), "float64")
    digits = load_images(open_source(DataConfig()).train, 16, DataConfig(), machine.device)
    with seeded(0, "test"):
        network = ConvNet3(10, width=16)
    train_teacher(network, digits, Preprocessing(16), TeacherConfig(epochs=2), machine, 0, flip=False)
    teacher = Teacher(network, arch="c", stem="small", preprocessing=Preprocessing(16), class_names=tuple("0123456789"))
    for k in (0, 1, 7):
        rows = (digits.labels == k).nonzero().squeeze(1)[:100]
        mine = MemoryImages(digits.take(rows), digits.labels[rows])
        pooled = collect_statistics(teacher, mine, (k,), machine, 10).moments
        inputs, _ = whole_class(teacher, mine, k, machine)
        errors = []
        for name, values in inputs.items():
            truth = values.var(dim=(0, 1), correction=0)
            naive = torch.stack([batch.var(dim=(0, 1), correction=0) for batch in values.split(10)]).mean(dim=0)
            assert (naive <= truth * (1 + 1e-12)).all()
            assert off(pooled[name].var[0], truth) < 1e-11
            errors.append(off(naive, truth))
        # Images of a class differ little in the mean of their pixels, and more the deeper one looks.
        assert errors[-1] > 0.02
        assert sum(errors) / len(errors) > 0.005
