"""Plain tensors, class after class: ``distilled.safetensors``, the same as ``distilled.pt``, and ``manifest.json``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from wmdd.core.types import DistilledDataset
from wmdd.storage.atomic import write_with
from wmdd.storage.json import write_json
from wmdd.storage.tensors import read_tensors, write_tensors

_NAME = "distilled"


def write_tensor_files(distilled: DistilledDataset, manifest: Mapping[str, Any], folder: Path) -> None:
    """Write the set into ``folder``, which exists and is empty."""
    assert distilled.logits is not None, "an export has logits"
    tensors = {
        "images": distilled.images,
        "labels": distilled.labels,
        "weights": distilled.weights,
        "logits": distilled.logits,
    }
    write_tensors(folder / f"{_NAME}.safetensors", tensors, {"manifest": json.dumps(manifest)})
    write_with(folder / f"{_NAME}.pt", lambda file: torch.save(tensors, file))
    write_json(folder / "manifest.json", manifest)


def read_tensor_files(folder: Path, manifest: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Images uint8 ``[M, 3, S, S]``, labels, weights and logits of exported tensors."""
    return read_tensors(folder / f"{_NAME}.safetensors")[0]
