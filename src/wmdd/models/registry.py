"""Networks by name."""

from typing import Literal

from torch import nn

from wmdd.models.convnet import CONVNET3, ConvNet3
from wmdd.models.own import is_own, lent_network
from wmdd.models.stems import has_imagenet_stem, use_small_stem

Stem = Literal["small", "imagenet"]

_SMALL_STEM_UP_TO = 64  # px: the published choice for Tiny-ImageNet


def default_arch(image_size: int) -> str:
    """The network taken when none is named: ``convnet3`` up to 32 px, else ``resnet18``."""
    return CONVNET3 if image_size <= 32 else "resnet18"


def resolve_stem(image_size: int) -> Stem:
    """The stem taken when none is named: ``small`` up to 64 px."""
    return "small" if image_size <= _SMALL_STEM_UP_TO else "imagenet"


def build_network(arch: str, num_classes: int, image_size: int, stem: Stem, channels: int = 3) -> nn.Module:
    """An untrained network ``[B, C, S, S] -> logits [B, num_classes]``.

    ``arch`` is ``convnet3``, any timm name or ``torchvision:NAME``; or the name of a network object (see
    :mod:`wmdd.models.own`), which alone comes with its weights. ``stem`` concerns networks that begin as an ImageNet
    ResNet does and no others. Weights are drawn from torch's global random state.

    Raises:
        ModelError: there is no such network, or it cannot take images of ``image_size``.
    """
    if is_own(arch):
        return lent_network(arch).build(num_classes, image_size, channels)
    if arch == CONVNET3:
        return ConvNet3(num_classes, channels=channels)
    network = _of_a_library(arch, num_classes, image_size, channels)
    if stem == "small" and has_imagenet_stem(network):
        use_small_stem(network)
    return network


def _of_a_library(arch: str, num_classes: int, image_size: int, channels: int) -> nn.Module:
    # Imported here: both are slow to import.
    if arch.startswith("torchvision:"):
        from wmdd.models.torchvision_networks import build_torchvision

        return build_torchvision(arch, num_classes, image_size, channels)
    from wmdd.models.timm_networks import build_timm

    return build_timm(arch, num_classes, image_size, channels, (CONVNET3,))
