"""Trying a network out before hours of work hang on it."""

import torch
from torch import nn

from wmdd.core.errors import ModelError
from wmdd.core.types import Preprocessing
from wmdd.models.initial import Weights, initial_teacher
from wmdd.models.own import is_own
from wmdd.models.registry import Stem, build_network
from wmdd.models.teacher import Teacher


def try_student(arch: str, num_classes: int, image_size: int, stem: Stem, channels: int) -> None:
    """Build the network, which shows it one image.

    Raises:
        ModelError: there is no such network, or it cannot take images of this size.
    """
    with torch.random.fork_rng(devices=[]):
        build_network(arch, num_classes, image_size, stem, channels)


def try_teacher(
    arch: str,
    num_classes: int,
    image_size: int,
    stem: Stem,
    channels: int,
    weights: Weights,
    smallest_batch: int,
) -> None:
    """Build the network, load its ``weights`` or see whether it can be trained, and observe one image.

    Raises:
        ModelError: as of :func:`try_student`; or the weights do not fit or cannot be reached, the network cannot be
            trained on batches as small as ``smallest_batch``, or it cannot be observed.
    """
    with torch.random.fork_rng(devices=[]):
        network = initial_teacher(arch, num_classes, image_size, stem, channels, weights)
        if weights is None and not is_own(arch) and smallest_batch == 1:
            _train_on_one(network, arch, image_size, channels)
    names = tuple(map(str, range(num_classes)))
    any_values = Preprocessing(image_size, (0.5,) * channels, (0.5,) * channels)
    try:
        teacher = Teacher(network, arch=arch, stem=stem, preprocessing=any_values, class_names=names)
        _observe_two(teacher)
    except ModelError:
        raise
    except Exception as error:  # a norm layer that runs twice, a classifier that does not run at all, ...
        reason = str(error).partition("\n")[0].rstrip(".")
        raise ModelError(
            f"{arch!r} cannot be observed ({reason}), so it cannot be the teacher: use another."
        ) from error


@torch.no_grad()
def _observe_two(teacher: Teacher) -> None:
    """Two images must give two rows of features and of moments, of as many channels as a norm layer has weights."""
    weights = dict(teacher.network.named_parameters())
    blank = teacher.preprocessing.blank(next(iter(weights.values())).dtype, torch.device("cpu"))
    seen = teacher.observe(blank.repeat(2, 1, 1, 1))
    for name, (mean, _) in seen.moments.items():
        width = weights[f"{name}.weight"].numel() if f"{name}.weight" in weights else mean.shape[1]
        if mean.shape != (2, width):
            raise ModelError(
                f"{teacher.arch!r} cannot be observed (norm layer {name} sees images in a layout that is not known), "
                "so it cannot be the teacher: use another."
            )
    assert len(seen.features) == 2, f"{teacher.arch} folds images"


def _train_on_one(network: nn.Module, arch: str, image_size: int, channels: int) -> None:
    try:
        network.train()(torch.zeros(1, channels, image_size, image_size))
    except ValueError as error:  # a batch norm has nothing to normalise over where a map is a single pixel
        raise ModelError(
            f"{arch!r} cannot be trained on a batch of one image of {image_size} px, which some batches are: "
            "raise teacher.batch_size."
        ) from error
