"""An image folder: ``CLASS/000.png`` (lossless), ``labels.safetensors`` and ``manifest.json``."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from wmdd.core.types import DistilledDataset
from wmdd.exports.sound import stacked
from wmdd.storage.images import read_png, write_png
from wmdd.storage.json import write_json
from wmdd.storage.tensors import read_tensors, write_tensors

_LABELS = "labels.safetensors"


def write_folder(distilled: DistilledDataset, manifest: Mapping[str, Any], folder: Path) -> None:
    """Write the set into ``folder``, which exists and is empty."""
    for path, image in zip(_places(manifest, folder), distilled.images, strict=True):
        write_png(path, image)
    assert distilled.logits is not None, "an export has logits"
    write_tensors(
        folder / _LABELS, {"labels": distilled.labels, "weights": distilled.weights, "logits": distilled.logits}
    )
    write_json(folder / "manifest.json", manifest)


def read_folder(folder: Path, manifest: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Images uint8 ``[M, 3, S, S]``, labels, weights and logits of an exported folder."""
    tensors, _ = read_tensors(folder / _LABELS)
    images = [read_png(path) for path in _places(manifest, folder)]
    return tensors | {"images": stacked(images, "images", str(folder))}


def _places(manifest: Mapping[str, Any], folder: Path) -> Iterator[Path]:
    per_class = manifest["images"]["per_class"]
    digits = max(3, len(str(per_class - 1)))  # sorted by name they are in order
    return (folder / entry["folder"] / f"{j:0{digits}d}.png" for entry in manifest["classes"] for j in range(per_class))
