"""The network that observes, labels and is matched."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval

from wmdd.config.settings import Count, Fraction, NonNegative, Positive, setting


@dataclass(frozen=True)
class TeacherConfig:
    """Settings of the teacher and of its training (SGD with Nesterov momentum, cosine schedule)."""

    arch: str = setting(
        "auto",
        "any timm network, torchvision:NAME, or convnet3; auto: convnet3 up to 32 px, else resnet18",
        flag="arch",
    )
    stem: Literal["auto", "small", "imagenet"] = setting(
        "auto", "first layers of ResNets: small (3x3, no pooling; auto up to 64 px) or imagenet (7x7/2 and pooling)"
    )
    checkpoint: str | None = setting(
        None, "weights to load instead of training (.safetensors, or .pt of plain tensors)"
    )
    pretrained: bool = setting(
        False,
        "fetch the weights that timm or torchvision publish, for these very classes, instead of training",
    )
    epochs: Count = setting(20, "passes over the training data", flag="teacher-epochs")
    batch_size: Count = setting(64, "images per step")
    lr: Positive = setting(0.05, "peak learning rate")
    momentum: Annotated[float, Interval(ge=0, lt=1)] = setting(0.9, "SGD momentum")
    nesterov: bool = setting(True, "Nesterov's form of momentum")
    weight_decay: NonNegative = setting(5e-4, "L2 penalty")
    warmup: Annotated[float, Interval(ge=0, lt=1)] = setting(0.1, "share of the steps over which lr rises to its peak")
    min_crop: Fraction = setting(0.3, "smallest area of a random resized crop")

    def __post_init__(self) -> None:
        if self.nesterov and self.momentum == 0:
            raise ValueError("teacher.nesterov needs a teacher.momentum above 0: set teacher.nesterov to false")
