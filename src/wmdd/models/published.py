"""Networks with the weights that timm or torchvision publish: nothing else here ever asks the internet."""

from dataclasses import dataclass

from torch import nn

from wmdd.core.errors import ModelError
from wmdd.models.checkpoint import load_state
from wmdd.models.convnet import CONVNET3
from wmdd.models.fitting import first_sentence


@dataclass(frozen=True)
class Published:
    """What published weights are for: so many classes, and inputs normalised with this mean and std."""

    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


def published(arch: str) -> Published:
    """What the published weights of ``arch`` are for; asks no network.

    Raises:
        ModelError: there is no such network, or it has no published weights.
    """
    if arch == CONVNET3:
        raise ModelError(f"{arch} has no published weights: name a network of timm or torchvision (--arch).")
    if _is_torchvision(arch):
        from wmdd.models.torchvision_networks import published_torchvision

        return Published(*published_torchvision(arch))
    from wmdd.models.timm_networks import published_timm

    return Published(*published_timm(arch))


def build_published(arch: str, num_classes: int, image_size: int, channels: int) -> nn.Module:
    """``arch`` with its published weights, fetched where no cache has them: ``[B, 3, S, S] -> logits [B, K]``.

    Raises:
        ModelError: there are no such weights, they are for other classes or images, or they cannot be reached.
    """
    known = published(arch).num_classes
    if num_classes != known:
        raise ModelError(
            f"the published weights of {arch!r} are for {known} classes, but the data have {num_classes}: leave "
            "teacher.pretrained off to train the network, or give a teacher.checkpoint for these classes."
        )
    if channels != 3:
        raise ModelError(
            f"the published weights of {arch!r} are for RGB images, but these have {channels} channel(s): leave "
            "teacher.pretrained off to train the network."
        )
    return _fetch(arch, num_classes, image_size)


def _fetch(arch: str, num_classes: int, image_size: int) -> nn.Module:
    if not _is_torchvision(arch):
        from wmdd.models.timm_networks import load_timm

        try:
            return load_timm(arch, num_classes, image_size)
        except ModelError:
            raise
        except Exception as error:
            raise _unreachable(arch, error) from error
    from wmdd.models.torchvision_networks import build_torchvision, fetch_torchvision

    network = build_torchvision(arch, num_classes, image_size)
    try:
        state = fetch_torchvision(arch)
    except Exception as error:
        raise _unreachable(arch, error) from error
    load_state(network, state, f"the file of published weights of {arch!r}", arch)
    return network


def _is_torchvision(arch: str) -> bool:
    return arch.startswith("torchvision:")


def _unreachable(arch: str, error: Exception) -> ModelError:
    return ModelError(
        f"the published weights of {arch!r} cannot be reached ({first_sentence(error)}): go online, or give their file "
        "as teacher.checkpoint without teacher.pretrained."
    )
