"""A small set and its manifest, written without a run."""

from pathlib import Path
from typing import Any

import torch

from wmdd.core.types import DistilledDataset, Preprocessing
from wmdd.exports import FORMS
from wmdd.storage.json import write_json

SIDE = 8


def manifest(form: str, count: int = 4, **synthesis: Any) -> dict[str, Any]:
    """What the manifest of two classes of ``count`` images says; the recipe's is ``synthesis``."""
    recipe = {"init": "real", "steps": 200} | synthesis
    return {
        "format": "wmdd-export/1",
        "form": form,
        "wmdd": "0.1.0",
        "classes": [{"index": k, "name": name, "folder": name} for k, name in enumerate("ab")],
        "images": {"count": count, "per_class": count // 2, "size": SIDE, "real_pixels": recipe["init"] != "noise"},
        "preprocessing": {"mean": [0.5] * 3, "std": [0.2] * 3},
        "source": {"name": "x", "fingerprint": "f", "train": 8, "validation": 2, "licence": None},
        "teacher": {"arch": "convnet3", "stem": "small", "top1": 90.0, "top5": 100.0, "sha256": "s"},
        "recipe": {"seed": 0, "synthesis": recipe},
        "scores": [],
    }


def small_set(count: int = 4) -> DistilledDataset:
    """Noise of two classes."""
    draw = torch.Generator().manual_seed(0)
    return DistilledDataset(
        images=torch.randint(0, 256, (count, 3, SIDE, SIDE), dtype=torch.uint8, generator=draw),
        labels=torch.arange(count) // (count // 2),
        weights=torch.full((count,), 2 / count),
        class_names=("a", "b"),
        preprocessing=Preprocessing(SIDE, (0.5,) * 3, (0.2,) * 3),
        provenance={},
        logits=torch.randn(count, 2, generator=draw),
    )


def write_export(form: str, folder: Path, made: DistilledDataset | None = None) -> Path:
    """The set, or another, as ``form`` in the new ``folder``, which is returned."""
    made = small_set() if made is None else made
    folder.mkdir()
    FORMS[form].write(made, manifest(form, len(made)), folder)
    return folder


def claim(folder: Path, count: int) -> None:
    """The manifest says that there are so many images."""
    (folder / "manifest.json").unlink()
    write_json(folder / "manifest.json", manifest("hf", count))
