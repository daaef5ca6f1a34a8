"""A distilled set from a teacher of every family of networks, by names of timm and of torchvision, at 32 px."""

from pathlib import Path

import numpy as np
import pytest
import timm.models
import torch
from torch import nn

import wmdd
from wmdd.pipeline.artifacts import load_teacher
from wmdd.pipeline.run_directory import RunDirectory

SETTINGS = {
    "data.image_size": 32,
    "teacher.epochs": 1,
    "teacher.batch_size": 6,
    "teacher.lr": 0.02,
    "synthesis.steps": 2,
    "evaluation.students": ["convnet3"],
    "evaluation.seeds": [0],
    "evaluation.epochs": 1,
    "evaluation.random_real": False,
    "runtime.precision": "float32",
    "runtime.threads": 1,
}


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 40 noisy images, each bright in a channel of its own."""
    draw = np.random.default_rng(0)
    labels = np.arange(120) % 3
    images = draw.integers(0, 60, (120, 32, 32, 3), dtype=np.uint8)
    images[np.arange(120), :, :, labels] += 180
    file = tmp_path_factory.mktemp("data") / "colours.npz"
    np.savez(file, images=images, labels=labels)
    return file


@pytest.fixture(scope="module", autouse=True)
def narrow_networks() -> None:
    """timm's VGG and Swin, narrow: those that it has names for have 28 to 140 million weights."""

    def narrow_vgg_bn(pretrained: bool = False, **settings: object) -> nn.Module:
        layers = [8, "M", 16, "M", 32, "M"]
        return timm.models.VGG(cfg=layers, norm_layer=nn.BatchNorm2d, mlp_ratio=0.02, **_plain(settings))

    def narrow_swin(pretrained: bool = False, **settings: object) -> nn.Module:
        sizes = {"embed_dim": 24, "depths": (1, 1), "num_heads": (2, 2), "window_size": 4, "patch_size": 4}
        return timm.models.SwinTransformer(**sizes, **_plain(settings))

    for build, home in ((narrow_vgg_bn, "vgg"), (narrow_swin, "swin_transformer")):
        build.__module__ = f"timm.models.{home}"  # where timm's registry looks
        timm.models.register_model(build)


def _plain(settings: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in settings.items() if name in ("num_classes", "in_chans", "img_size")}


@pytest.mark.parametrize(
    ("arch", "epochs"),
    [
        ("test_resnet", 1),
        ("narrow_vgg_bn", 4),
        ("mobilenetv3_small_050", 6),
        ("test_efficientnet", 3),
        ("densenet121", 2),
        ("test_convnext", 1),
        ("test_vit", 1),
        ("narrow_swin", 1),
        ("torchvision:shufflenet_v2_x0_5", 6),
        ("torchvision:resnet18", 1),
    ],
)
def test_a_teacher_of_every_family(arch: str, epochs: int, colours: Path, tmp_path: Path) -> None:
    made = wmdd.distill(
        colours, tmp_path / "run", ipc=1, settings=SETTINGS | {"teacher.arch": arch, "teacher.epochs": epochs}
    )
    assert made.images.shape == (3, 3, 32, 32)
    means = made.images.double().mean((2, 3))
    assert means.argmax(1).tolist() == [0, 1, 2]  # they are of their classes
    teacher = load_teacher(RunDirectory(tmp_path / "run"))
    assert teacher.arch == arch
    with torch.no_grad():
        seen = teacher.observe(teacher.preprocessing.normalize(made.images))
    assert seen.moments
    assert seen.logits.shape == (3, 3)
