"""Loading weights that a user brings: plain tensors only, never code."""

import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from wmdd.core.errors import ModelError

_WRAPPERS = ("state_dict", "model_state_dict", "model", "model_state")


def load_weights(network: nn.Module, path: Path, arch: str) -> None:
    """Load ``.safetensors``, or ``.pt``/``.pth`` of plain tensors, into ``network`` in place, all keys matching.

    Raises:
        ModelError: the file is missing, damaged, holds anything but tensors, or belongs to another network.
    """
    state = {key.removeprefix("module."): value for key, value in _read(path).items()}
    expected = network.state_dict()
    missing, extra = sorted(set(expected) - set(state)), sorted(set(state) - set(expected))
    if missing or extra:
        what = f"it lacks {missing[0]!r}" if missing else f"it has {extra[0]!r}, which the network has not"
        raise ModelError(f"checkpoint {path} is not of {arch}: {what} ({len(missing)} missing, {len(extra)} unknown).")
    for key, value in expected.items():
        if state[key].shape != value.shape:
            raise ModelError(
                f"checkpoint {path} does not fit {arch}: {key!r} has shape {tuple(state[key].shape)}, "
                f"this network and data need {tuple(value.shape)}."
            )
    try:
        network.load_state_dict(state)
    except RuntimeError as error:  # sparse or quantised tensors, for example
        raise ModelError(f"checkpoint {path} holds tensors that are not plain: save plain float tensors.") from error


def _read(path: Path) -> dict[str, Tensor]:
    if not os.path.isfile(path):  # answers False, where pathlib's form raises, if a folder above may not be entered
        raise ModelError(f"checkpoint {path} does not exist: give a .safetensors file, or a .pt of plain tensors.")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise ModelError(
                f"checkpoint {path} is not a readable safetensors file ({error}): save it again."
            ) from error
    return _read_plain_tensors(path)


def _read_plain_tensors(path: Path) -> dict[str, Tensor]:
    try:
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"checkpoint {path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # torch raises many kinds; none of them may execute what the file holds
        raise ModelError(
            f"checkpoint {path} was refused: it is damaged or holds more than plain tensors; "
            "save network.state_dict() with torch.save or safetensors."
        ) from error
    for wrapper in _WRAPPERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(wrapper), dict):
            loaded = loaded[wrapper]
            break
    entries = loaded.items() if isinstance(loaded, dict) else ()
    if not entries or not all(isinstance(key, str) and isinstance(value, Tensor) for key, value in entries):
        raise ModelError(f"checkpoint {path} is not a state dict: it must map parameter names to tensors.")
    return dict(entries)
