"""ConvNet-D3 (arXiv 1804.09458), the small network of the dataset-distillation literature."""

from collections import OrderedDict

from torch import Tensor, nn

CONVNET3 = "convnet3"


class ConvNet3(nn.Module):
    """Three blocks of 3x3 convolution (128 channels), BatchNorm, ReLU and 2x2 average pooling, then global pooling.

    Input ``[B, C, S, S]`` with S >= 8, output logits ``[B, num_classes]``. The field's version feeds the whole last
    map to its classifier; pooling it makes the features the same width at every S, as in all other networks here.
    """

    def __init__(self, num_classes: int, width: int = 128, channels: int = 3) -> None:
        super().__init__()
        blocks: OrderedDict[str, nn.Module] = OrderedDict(
            (f"block{i}", _block(channels if i == 0 else width, width)) for i in range(3)
        )
        self.features = nn.Sequential(blocks)
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.classifier(self.pool(self.features(x)))
        return logits

    def get_classifier(self) -> nn.Module:
        """The last linear layer, by timm's name."""
        return self.classifier


def _block(channels: int, width: int) -> nn.Sequential:
    layers = OrderedDict(
        conv=nn.Conv2d(channels, width, 3, padding=1, bias=False),
        norm=nn.BatchNorm2d(width),
        act=nn.ReLU(inplace=True),
        pool=nn.AvgPool2d(2),
    )
    return nn.Sequential(layers)
