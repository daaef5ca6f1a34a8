"""Every form of export by name, written from a run and read back."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from wmdd.core.errors import RunError, SettingsError, WmddError
from wmdd.core.types import DistilledDataset, Preprocessing
from wmdd.exports.folder import read_folder, write_folder
from wmdd.exports.manifest import check_manifest, describe
from wmdd.exports.parquet import read_parquet, write_parquet
from wmdd.exports.shards import read_shards, write_shards
from wmdd.exports.sound import check_set
from wmdd.exports.staged import staged_folder
from wmdd.exports.tensors import read_tensor_files, write_tensor_files
from wmdd.models.own import is_own
from wmdd.pipeline.artifacts import load_distilled, load_logits, load_teacher, teacher_facts
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.storage.json import read_json

_BATCH = 256
_MANIFEST = "manifest.json"


class Form(NamedTuple):
    """How a set is written into a folder, and its tensors read back."""

    write: Callable[[DistilledDataset, Mapping[str, Any], Path], None]
    read: Callable[[Path, Mapping[str, Any]], dict[str, Tensor]]


FORMS: Mapping[str, Form] = {
    "folder": Form(write_folder, read_folder),
    "tensors": Form(write_tensor_files, read_tensor_files),
    "hf": Form(write_parquet, read_parquet),
    "webdataset": Form(write_shards, read_shards),
}


def export_run(run: RunDirectory, form: str, out: Path, licence: str | None = None) -> Path:
    """Write the run's distilled set, with the teacher's logits of every image, as ``form`` into the new folder ``out``.

    ``licence`` is that of the source data, as the user states it. The run's real images are not needed.

    Raises:
        SettingsError: there is no such form.
        RunError: the run has no finished synthesis, or ``out`` is there already or cannot be written.
    """
    if form not in FORMS:
        raise SettingsError(f"--to is {form!r}, but should be {' or '.join(FORMS)}.")
    distilled = load_distilled(run, run.config())
    distilled = replace(distilled, logits=_logits(run, distilled))
    manifest = describe(run, distilled, licence) | {"form": form}
    with staged_folder(out) as stage:
        FORMS[form].write(distilled, manifest, stage)
    return out


@torch.no_grad()
def _logits(run: RunDirectory, distilled: DistilledDataset) -> Tensor:
    """The teacher's raw logits float32 ``[M, K]`` of the plain images, on the CPU.

    A network of a Python program is not here to be asked: then they are those that the run has kept.
    """
    if is_own(teacher_facts(run)["arch"]):
        return load_logits(run)
    teacher = load_teacher(run)
    return torch.cat(
        [teacher.logits(distilled.preprocessing.normalize(images)) for images in distilled.images.split(_BATCH)]
    )


def is_export(path: Path) -> bool:
    """Whether ``path`` looks like an export and not like a run."""
    return (path / _MANIFEST).is_file() and not (path / "config.yaml").is_file()


def load_export(folder: Path) -> DistilledDataset:
    """The set that was exported into ``folder``.

    Raises:
        DataError: the manifest is not that of an export.
        RunError: a file is missing or damaged, or they do not fit together.
    """
    where = folder / _MANIFEST
    manifest = read_json(where)
    check_manifest(manifest, str(where))
    try:
        tensors = FORMS[manifest["form"]].read(folder, manifest)
        mean, std = (tuple(map(float, manifest["preprocessing"][name])) for name in ("mean", "std"))
        made = DistilledDataset(
            **{name: tensors[name] for name in ("images", "labels", "weights", "logits")},
            class_names=tuple(entry["name"] for entry in manifest["classes"]),
            preprocessing=Preprocessing(int(manifest["images"]["size"]), mean, std),
            provenance={"teacher": manifest["teacher"]["sha256"], "data": manifest["source"]["fingerprint"]},
        )
    except WmddError:
        raise
    except (KeyError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise RunError(f"{folder} is damaged ({error!r:.200}): export the run again.") from error
    check_set(made, str(folder))
    return made
