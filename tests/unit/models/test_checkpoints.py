"""Weights that a user brings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from wmdd.core.errors import ModelError
from wmdd.models import load_weights
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
    assert "does not fit convnet3" in text
    assert "'classifier.bias' has shape (7,)" in text or "'classifier.weight' has shape (7, 4)" in text


def test_missing_and_unknown_weights_are_refused(tmp_path: Path) -> None:
    state = network().state_dict()
    del state["classifier.bias"]
    torch.save(state, tmp_path / "w.pt")
    text = refusal(tmp_path / "w.pt")
    assert "lacks 'classifier.bias' (1 missing, 0 unknown)" in text
    save_file({**network().state_dict(), "head.weight": torch.zeros(1)}, tmp_path / "w.safetensors")
    text = refusal(tmp_path / "w.safetensors")
    assert "has 'head.weight', which the network has not (0 missing, 1 unknown)" in text


class _Anything:
    pass


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
