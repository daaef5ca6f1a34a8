"""Names of weights: what others call the tensors that a network knows by names of its own."""

import re
from collections.abc import Mapping

from torch import Tensor

_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")  # as in torchvision's published files
_VGG = {"classifier.0.": "pre_logits.fc1.", "classifier.3.": "pre_logits.fc2.", "classifier.6.": "head.fc."}
_TORCHVISION_ALONE = (
    "features.0.0.weight",  # MobileNet, EfficientNet, ConvNeXt, Swin
    "encoder.layers.encoder_layer_0.ln_1.weight",  # ViT
    "trunk_output.block1.block1-0.proj.0.weight",  # RegNet
    "stage2.0.branch1.0.weight",  # ShuffleNet
    "layers.0.weight",  # MNASNet
    "features.0.weight",  # VGG, SqueezeNet
)


def renamed(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``state`` under the names of ``expected``, as far as they are known to be the same weights.

    ``module.`` of a parallel wrapper goes; torchvision's DenseNets and VGGs become timm's (its ResNets are already);
    timm's VGG has convolutions where torchvision's has linear layers, with the same numbers.
    """
    named = {key if key in expected else key.removeprefix("module."): value for key, value in state.items()}
    named = {key if key in expected else _OLD_DENSENET.sub(r"\1\2", key): value for key, value in named.items()}
    if "pre_logits.fc1.weight" in expected:
        for theirs, ours in _VGG.items():
            for what in ("weight", "bias"):
                if theirs + what in named:
                    value, wanted = named.pop(theirs + what), expected[ours + what]
                    named[ours + what] = value.view(wanted.shape) if value.numel() == wanted.numel() else value
    return named


def look_like_torchvision(state: Mapping[str, Tensor]) -> bool:
    """Whether these are names that torchvision gives and timm does not."""
    keys = {key.removeprefix("module.") for key in state}
    return any(mark in keys for mark in _TORCHVISION_ALONE)
