"""Loading weights that a user brings: plain tensors only, never code."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile, is_zipfile

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from wmdd.core.bounded import OLD_WEIGHTS, WEIGHTS, check_size, check_tensor_names
from wmdd.core.errors import ModelError
from wmdd.models.key_names import look_like_torchvision, renamed

_WRAPPERS = ("state_dict", "model_state_dict", "model", "model_state")


def load_weights(network: nn.Module, path: Path, arch: str) -> None:
    """Load ``.safetensors``, or ``.pt``/``.pth`` of plain tensors, into ``network`` in place, all keys matching.

    Names may be the network's own or others that :func:`~wmdd.models.key_names.renamed` knows.

    Raises:
        ModelError: the file is missing, damaged, holds anything but tensors, or belongs to another network.
    """
    load_state(network, _read(path), f"checkpoint {path}", arch)


def load_state(network: nn.Module, found: Mapping[str, Tensor], what: str, arch: str) -> None:
    """Load the tensors ``found``, which messages call ``what``, into ``network`` in place, all keys matching.

    Raises:
        ModelError: they belong to another network, or are sparse or quantised.
    """
    expected = network.state_dict()
    state = renamed(found, expected)
    _refuse_names(state, expected, what, arch)
    _refuse_shapes(state, expected, what, arch)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:  # sparse or quantised tensors, for example
        raise ModelError(f"{what} holds tensors that are not plain: save plain float tensors.") from error


def _refuse_names(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], what: str, arch: str) -> None:
    missing, extra = sorted(set(expected) - set(state)), sorted(set(state) - set(expected))
    if not missing and not extra:
        return
    why = f"it lacks {missing[0]!r}" if missing else f"it has {extra[0]!r}, which the network has not"
    hint = ""
    if look_like_torchvision(state) and not arch.startswith("torchvision:"):
        hint = "; its names look like torchvision's, whose networks are called torchvision:NAME here"
    raise ModelError(f"{what} is not of {arch}: {why} ({len(missing)} missing, {len(extra)} unknown){hint}.")


def _refuse_shapes(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], what: str, arch: str) -> None:
    pairs = {key: (state[key].shape, value.shape) for key, value in expected.items() if state[key].shape != value.shape}
    if not pairs:
        return
    # Only of the last layer can the rows alone differ: of any other, the next one's columns would differ too.
    if all(have[1:] == want[1:] and have and want for have, want in pairs.values()):
        rows = {(have[0], want[0]) for have, want in pairs.values()}
        if len(rows) == 1:
            ((have, want),) = rows
            raise ModelError(
                f"{what} is for {have} classes ({min(pairs)!r} has so many rows), but the data have {want}: "
                f"give weights of {arch} for those classes, or train one without."
            )
    key, (found, wanted) = min(pairs.items())
    raise ModelError(
        f"{what} does not fit {arch}: {key!r} has shape {tuple(found)}, this network and data need {tuple(wanted)}."
    )


def _read(path: Path) -> dict[str, Tensor]:
    if not os.path.isfile(path):  # answers False, where pathlib's form raises, if a folder above may not be entered
        raise ModelError(f"checkpoint {path} does not exist: give a .safetensors file, or a .pt of plain tensors.")
    if path.suffix == ".safetensors":
        try:
            check_tensor_names(path)
            return load_file(path)
        except (SafetensorError, OSError, ValueError, RuntimeError) as error:  # the last: it cannot be mapped
            raise ModelError(
                f"checkpoint {path} is not a readable safetensors file ({error}): save it again."
            ) from error
    return _read_plain_tensors(path)


def _check_packing(path: Path) -> None:
    """Refuse what unpacks to more than its own bytes: torch.save packs nothing."""
    zipped = is_zipfile(path)
    check_size(path, WEIGHTS if zipped else OLD_WEIGHTS)
    if zipped:
        with ZipFile(path) as archive:
            if any(info.compress_type != ZIP_STORED for info in archive.infolist()):
                raise ValueError("packed members")


def _read_plain_tensors(path: Path) -> dict[str, Tensor]:
    try:
        _check_packing(path)
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
