"""What the teacher observes, in networks of many families."""

import pytest
import timm
import torch
from torch import Tensor, nn

from wmdd.core.errors import ModelError
from wmdd.core.types import Preprocessing
from wmdd.models import Teacher, build_network, norm_layers
from wmdd.runtime.random import seeded


def a_teacher(arch: str, size: int = 64) -> Teacher:
    with seeded(0, "test", arch):
        network = build_network(arch, 5, size, "small")
    return Teacher(network, arch=arch, stem="small", preprocessing=Preprocessing(size), class_names=tuple("abcde"))


def pixels(count: int, size: int = 64) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("arch", "width", "layers"),
    [
        ("resnet18", 512, 20),
        ("vgg11_bn", 4096, 8),
        ("mobilenetv3_small_050", 1024, 34),
        ("efficientnet_b0", 1280, 49),
        ("densenet121", 1024, 121),
        ("convnext_atto", 320, 17),
        ("vit_tiny_patch16_224", 192, 25),
        ("swin_tiny_patch4_window7_224", 768, 29),
    ],
)
def test_every_family_can_be_observed(arch: str, width: int, layers: int) -> None:
    teacher = a_teacher(arch)
    x = pixels(2).requires_grad_()
    seen = teacher.observe(x)
    assert seen.logits.shape == (2, 5)
    assert seen.features.shape == (2, width)
    assert teacher.num_features() == width
    assert len(seen.moments) == layers
    torch.testing.assert_close(teacher.logits(x), seen.logits)
    classifier = teacher.network.get_classifier()
    torch.testing.assert_close(classifier(seen.features), seen.logits)  # they are what enters the classifier
    for mean, var in seen.moments.values():
        assert mean.shape == var.shape
        assert mean.shape[0] == 2
        assert (var >= 0).all()

    (from_features,) = torch.autograd.grad(seen.features.square().sum(), x, retain_graph=True)
    (from_moments,) = torch.autograd.grad(sum(m.square().sum() + v.sum() for m, v in seen.moments.values()), x)
    for gradient in (from_features, from_moments):
        assert gradient.isfinite().all()
        assert (gradient.flatten(1).norm(dim=1) > 0).all()
    assert all(parameter.grad is None for parameter in teacher.network.parameters())


@pytest.mark.parametrize("arch", ["resnet18", "efficientnet_b0", "densenet121"])
def test_observing_changes_no_gradient(arch: str) -> None:
    teacher = a_teacher(arch, 32)
    teacher.network.double()
    x = pixels(2, 32).double().requires_grad_()
    (seen,) = torch.autograd.grad(teacher.observe(x).logits.square().sum(), x)
    (plain,) = torch.autograd.grad(teacher.logits(x).square().sum(), x)
    torch.testing.assert_close(seen, plain)


@pytest.mark.parametrize("arch", ["resnet18", "vit_tiny_patch16_224", "convnext_atto"])
@torch.no_grad()
def test_an_image_is_observed_alike_in_any_company(arch: str) -> None:
    teacher = a_teacher(arch, 32)
    together, alone = teacher.observe(pixels(3, 32)), teacher.observe(pixels(3, 32)[1:2])
    torch.testing.assert_close(together.features[1:2], alone.features, rtol=1e-4, atol=1e-5)
    for name, (mean, var) in alone.moments.items():
        torch.testing.assert_close(together.moments[name].mean[1:2], mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(together.moments[name].var[1:2], var, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_observing_leaves_no_trace() -> None:
    teacher = a_teacher("resnet18", 32)
    before = {name: value.clone() for name, value in teacher.network.state_dict().items()}
    teacher.observe(pixels(2, 32))
    with pytest.raises(RuntimeError):
        teacher.observe(torch.rand(2, 4, 32, 32))
    assert all(torch.equal(value, before[name]) for name, value in teacher.network.state_dict().items())
    assert not any(layer._forward_pre_hooks or "forward" in vars(layer) for layer in teacher.network.modules())
    assert not teacher.network.training
    assert not any(parameter.requires_grad for parameter in teacher.network.parameters())


def test_batch_norm_wins_over_other_norms() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4), nn.BatchNorm2d(4), nn.LayerNorm(4))
    assert {name: dim for name, (_, dim) in norm_layers(network).items()} == {"2": 1}
    del network[2]
    assert {name: dim for name, (_, dim) in norm_layers(network).items()} == {"1": 1, "2": -1}


@pytest.mark.parametrize("arch", ["resnetv2_50", "poolformer_s12"])
@torch.no_grad()
def test_group_norms_and_their_kin(arch: str) -> None:
    seen = a_teacher(arch).observe(pixels(2))
    assert {mean.shape[0] for mean, _ in seen.moments.values()} == {2}
    assert seen.features.shape == (2, a_teacher(arch).num_features())


@pytest.mark.parametrize("arch", ["convformer_s18", "poolformerv2_s12", "convnext_atto"])
@torch.no_grad()
def test_channels_are_those_that_a_norm_weighs(arch: str) -> None:
    """Where a map has as many channels as columns, only the weights tell one from the other."""
    teacher = a_teacher(arch)
    weights = dict(teacher.network.named_parameters())
    for name, (mean, _) in teacher.observe(pixels(2)).moments.items():
        assert mean.shape == (2, weights[f"{name}.weight"].numel()), name


@torch.no_grad()
def test_parts_that_are_folded_into_the_batch_are_those_of_their_image() -> None:
    """LeViT normalises ``[B N, C]``: an image's moments are those of its N rows."""
    network = timm.create_model("levit_128s", num_classes=3, img_size=224)
    teacher = Teacher(
        network, arch="levit_128s", stem="imagenet", preprocessing=Preprocessing(224), class_names=tuple("abc")
    )
    x, seen = torch.rand(2, 3, 224, 224), []
    name = "stages.0.blocks.0.attn.qkv.bn"
    handle = network.get_submodule(name).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    mean, var = teacher.observe(x).moments[name]
    handle.remove()
    rows = seen[0].view(2, -1, seen[0].shape[1])
    torch.testing.assert_close(mean, rows.mean(dim=1))
    torch.testing.assert_close(var, rows.var(dim=1, correction=0))


class TwoHeads(nn.Module):
    """Scores that no one layer makes."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.one, self.two = nn.Linear(8, 5), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x).flatten(1)
        return self.one(x) + self.two(x)


def observing(network: nn.Module, name: str, size: int = 64) -> Teacher:
    return Teacher(network, arch=name, stem="small", preprocessing=Preprocessing(size), class_names=tuple("abcde"))


@pytest.mark.parametrize(
    ("arch", "width", "layers"),
    [
        ("torchvision:resnet18", 512, 20),
        ("torchvision:mobilenet_v3_small", 1024, 34),
        ("torchvision:densenet121", 1024, 121),
        ("torchvision:convnext_tiny", 768, 23),
        ("torchvision:swin_t", 768, 29),
    ],
)
@torch.no_grad()
def test_torchvisions_networks_can_be_observed(arch: str, width: int, layers: int) -> None:
    teacher = a_teacher(arch, 32)
    seen = teacher.observe(pixels(2, 32))
    assert seen.features.shape == (2, width)
    assert len(seen.moments) == layers
    last = [layer for layer in teacher.network.modules() if isinstance(layer, nn.Linear)][-1]
    torch.testing.assert_close(last(seen.features), seen.logits)


@torch.no_grad()
def test_moments_of_torchvisions_convnext_are_of_channels() -> None:
    seen = a_teacher("torchvision:convnext_tiny", 32).observe(pixels(2, 32))
    assert seen.moments["features.0.1"].mean.shape == (2, 96)  # a norm of maps
    assert seen.moments["features.1.0.block.2"].mean.shape == (2, 96)  # a norm of what has its channels last


@torch.no_grad()
def test_two_heads_that_are_averaged_give_the_inputs_of_both() -> None:
    teacher = a_teacher("deit_tiny_distilled_patch16_224", 32)
    seen = teacher.observe(pixels(2, 32))
    assert seen.features.shape == (2, 2 * 192)
    head, other = teacher.network.get_classifier()  # type: ignore[operator]
    torch.testing.assert_close((head(seen.features[:, :192]) + other(seen.features[:, 192:])) / 2, seen.logits)
    shared = a_teacher("levit_128s", 32)
    assert shared.num_features() == 384  # both heads read the same features


@torch.no_grad()
def test_a_convolution_can_be_the_classifier() -> None:
    squeezed = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 5, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )  # fmt: skip
    nn.init.uniform_(squeezed[3].bias, -0.2, 0.2)
    teacher = observing(squeezed, "squeezed", 16)
    seen = teacher.observe(pixels(2, 16))
    torch.testing.assert_close(seen.features, squeezed[:3](pixels(2, 16)).mean((2, 3)))


def test_networks_that_cannot_be_observed_are_refused() -> None:
    with pytest.raises(ModelError, match="two_heads has no single classifier layer"):
        observing(TwoHeads(), "two_heads")
    with pytest.raises(ModelError, match="Sequential has no norm layers"):
        norm_layers(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten()))
