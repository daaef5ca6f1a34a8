"""``manifest.json`` of an export: what the images are, how they came about and how they score; no path of a machine."""

import re
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from wmdd.config.load import to_values
from wmdd.core.errors import DataError, RunError
from wmdd.core.types import DistilledDataset
from wmdd.pipeline.artifacts import teacher_facts
from wmdd.pipeline.results import summarize
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.storage.json import read_sealed

FORMAT = "wmdd-export/1"
_UNSAFE = re.compile(r"[^\w ,.()-]")


def describe(run: RunDirectory, distilled: DistilledDataset, licence: str | None) -> dict[str, Any]:
    """The manifest of a run's distilled set; ``licence`` is that of the source data, as the user states it."""
    config, data, facts = run.config(), run.data(), teacher_facts(run)
    if not data:
        raise RunError(f"{run.path}/manifest.json is missing: `wmdd run {run.path}` gathers it again.")
    recipe = to_values(config)
    results = run.path / "results.json"
    scores = [asdict(row) for row in summarize(read_sealed(results))] if results.is_file() else []
    return {
        "format": FORMAT,
        "wmdd": version("wmdd"),
        "classes": [
            {"index": index, "name": name, "folder": folder}
            for index, (name, folder) in enumerate(
                zip(distilled.class_names, class_folders(distilled.class_names), strict=True)
            )
        ],
        "images": {
            "count": len(distilled),
            "per_class": config.ipc,
            "size": distilled.preprocessing.image_size,
            "real_pixels": config.synthesis.real_pixels,
        },
        "preprocessing": {"mean": list(distilled.preprocessing.mean), "std": list(distilled.preprocessing.std)},
        "source": {
            "name": data["source"],
            "fingerprint": data["fingerprint"],
            "train": data["train"],
            "validation": data["validation"],
            "licence": licence,
        },
        "teacher": {name: facts[name] for name in ("arch", "stem", "top1", "top5")} | {"sha256": facts["sha256"]},
        "recipe": {"seed": config.seed, "barycenters": recipe["barycenters"], "synthesis": recipe["synthesis"]},
        "scores": scores,
    }


def class_folders(names: Sequence[str]) -> list[str]:
    """A folder's name for each class: safe on any disk, all different, and sorted as the classes are.

    They are the classes' own names where these are so already.
    """
    cleaned = [_UNSAFE.sub("_", name).strip(" .") for name in names]
    as_they_are = sorted(cleaned) == cleaned and len({name.casefold() for name in cleaned}) == len(names)
    if as_they_are and all(cleaned):
        return cleaned
    digits = len(str(len(names) - 1))
    return [f"{index:0{digits}d} {name}".strip() for index, name in enumerate(cleaned)]


def check_manifest(manifest: Any, where: str) -> None:
    """Refuse what is not a manifest of an export."""
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataError(f"{where} is not the manifest of an export of this version ({FORMAT}): export the run again")
    classes = manifest.get("classes")
    if not isinstance(classes, list):
        raise DataError(f"{where} has no list of classes: export the run again")
    for entry in classes:
        folder, name = (entry.get(key) if isinstance(entry, dict) else None for key in ("folder", "name"))
        if not isinstance(folder, str) or Path(folder).name != folder or folder in ("", ".", ".."):
            raise DataError(f"{where} names the class folder {folder!r}, which is none inside it: do not trust it")
        if not isinstance(name, str):
            raise DataError(f"{where} names a class {name!r}, which is no text: export the run again")
