"""Residual branches that take part from the first step."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def open_residual_branches(network: nn.Module) -> None:
    """Set to 1, in place, every scale of a batch or group norm that is 0 for all of its channels.

    Timm begins a ResNet with the last scale of each residual branch at 0 (arXiv 1706.02677, section 5.1), torchvision,
    whose networks published figures come from, at 1. A student of a few hundred steps cannot make up for that: AdamW
    moves a scale by no more than about the sum of its learning rates, a few tenths.
    """
    for module in network.modules():
        if isinstance(module, (_BatchNorm, nn.GroupNorm)) and module.affine and not module.weight.any():
            nn.init.ones_(module.weight)
