"""Trying a network out before hours of work hang on it."""

from pathlib import Path

import torch

from wmdd.core.errors import ModelError
from wmdd.core.types import Preprocessing
from wmdd.models.checkpoint import load_weights
from wmdd.models.registry import Stem, build_network
from wmdd.models.teacher import Teacher


def try_student(arch: str, num_classes: int, image_size: int, stem: Stem) -> None:
    """Build the network, which shows it one image.

    Raises:
        ModelError: there is no such network, or it cannot take images of this size.
    """
    with torch.random.fork_rng(devices=[]):
        build_network(arch, num_classes, image_size, stem)


def try_teacher(arch: str, num_classes: int, image_size: int, stem: Stem, checkpoint: Path | None) -> None:
    """Build the network, load ``checkpoint`` and observe one image.

    Raises:
        ModelError: as of :func:`try_student`; or the checkpoint does not fit, or the network cannot be observed.
    """
    with torch.random.fork_rng(devices=[]):
        network = build_network(arch, num_classes, image_size, stem)
    if checkpoint is not None:
        load_weights(network, checkpoint, arch)
    names = tuple(map(str, range(num_classes)))
    teacher = Teacher(network, arch=arch, stem=stem, preprocessing=Preprocessing(image_size), class_names=names)
    try:
        teacher.num_features()
    except Exception as error:  # a norm layer that runs twice, a classifier that does not run at all, ...
        reason = str(error).partition("\n")[0].rstrip(".")
        raise ModelError(f"{arch!r} cannot be observed ({reason}), so it cannot be the teacher: use another.") from error
