"""First layers of ResNets for small images.

A 7x7 stride-2 convolution and a max-pooling leave a 32 px image with an 8 px map before the first block. The small stem
is one 3x3 convolution of stride 1 and no pooling. (For Tiny-ImageNet arXiv 2311.18531 has 3x3 without pooling, too; in
its released code with stride 2.)
"""

from torch import nn


def has_imagenet_stem(network: nn.Module) -> bool:
    """Whether ``network`` begins as an ImageNet ResNet does: a strided ``conv1`` and a ``maxpool``."""
    conv, pool = getattr(network, "conv1", None), getattr(network, "maxpool", None)
    return isinstance(conv, nn.Conv2d) and conv.stride == (2, 2) and pool is not None


def use_small_stem(network: nn.Module) -> None:
    """Replace the stem of a ResNet in place: 3x3, stride 1, no pooling."""
    old = network.conv1
    assert isinstance(old, nn.Conv2d)
    new = nn.Conv2d(old.in_channels, old.out_channels, 3, stride=1, padding=1, bias=old.bias is not None)
    nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    network.conv1 = new
    network.maxpool = nn.Identity()
