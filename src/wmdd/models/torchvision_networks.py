"""Networks of torchvision, by the name ``torchvision:NAME``."""

import difflib
from contextlib import suppress

import torchvision
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights, list_models

from wmdd.core.errors import ModelError
from wmdd.models.fitting import first_sentence, refusal

PREFIX = "torchvision:"
_SEVERAL_OUTPUTS = ("googlenet", "inception_v3")  # in training: no single loss is made of them here


def torchvision_names() -> list[str]:
    """The networks that can be named, without the prefix."""
    return [name for name in list_models(module=torchvision.models) if name not in _SEVERAL_OUTPUTS]


def build_torchvision(arch: str, num_classes: int, image_size: int, channels: int = 3) -> nn.Module:
    """Torchvision's untrained ``arch`` for ``num_classes`` and images ``[channels, image_size, image_size]``.

    Raises:
        ModelError: there is no such network, or it cannot take such images.
    """
    name = _known(arch)
    network = _create(name, num_classes, channels)
    if reason := refusal(network, image_size, channels):
        with suppress(Exception):  # transformers fix the size when they are built; others take no such argument
            network = _create(name, num_classes, channels, image_size=image_size)
            reason = refusal(network, image_size, channels)
    if reason:
        raise ModelError(f"{arch!r} cannot take images of {image_size} px: {reason}.")
    return network


def published_torchvision(arch: str) -> tuple[int, tuple[float, ...], tuple[float, ...]]:
    """What the published weights of ``arch`` are for: the number of classes, and mean and std of the input.

    Raises:
        ModelError: there is no such network.
    """
    weights = get_model_weights(_known(arch)).DEFAULT
    shown = weights.transforms()
    return len(weights.meta["categories"]), tuple(shown.mean), tuple(shown.std)


def fetch_torchvision(arch: str) -> dict[str, Tensor]:
    """The published weights of ``arch``, from torch's cache or else the network.

    Raises:
        OSError: they cannot be reached.
    """
    state: dict[str, Tensor] = get_model_weights(_known(arch)).DEFAULT.get_state_dict(
        progress=False, check_hash=True, weights_only=True
    )
    return state


def _known(arch: str) -> str:
    name, names = arch.removeprefix(PREFIX), torchvision_names()
    if name in _SEVERAL_OUTPUTS:
        raise ModelError(f"{arch!r} has several outputs in training, which are not supported: name another network.")
    if name not in names:
        near = " or ".join(PREFIX + close for close in difflib.get_close_matches(name, names, n=2))
        hint = f" (did you mean {near}?)" if near else ""
        raise ModelError(f"there is no network {arch!r}{hint}: name one of torchvision's image classifiers.")
    return name


def _create(name: str, num_classes: int, channels: int, **size: int) -> nn.Module:
    try:
        network: nn.Module = get_model(name, weights=None, num_classes=num_classes, **size)
    except Exception as error:
        raise ModelError(
            f"torchvision cannot build {name!r} for {num_classes} classes: {first_sentence(error)}."
        ) from error
    if channels != 3:
        _take_channels(network, channels)
    return network


def _take_channels(network: nn.Module, channels: int) -> None:
    """Exchange the first convolution for one of as many input channels, drawn anew."""
    for name, old in network.named_modules():
        if isinstance(old, nn.Conv2d):
            new = nn.Conv2d(
                channels,
                old.out_channels,
                old.kernel_size,  # type: ignore[arg-type]
                old.stride,  # type: ignore[arg-type]
                old.padding,  # type: ignore[arg-type]
                bias=old.bias is not None,
            )
            nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
            network.set_submodule(name, new)
            return
