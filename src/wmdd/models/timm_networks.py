"""Networks of timm, whose import takes a second that the field's own ConvNet need not pay."""

import difflib
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import timm
from torch import nn

from wmdd.core.errors import ModelError
from wmdd.models.fitting import first_sentence, refusal
from wmdd.models.residual_branches import open_residual_branches
from wmdd.models.torchvision_networks import torchvision_names


def build_timm(
    arch: str, num_classes: int, image_size: int, channels: int = 3, others: Sequence[str] = ()
) -> nn.Module:
    """Timm's untrained ``arch`` for ``num_classes`` and images ``[channels, image_size, image_size]``.

    Its residual branches begin open, as those of torchvision's networks do.

    Raises:
        ModelError: there is no such network, neither in timm nor among the ``others`` that a caller knows, or it
            cannot take such images.
    """
    _require_known(arch, others)
    network = _create(arch, num_classes, image_size, channels)
    open_residual_branches(network)
    return network


def published_timm(arch: str) -> tuple[int, tuple[float, ...], tuple[float, ...]]:
    """What the published weights of ``arch`` are for: the number of classes, and mean and std of the input.

    Raises:
        ModelError: there is no such network, or it has no published weights.
    """
    _require_known(arch)
    try:
        weights = timm.get_pretrained_cfg(arch)
    except RuntimeError as error:  # the name before the dot is known, what follows is not
        raise ModelError(f"timm has no published weights {arch!r}: {first_sentence(error)}.") from error
    if weights is None or not weights.has_weights:
        raise ModelError(f"timm has no published weights of {arch!r}: leave teacher.pretrained off to train it.")
    return weights.num_classes, tuple(weights.mean), tuple(weights.std)


def load_timm(arch: str, num_classes: int, image_size: int) -> nn.Module:
    """``arch`` with its published weights for ``num_classes``, from the cache or else the network.

    Raises:
        ModelError: the network cannot take images of that size.
        Exception: of timm's and its libraries' many kinds: the weights cannot be reached.
    """
    build_timm(arch, num_classes, image_size)
    return _create(arch, num_classes, image_size, 3, pretrained=True)


def _require_known(arch: str, others: Sequence[str] = ()) -> None:
    if not timm.is_model(arch):
        close = [f"torchvision:{arch}"] if arch in torchvision_names() else []
        close += difflib.get_close_matches(arch, [*others, *timm.list_models()], n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        known = "".join(f"{name}, " for name in others)
        raise ModelError(
            f"there is no network {arch!r}{hint}: name {known}any of timm's networks, or torchvision:NAME."
        )


def _create(arch: str, num_classes: int, image_size: int, channels: int, *, pretrained: bool = False) -> nn.Module:
    try:
        network = _timm(arch, num_classes, channels, pretrained)
    except Exception as error:
        if pretrained:
            raise
        raise ModelError(f"timm cannot build {arch!r} for {num_classes} classes: {error}") from error
    # Transformers fix the number of patches when they are built; other networks take no such argument.
    if getattr(network, "patch_embed", None) is not None or refusal(network, image_size, channels):
        with suppress(Exception):
            network = _timm(arch, num_classes, channels, pretrained, img_size=image_size)
        if reason := refusal(network, image_size, channels):
            raise ModelError(f"{arch!r} cannot take images of {image_size} px: {reason}.")
    return network


def _timm(arch: str, num_classes: int, channels: int, pretrained: bool, **size: Any) -> nn.Module:
    network: nn.Module = timm.create_model(
        arch, pretrained=pretrained, num_classes=num_classes, in_chans=channels, **size
    )
    return network
