"""Networks by name."""

import difflib
from contextlib import suppress
from typing import Literal

import timm
import torch
from torch import nn

from wmdd.core.errors import ModelError
from wmdd.models.convnet import ConvNet3
from wmdd.models.stems import has_imagenet_stem, use_small_stem

Stem = Literal["small", "imagenet"]

CONVNET3 = "convnet3"
_SMALL_STEM_UP_TO = 64  # px: the published choice for Tiny-ImageNet


def default_arch(image_size: int) -> str:
    """The network taken when none is named: ``convnet3`` up to 32 px, else ``resnet18``."""
    return CONVNET3 if image_size <= 32 else "resnet18"


def resolve_stem(image_size: int) -> Stem:
    """The stem taken when none is named: ``small`` up to 64 px."""
    return "small" if image_size <= _SMALL_STEM_UP_TO else "imagenet"


def build_network(arch: str, num_classes: int, image_size: int, stem: Stem) -> nn.Module:
    """An untrained network ``[B, 3, S, S] -> logits [B, num_classes]``.

    ``arch`` is ``convnet3`` or any timm name; ``stem`` concerns networks that begin as an ImageNet ResNet does and no
    others. Weights are drawn from torch's global random state.

    Raises:
        ModelError: there is no such network, or it cannot take images of ``image_size``.
    """
    if arch == CONVNET3:
        return ConvNet3(num_classes)
    if not timm.is_model(arch):
        raise ModelError(f"there is no network {arch!r}{_suggestion(arch)}: name convnet3 or any of timm's networks.")
    network = _create(arch, num_classes, image_size)
    if stem == "small" and has_imagenet_stem(network):
        use_small_stem(network)
    return network


def _create(arch: str, num_classes: int, image_size: int) -> nn.Module:
    try:
        network: nn.Module = timm.create_model(arch, pretrained=False, num_classes=num_classes)
    except Exception as error:
        raise ModelError(f"timm cannot build {arch!r} for {num_classes} classes: {error}") from error
    # Transformers fix the number of patches when they are built; other networks take no such argument.
    if getattr(network, "patch_embed", None) is not None or _refusal(network, image_size):
        with suppress(Exception):
            network = timm.create_model(arch, pretrained=False, num_classes=num_classes, img_size=image_size)
        if reason := _refusal(network, image_size):
            raise ModelError(f"{arch!r} cannot take images of {image_size} px: {reason}.")
    return network


@torch.no_grad()
def _refusal(network: nn.Module, image_size: int) -> str:
    """Why the untrained ``network`` cannot take images of this size, or nothing."""
    try:
        network.eval()(torch.zeros(1, 3, image_size, image_size))
    except Exception as error:  # every network fails in a way of its own
        return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    finally:
        network.train()
    return ""


def _suggestion(arch: str) -> str:
    close = difflib.get_close_matches(arch, [CONVNET3, *timm.list_models()], n=1)
    return f" (did you mean {close[0]}?)" if close else ""
