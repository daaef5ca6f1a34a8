"""Where a network's features are: at the input of the last layer, which makes scores of them."""

from collections.abc import Iterable
from contextlib import ExitStack

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wmdd.core.errors import ModelError

_LINEAR = (nn.Linear, nn.Conv2d)


def find_classifiers(network: nn.Module, image: Tensor, name: str) -> tuple[nn.Module, ...]:
    """The layers whose inputs are the features of ``network``, which is in eval mode; ``image [1, C, S, S]`` is random.

    What timm's ``get_classifier`` names, where that is a linear layer or several (distilled transformers average two);
    otherwise the last linear layer or convolution to run, provided that its output is the network's.

    Raises:
        ModelError: there is no such layer.
    """
    told = _told(network)
    if len(told) > 1 or (told and isinstance(told[0], _LINEAR)):
        return told
    if (last := _last_linear(network, image)) is not None:
        return (last,)
    if not told:
        raise ModelError(
            f"{name} has no single classifier layer (its scores are not the output of its last linear layer), "
            "so its features cannot be observed."
        )
    return told


def as_features(entered: Iterable[Tensor]) -> Tensor:
    """What entered the classifiers, as ``[B, D]``: maps ``[B, C, H, W]`` pooled, several one beside the other.

    Of classifiers that share one input it counts once.
    """
    different: list[Tensor] = []
    for value in entered:
        if not any(value is other for other in different):
            different.append(value)
    rows = [_pooled(value).flatten(1) for value in different]
    return rows[0] if len(rows) == 1 else torch.cat(rows, dim=1)


def _told(network: nn.Module) -> tuple[nn.Module, ...]:
    named = network.get_classifier() if hasattr(network, "get_classifier") else None  # type: ignore[operator]
    layers = named if isinstance(named, tuple | list) else (named,)
    return tuple(layer for layer in layers if isinstance(layer, nn.Module))


@torch.no_grad()
def _last_linear(network: nn.Module, image: Tensor) -> nn.Module | None:
    ran: list[tuple[nn.Module, Tensor]] = []

    def note(layer: nn.Module, _: tuple[Tensor, ...], out: Tensor) -> None:
        ran.append((layer, out))

    with ExitStack() as hooks:
        for layer in network.modules():
            if isinstance(layer, _LINEAR):
                hooks.callback(layer.register_forward_hook(note).remove)
        logits = network(image)
    return ran[-1][0] if ran and _is_output(ran[-1][1], logits) else None


def _is_output(made: Tensor, logits: Tensor) -> bool:
    """Whether ``logits`` are what a layer made, pooled where it is a map, perhaps cut off at 0 (SqueezeNet does)."""
    readings = (_pooled(made), _pooled(F.relu(made)))
    return any(reading.shape == logits.shape and torch.allclose(reading, logits, atol=1e-5) for reading in readings)


def _pooled(value: Tensor) -> Tensor:
    return value.flatten(2).mean(2) if value.ndim == 4 else value
