"""The teacher's network before any training."""

from pathlib import Path
from typing import Literal

from torch import nn

from wmdd.models.checkpoint import load_weights
from wmdd.models.published import build_published
from wmdd.models.registry import Stem, build_network

Weights = Path | Literal["published"] | None
"""Those of a file, the published ones, or none."""


def initial_teacher(
    arch: str, num_classes: int, image_size: int, stem: Stem, channels: int, weights: Weights
) -> nn.Module:
    """The network as it is before any training: untrained, or with the ``weights`` of a file or the published ones.

    Raises:
        ModelError: there is no such network, or the weights do not fit or cannot be reached.
    """
    if weights == "published":
        return build_published(arch, num_classes, image_size, channels)
    network = build_network(arch, num_classes, image_size, stem, channels)
    if weights is not None:
        load_weights(network, weights, arch)
    return network
