"""Published weights: read from the libraries' caches, which the tests fill; the internet is never asked."""

from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from wmdd.core.errors import ModelError
from wmdd.models import build_network, initial_teacher, published


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches, and no way out."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))

    def no_way_out(*_: object, **__: object) -> None:
        raise OSError("the network is out of reach")

    monkeypatch.setattr(torch.hub, "download_url_to_file", no_way_out)
    return tmp_path


def planted_by_timm(caches: Path) -> nn.Module:
    """``test_resnet`` as timm would have fetched it."""
    torch.manual_seed(5)
    network = build_network("test_resnet", 1000, 64, "imagenet")
    home = caches / "hub/models--timm--test_resnet.r160_in1k"
    (home / "snapshots/abc").mkdir(parents=True)
    (home / "refs").mkdir()
    (home / "refs/main").write_text("abc")
    save_file(network.state_dict(), home / "snapshots/abc/model.safetensors")
    return network


def planted_by_torchvision(caches: Path) -> nn.Module:
    torch.manual_seed(5)
    network = build_network("torchvision:shufflenet_v2_x0_5", 1000, 32, "imagenet")
    url = torchvision.models.ShuffleNet_V2_X0_5_Weights.DEFAULT.url
    (caches / "torch/checkpoints").mkdir(parents=True)
    torch.save(network.state_dict(), caches / "torch/checkpoints" / url.rpartition("/")[2])
    return network


@pytest.mark.parametrize(
    ("arch", "plant"),
    [("test_resnet", planted_by_timm), ("torchvision:shufflenet_v2_x0_5", planted_by_torchvision)],
)
def test_published_weights_are_read(caches: Path, arch: str, plant: object) -> None:
    wanted = plant(caches).state_dict()  # type: ignore[operator]
    found = initial_teacher(arch, 1000, 64, "imagenet", 3, "published").state_dict()
    assert all(torch.equal(value, found[name]) for name, value in wanted.items())


@pytest.mark.parametrize("arch", ["test_resnet", "torchvision:shufflenet_v2_x0_5", "test_vit"])
def test_weights_out_of_reach(arch: str) -> None:
    with pytest.raises(ModelError) as caught:
        initial_teacher(arch, 1000, 64, "imagenet", 3, "published")
    text = str(caught.value)
    assert f"the published weights of {arch!r} cannot be reached (" in text
    assert text.endswith("go online, or give their file as teacher.checkpoint without teacher.pretrained.")
    assert "\n" not in text


@pytest.mark.parametrize("arch", ["resnet18", "torchvision:resnet18"])
def test_other_classes_and_channels_are_refused_before_anything_is_fetched(arch: str) -> None:
    with pytest.raises(ModelError, match=f"of '{arch}' are for 1000 classes, but the data have 10: leave"):
        initial_teacher(arch, 10, 64, "imagenet", 3, "published")
    with pytest.raises(ModelError, match=r"are for RGB images, but these have 5 channel\(s\)"):
        initial_teacher(arch, 1000, 64, "imagenet", 5, "published")


def test_what_nobody_publishes() -> None:
    with pytest.raises(ModelError, match="convnet3 has no published weights"):
        published("convnet3")
    with pytest.raises(ModelError, match="timm has no published weights of 'densenet264d'"):
        published("densenet264d")
    with pytest.raises(ModelError, match=r"timm has no published weights 'resnet18\.nobody': Invalid pretrained tag"):
        published("resnet18.nobody")
    with pytest.raises(ModelError, match="there is no network 'torchvision:resnt'"):
        published("torchvision:resnt")


def test_published_weights_bring_their_normalisation() -> None:
    assert published("vit_tiny_patch16_224").mean == (0.5, 0.5, 0.5)
    assert published("torchvision:resnet18").std == (0.229, 0.224, 0.225)


def test_code_in_a_cached_file_is_never_run(caches: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (caches / "exploded",))

    url = torchvision.models.ShuffleNet_V2_X0_5_Weights.DEFAULT.url
    (caches / "torch/checkpoints").mkdir(parents=True)
    torch.save({"weight": Bomb()}, caches / "torch/checkpoints" / url.rpartition("/")[2])
    with pytest.raises(ModelError, match="cannot be reached"):
        initial_teacher("torchvision:shufflenet_v2_x0_5", 1000, 64, "imagenet", 3, "published")
    assert not (caches / "exploded").exists()
