"""What is observed inside a network: the inputs of its norm layers, and the features that enter its classifier."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from wmdd.core.errors import ModelError
from wmdd.core.types import Moments
from wmdd.models.moments import can_normalize, image_moments, normalize_with_moments

_OTHER_NORMS = ("layernorm", "rmsnorm", "simplenorm")


@contextmanager
def tap_input(layer: nn.Module, see: Callable[[Tensor], None]) -> Iterator[None]:
    """Hand the input of ``layer`` to ``see`` whenever the layer runs, while the context lasts."""

    def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        see(inputs[0])

    handle = layer.register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def tap_moments(layer: nn.Module, channel_dim: int, see: Callable[[Moments], None]) -> Iterator[None]:
    """Hand the per-image moments of what enters a norm layer to ``see``, while the context lasts."""
    if not can_normalize(layer):
        with tap_input(layer, lambda x: see(image_moments(x, channel_dim))):
            yield
        return

    def forward(x: Tensor) -> Tensor:
        out, moments = normalize_with_moments(x, cast(nn.BatchNorm2d, layer))
        see(moments)
        return out

    layer.forward = forward  # of this layer alone: its class keeps its own
    try:
        yield
    finally:
        del layer.forward


def norm_layers(network: nn.Module) -> dict[str, tuple[nn.Module, int]]:
    """The network's norm layers by name, each with the channel dimension of its input.

    Batch norm where there is any (the published choice), else layer, group and RMS norms.

    Raises:
        ModelError: the network has no norm layer.
    """
    found: dict[str, tuple[nn.Module, int]] = {
        name: (layer, 1) for name, layer in network.named_modules() if isinstance(layer, _BatchNorm)
    }
    if not found:
        found = {name: (layer, dim) for name, layer in network.named_modules() if (dim := _channel_dim(layer))}
    if not found:
        raise ModelError(
            f"{type(network).__name__} has no norm layers, so there are no statistics to match: use another network."
        )
    return found


def _channel_dim(layer: nn.Module) -> int:
    """1 or -1 for a norm layer, 0 for anything else; timm's norms of maps ``[B, C, H, W]`` have 2d in their names."""
    name = type(layer).__name__.lower()
    if isinstance(layer, nn.GroupNorm):
        return 1
    if isinstance(layer, nn.LayerNorm) or name.startswith(_OTHER_NORMS):
        return 1 if "2d" in name else -1
    return 0
