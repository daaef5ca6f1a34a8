"""Networks of timm, whose import takes a second that the field's own ConvNet need not pay."""

import difflib
from collections.abc import Sequence
from contextlib import suppress

import timm
import torch
from torch import nn

from wmdd.core.errors import ModelError


def build_timm(
    arch: str, num_classes: int, image_size: int, channels: int = 3, others: Sequence[str] = ()
) -> nn.Module:
    """Timm's untrained ``arch`` for ``num_classes`` and images ``[channels, image_size, image_size]``.

    Raises:
        ModelError: there is no such network, neither in timm nor among the ``others`` that a caller knows, or it
            cannot take such images.
    """
    if not timm.is_model(arch):
        close = difflib.get_close_matches(arch, [*others, *timm.list_models()], n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        known = "".join(f"{name} or " for name in others)
        raise ModelError(f"there is no network {arch!r}{hint}: name {known}any of timm's networks.")
    return _create(arch, num_classes, image_size, channels)


def _create(arch: str, num_classes: int, image_size: int, channels: int) -> nn.Module:
    try:
        network: nn.Module = timm.create_model(arch, pretrained=False, num_classes=num_classes, in_chans=channels)
    except Exception as error:
        raise ModelError(f"timm cannot build {arch!r} for {num_classes} classes: {error}") from error
    # Transformers fix the number of patches when they are built; other networks take no such argument.
    if getattr(network, "patch_embed", None) is not None or _refusal(network, image_size, channels):
        with suppress(Exception):
            network = timm.create_model(
                arch, pretrained=False, num_classes=num_classes, in_chans=channels, img_size=image_size
            )
        if reason := _refusal(network, image_size, channels):
            raise ModelError(f"{arch!r} cannot take images of {image_size} px: {reason}.")
    return network


@torch.no_grad()
def _refusal(network: nn.Module, image_size: int, channels: int) -> str:
    """Why the untrained ``network`` cannot take images of this size, or nothing."""
    try:
        network.eval()(torch.zeros(1, channels, image_size, image_size))
    except Exception as error:  # every network fails in a way of its own
        return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    finally:
        network.train()
    return ""
