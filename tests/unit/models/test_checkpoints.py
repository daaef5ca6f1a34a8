"""Weights that a user brings."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from wmdd.core.errors import ModelError
from wmdd.models import build_network, load_weights
from wmdd.models.convnet import ConvNet3

State = dict[str, Tensor]


def network(num_classes: int = 3) -> ConvNet3:
    return ConvNet3(num_classes, width=4)


def prefixed(state: State) -> State:
    return {f"module.{name}": value for name, value in state.items()}


WAYS: dict[str, tuple[str, Callable[[State, Path], object]]] = {
    "safetensors": ("w.safetensors", save_file),
    "pt": ("w.pt", torch.save),
    "pth": ("w.pth", torch.save),
    "from DataParallel": ("w.pt", lambda state, path: torch.save(prefixed(state), path)),
    "safetensors from DataParallel": ("w.safetensors", lambda state, path: save_file(prefixed(state), path)),
    "state_dict": ("w.pt", lambda state, path: torch.save({"state_dict": state, "epoch": 3}, path)),
    "model": ("w.pth", lambda state, path: torch.save({"model": prefixed(state), "optimizer": {}}, path)),
    "model_state_dict": ("w.pt", lambda state, path: torch.save({"model_state_dict": state}, path)),
    "half": ("w.pt", lambda state, path: torch.save({k: _half(v) for k, v in state.items()}, path)),
}


def _half(value: Tensor) -> Tensor:
    return value.half().float() if value.is_floating_point() else value


@pytest.mark.parametrize("way", WAYS)
def test_checkpoints_are_loaded(tmp_path: Path, way: str) -> None:
    name, save = WAYS[way]
    torch.manual_seed(1)
    trained = network()
    trained.features[0].norm.running_mean.fill_(0.25)
    if way == "half":
        trained.half().float()
    save(trained.state_dict(), tmp_path / name)
    fresh = network()
    load_weights(fresh, tmp_path / name, "convnet3")
    assert all(torch.equal(value, trained.state_dict()[key]) for key, value in fresh.state_dict().items())
    x = torch.rand(2, 3, 8, 8)
    assert torch.equal(fresh.eval()(x), trained.eval()(x))


def refusal(path: Path, into: nn.Module | None = None) -> str:
    target = into or network()
    before = {name: value.clone() for name, value in target.state_dict().items()}
    with pytest.raises(ModelError) as caught:
        load_weights(target, path, "convnet3")
    assert all(torch.equal(value, before[name]) for name, value in target.state_dict().items())
    text = str(caught.value)
    assert str(path) in text
    assert text.endswith(".")
    assert "\n" not in text
    return text


def test_weights_for_other_classes_are_refused(tmp_path: Path) -> None:
    torch.save(network(7).state_dict(), tmp_path / "w.pt")
    text = refusal(tmp_path / "w.pt")
    assert "w.pt is for 7 classes ('classifier.bias' has so many rows), but the data have 3:" in text


def test_weights_of_another_width_are_not_taken_for_other_classes(tmp_path: Path) -> None:
    torch.save(ConvNet3(3, width=6).state_dict(), tmp_path / "w.pt")
    text = refusal(tmp_path / "w.pt")
    assert "w.pt does not fit convnet3: 'classifier.weight' has shape (3, 6), this network and data need (3, 4)" in text


def theirs(name: str, path: Path, num_classes: int = 3) -> nn.Module:
    """Torchvision's network, with running statistics that are not the initial ones; its weights are at ``path``."""
    torch.manual_seed(2)
    trained = torchvision.models.get_model(name, weights=None, num_classes=num_classes)
    for layer in trained.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -0.1, 0.1)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
    torch.save(trained.state_dict(), path)
    return trained.eval()


@pytest.mark.parametrize("arch", ["resnet18", "densenet121", "torchvision:resnet18", "torchvision:mobilenet_v2"])
@torch.no_grad()
def test_torchvisions_names_are_loaded(tmp_path: Path, arch: str) -> None:
    trained = theirs(arch.removeprefix("torchvision:"), tmp_path / "w.pt")
    ours = build_network(arch, 3, 64, "imagenet")
    load_weights(ours, tmp_path / "w.pt", arch)
    x = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(ours.eval()(x), trained(x))


def test_densenets_old_names_are_loaded(tmp_path: Path) -> None:
    theirs("densenet121", tmp_path / "w.pt")
    state = torch.load(tmp_path / "w.pt", weights_only=True)
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key): value for key, value in state.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "w.pt")
    ours = build_network("torchvision:densenet121", 3, 32, "small")
    load_weights(ours, tmp_path / "w.pt", "torchvision:densenet121")
    assert all(torch.equal(value, state[key]) for key, value in ours.state_dict().items())


@torch.no_grad()
def test_torchvisions_vgg_becomes_timms(tmp_path: Path) -> None:
    def narrow(linear: bool) -> nn.Module:
        make, layers = (torchvision.models.vgg, [4, "M", 512, "M"]) if linear else (timm.models.vgg, [4, "M", 512, "M"])
        if linear:
            network = make.VGG(make.make_layers(layers, batch_norm=True), num_classes=3)
            network.classifier[0] = nn.Linear(512 * 49, 40)
            network.classifier[3] = nn.Linear(40, 4096)
            return network
        return make.VGG(layers, num_classes=3, norm_layer=nn.BatchNorm2d, mlp_ratio=40 / 4096)

    trained, ours = narrow(linear=True).eval(), narrow(linear=False)
    torch.save(trained.state_dict(), tmp_path / "w.pt")
    load_weights(ours, tmp_path / "w.pt", "vgg11_bn")
    x = torch.rand(2, 3, 28, 28)
    torch.testing.assert_close(ours.eval()(x), trained(x))


@pytest.mark.parametrize("name", ["mobilenet_v2", "shufflenet_v2_x0_5", "regnet_y_400mf", "mnasnet0_5"])
def test_torchvisions_names_are_recognised_where_they_do_not_fit(tmp_path: Path, name: str) -> None:
    theirs(name, tmp_path / "w.pt")
    text = refusal(tmp_path / "w.pt")
    assert "is not of convnet3" in text
    assert text.endswith("its names look like torchvision's, whose networks are called torchvision:NAME here.")


def test_timms_names_are_not_taken_for_torchvisions(tmp_path: Path) -> None:
    for arch in ("mobilenetv3_small_050", "test_vit", "test_convnext", "resnet10t"):
        torch.save(build_network(arch, 3, 32, "small").state_dict(), tmp_path / "w.pt")
        assert "torchvision" not in refusal(tmp_path / "w.pt")


def test_missing_and_unknown_weights_are_refused(tmp_path: Path) -> None:
    state = network().state_dict()
    del state["classifier.bias"]
    torch.save(state, tmp_path / "w.pt")
    text = refusal(tmp_path / "w.pt")
    assert "lacks 'classifier.bias' (1 missing, 0 unknown)" in text
    save_file({**network().state_dict(), "head.weight": torch.zeros(1)}, tmp_path / "w.safetensors")
    text = refusal(tmp_path / "w.safetensors")
    assert "has 'head.weight', which the network has not (0 missing, 1 unknown)" in text


@pytest.mark.parametrize("content", [[1, 2], {}, {"a": 1}, torch.zeros(3), {"state_dict": [1]}, {1: torch.zeros(1)}])
def test_what_is_no_state_dict_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "w.pt")
    assert "is not a state dict" in refusal(tmp_path / "w.pt")


def test_code_is_never_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "exploded",))

    torch.save({"weight": Bomb()}, tmp_path / "w.pt")
    assert "more than plain tensors" in refusal(tmp_path / "w.pt")
    assert not (tmp_path / "exploded").exists()
    torch.save(network(), tmp_path / "whole.pt")
    assert "more than plain tensors" in refusal(tmp_path / "whole.pt")


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_absent_and_damaged_files_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert "does not exist" in refusal(path)
    path.write_bytes(b"not a checkpoint")
    refusal(path)
    way = save_file if path.suffix == ".safetensors" else torch.save
    way(network().state_dict(), path)
    path.write_bytes(path.read_bytes()[:-500])
    refusal(path)
