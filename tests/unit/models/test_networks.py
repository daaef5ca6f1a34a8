"""Networks by name, their stems and shapes."""

import pytest
import timm
import torch
from torch import nn

from wmdd.core.errors import ModelError
from wmdd.models import build_network, default_arch, norm_layers, resolve_stem
from wmdd.models.convnet import ConvNet3
from wmdd.models.stems import has_imagenet_stem
from wmdd.runtime.random import seeded


@pytest.mark.parametrize(("size", "arch"), [(8, "convnet3"), (32, "convnet3"), (33, "resnet18"), (224, "resnet18")])
def test_the_default_network(size: int, arch: str) -> None:
    assert default_arch(size) == arch


@pytest.mark.parametrize(("size", "stem"), [(8, "small"), (64, "small"), (65, "imagenet"), (224, "imagenet")])
def test_the_default_stem(size: int, stem: str) -> None:
    assert resolve_stem(size) == stem


@torch.no_grad()
def test_the_small_stem_keeps_every_pixel() -> None:
    network = build_network("resnet18", 10, 32, "small").eval()
    conv = network.conv1
    assert isinstance(conv, nn.Conv2d)
    assert (conv.kernel_size, conv.stride, conv.padding) == ((3, 3), (1, 1), (1, 1))
    assert isinstance(network.maxpool, nn.Identity)
    assert not has_imagenet_stem(network)
    x = torch.rand(2, 3, 32, 32)
    stem = nn.Sequential(network.conv1, network.bn1, network.act1, network.maxpool)  # type: ignore[arg-type]
    assert stem(x).shape == (2, 64, 32, 32)
    assert network.layer1(stem(x)).shape == (2, 64, 32, 32)  # type: ignore[operator]
    assert network.forward_features(x).shape == (2, 512, 4, 4)  # type: ignore[operator]
    assert network(x).shape == (2, 10)


@torch.no_grad()
def test_the_imagenet_stem_is_timms() -> None:
    network = build_network("resnet18", 10, 32, "imagenet").eval()
    assert has_imagenet_stem(network)
    assert network.forward_features(torch.rand(2, 3, 32, 32)).shape == (2, 512, 1, 1)  # type: ignore[operator]
    with torch.random.fork_rng():
        theirs = timm.create_model("resnet18", num_classes=10)
    assert {k: v.shape for k, v in network.state_dict().items()} == {k: v.shape for k, v in theirs.state_dict().items()}


@pytest.mark.parametrize(
    "arch", ["resnet18", "resnet50", "resnetv2_50", "regnety_002", "resnet26t", "cspresnet50", "resnet50_gn"]
)
def test_residual_branches_take_part_from_the_first_step(arch: str) -> None:
    network = build_network(arch, 5, 64, "imagenet")
    kinds = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm)
    norms = [module for module in network.modules() if isinstance(module, kinds)]
    assert norms
    assert all(norm.weight.eq(1).all() for norm in norms), "as in torchvision"


def test_the_scales_of_other_norms_are_timms() -> None:
    with seeded(0, "weights"):
        ours = build_network("swinv2_cr_tiny_ns_224", 5, 64, "imagenet")
    assert any(not norm.weight.any() for norm in ours.modules() if isinstance(norm, nn.LayerNorm)), "it trains from 0"


def test_the_stem_concerns_resnets_only() -> None:
    for arch in ("mobilenetv3_small_050", "regnetx_002", "convnext_atto"):
        with seeded(0, "weights"):
            small = build_network(arch, 5, 64, "small")
        with seeded(0, "weights"):
            imagenet = build_network(arch, 5, 64, "imagenet")
        assert all(torch.equal(a, b) for a, b in zip(small.parameters(), imagenet.parameters(), strict=True)), arch


@pytest.mark.parametrize("size", [8, 32, 40])
def test_convnet3_at_any_size(size: int) -> None:
    network = build_network("convnet3", 7, size, "small")
    assert isinstance(network, ConvNet3)
    x = torch.rand(4, 3, size, size)
    assert network(x).shape == (4, 7)
    sides = []
    shown = x
    for block in network.features:
        shown = block(shown)
        sides.append(tuple(shown.shape))
    assert sides == [(4, 128, side, side) for side in (size // 2, size // 4, size // 8)]
    assert network.pool(shown).shape == (4, 128)
    assert len(norm_layers(network)) == 3
    assert network.get_classifier() is network.classifier


def test_weights_come_from_the_global_random_state() -> None:
    built = []
    for seed in (0, 0, 1):
        with seeded(seed, "weights"):
            built.append(build_network("resnet18", 10, 32, "small").state_dict())
    assert all(torch.equal(built[0][name], built[1][name]) for name in built[0])
    assert not torch.equal(built[0]["conv1.weight"], built[2]["conv1.weight"])


@pytest.mark.parametrize(
    ("arch", "says"),
    [
        ("resnet81", r"there is no network 'resnet81' \(did you mean resnet\d+"),
        ("convnet", "there is no network 'convnet'"),
        ("zzzzzzzzzzzz", "there is no network 'zzzzzzzzzzzz'"),
        ("mobilenet_v2", r"there is no network 'mobilenet_v2' \(did you mean torchvision:mobilenet_v2\?\)"),
        ("torchvision:resnt18", r"'torchvision:resnt18' \(did you mean torchvision:resnet18 or torchvision:"),
        ("torchvision:qqqq", "there is no network 'torchvision:qqqq': name one of torchvision's image classifiers"),
        ("torchvision:", "there is no network 'torchvision:'"),
        ("torchvision:googlenet", "'torchvision:googlenet' has several outputs in training"),
    ],
)
def test_an_unknown_network_is_refused(arch: str, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        build_network(arch, 10, 32, "small")


@pytest.mark.parametrize(
    ("arch", "size"), [("vit_tiny_patch16_224", 8), ("crossvit_tiny_240", 64), ("torchvision:maxvit_t", 32)]
)
def test_a_network_that_cannot_take_the_size_is_refused_when_it_is_built(arch: str, size: int) -> None:
    with pytest.raises(ModelError, match=f"'{arch}' cannot take images of {size} px"):
        build_network(arch, 10, size, "small")


@pytest.mark.parametrize(("arch", "size"), [("mixer_s32_224", 64), ("pvt_v2_b0", 64), ("vit_tiny_patch16_224", 48)])
def test_networks_of_a_fixed_size_are_built_for_the_wanted_one(arch: str, size: int) -> None:
    network = build_network(arch, 3, size, "small")
    assert network.training
    assert network(torch.rand(2, 3, size, size)).shape == (2, 3)


@pytest.mark.parametrize("arch", ["torchvision:resnet18", "torchvision:shufflenet_v2_x0_5", "torchvision:mobilenet_v2"])
def test_torchvisions_networks_take_any_channels(arch: str) -> None:
    for channels in (1, 5):
        network = build_network(arch, 4, 32, "small", channels)
        assert network.training
        assert network(torch.rand(2, channels, 32, 32)).shape == (2, 4)


def test_torchvisions_resnets_get_the_small_stem_too() -> None:
    assert not has_imagenet_stem(build_network("torchvision:resnet18", 4, 32, "small"))
    assert has_imagenet_stem(build_network("torchvision:resnet18", 4, 32, "imagenet"))


def test_torchvisions_transformers_are_built_for_the_size() -> None:
    network = build_network("torchvision:vit_b_32", 3, 64, "small")
    assert network.encoder.pos_embedding.shape[1] == 1 + 4  # type: ignore[union-attr]
