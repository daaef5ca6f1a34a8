"""What stages leave on disk, read back as the central types; every file is checked against its recorded hash."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wmdd.augment import empty_column_major
from wmdd.config import RunConfig
from wmdd.core.errors import RunError
from wmdd.core.types import (
    Barycenters,
    ClassStatistics,
    CostCurve,
    DistilledDataset,
    LayerMoments,
    Moments,
    Preprocessing,
)
from wmdd.losses import class_moments
from wmdd.models import Teacher, build_network, load_weights
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.storage.images import read_png
from wmdd.storage.json import read_json
from wmdd.storage.labels import StoredLabels
from wmdd.storage.tensors import read_tensors, write_tensors

# --- teacher ----------------------------------------------------------------------------------------------------------


def teacher_facts(run: RunDirectory) -> dict[str, Any]:
    """Architecture, stem, preprocessing, class names and accuracy of the run's teacher."""
    (record,) = run.outputs("teacher")
    return dict(read_json(run.file(record, ".json")))


def load_teacher(run: RunDirectory) -> Teacher:
    """The run's teacher, on the CPU.

    Raises:
        RunError: there is none, it is damaged, or it knows no more than chance.
    """
    (record,) = run.outputs("teacher")
    facts = teacher_facts(run)
    if facts["top1"] <= facts["useless_below"]:
        raise RunError(
            f"the teacher's top-1 is {facts['top1']:.1f} %, near chance ({facts['chance']:.1f} %), so nothing can be "
            f"distilled from it: train it longer or otherwise (--teacher-epochs, --teacher.lr, --arch) "
            "with `--redo teacher`."
        )
    shown = _preprocessing(facts)
    network = build_network(facts["arch"], len(facts["class_names"]), shown.image_size, facts["stem"], shown.channels)
    weights = run.file(record, ".safetensors")
    load_weights(network, weights, facts["arch"])
    return Teacher(
        network,
        arch=facts["arch"],
        stem=facts["stem"],
        preprocessing=shown,
        class_names=tuple(facts["class_names"]),
        sha256=next(sha for name, sha in record.files.items() if name.endswith(".safetensors")),
    )


def load_preprocessing(run: RunDirectory) -> Preprocessing:
    """How images enter the run's networks, known without building the teacher."""
    return _preprocessing(teacher_facts(run))


def _preprocessing(facts: dict[str, Any]) -> Preprocessing:
    return Preprocessing(facts["image_size"], tuple(facts["mean"]), tuple(facts["std"]))


# --- statistics -------------------------------------------------------------------------------------------------------


def write_statistics(path: Path, statistics: ClassStatistics) -> None:
    """Keep the statistics of a group of classes in one file."""
    tensors = {
        "classes": torch.tensor(statistics.classes),
        "offsets": statistics.offsets,
        "index": statistics.index,
        "features": statistics.features,
    }
    for name, (mean, var) in statistics.moments.items():
        tensors |= {f"mean/{name}": mean, f"var/{name}": var}
    write_tensors(path, tensors)


def load_statistics(run: RunDirectory, classes: Sequence[int]) -> ClassStatistics:
    """The statistics of ``classes``, in that order."""
    parts = [_read_statistics(run.file(record, ".safetensors")) for record in run.outputs("statistics", classes)]
    home = {k: part for part in parts for k in part.classes}
    row = {k: part.classes.index(k) for part in parts for k in part.classes}
    counts = torch.tensor([len(home[k].features_of(k)) for k in classes])
    moments = {
        layer: Moments(
            *(torch.stack([getattr(home[k].moments[layer], what)[row[k]] for k in classes]) for what in ("mean", "var"))
        )
        for layer in parts[0].moments
    }
    return ClassStatistics(
        classes=tuple(classes),
        moments=moments,
        features=torch.cat([home[k].features_of(k) for k in classes]),
        offsets=torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)]),
        index=torch.cat([home[k].index_of(k) for k in classes]),
    )


def load_pooled_moments(run: RunDirectory) -> LayerMoments:
    """The moments of all real images of all classes together, ``[1, C_l]``."""
    files = [run.file(record, ".safetensors") for record in run.outputs("statistics")]
    parts = [read_tensors(file, without=("features", "index"))[0] for file in files]  # those grow with the images
    counts = torch.cat([part["offsets"].diff() for part in parts])
    share = (counts / counts.sum())[None]
    return {
        layer: class_moments(
            Moments(*(torch.cat([part[f"{what}/{layer}"] for part in parts]) for what in ("mean", "var"))), share
        )
        for layer in _layers(parts[0])
    }


def _read_statistics(path: Path) -> ClassStatistics:
    tensors, _ = read_tensors(path)
    return ClassStatistics(
        classes=tuple(tensors["classes"].tolist()),
        moments={name: Moments(tensors[f"mean/{name}"], tensors[f"var/{name}"]) for name in _layers(tensors)},
        features=tensors["features"],
        offsets=tensors["offsets"],
        index=tensors["index"],
    )


def _layers(tensors: Mapping[str, Tensor]) -> list[str]:
    return [name.removeprefix("mean/") for name in tensors if name.startswith("mean/")]


# --- barycenters ------------------------------------------------------------------------------------------------------


def write_barycenters(path: Path, found: Barycenters) -> None:
    """Keep the barycenters of a group of classes in one file; histories are padded with NaN."""
    history = torch.full((len(found.history), max(map(len, found.history))), float("nan"), dtype=torch.float64)
    for row, costs in zip(history, found.history, strict=True):
        row[: len(costs)] = torch.tensor(costs, dtype=torch.float64)
    tensors = {
        "atoms": found.atoms,
        "weights": found.weights,
        "cost": found.cost,
        "iterations": found.iterations,
        "converged": found.converged,
        "history": history,
        "curve_ipc": found.curve.ipc,
        "curve_cost": found.curve.cost,
    }
    write_tensors(path, tensors, {"method": found.method, "seed": str(found.seed)})


def load_barycenters(run: RunDirectory, classes: Sequence[int]) -> Barycenters:
    """The barycenters of ``classes``, in that order."""
    rows: dict[int, tuple[dict[str, Tensor], int, dict[str, str]]] = {}
    for record in run.outputs("barycenters", classes):
        tensors, metadata = read_tensors(run.file(record, ".safetensors"))
        rows |= {k: (tensors, g, metadata) for g, k in enumerate(record.covers["classes"])}

    def stack(name: str) -> Tensor:
        return torch.stack([rows[k][0][name][rows[k][1]] for k in classes])

    histories = [rows[k][0]["history"][rows[k][1]] for k in classes]
    first, _, metadata = rows[classes[0]]
    return Barycenters(
        atoms=stack("atoms"),
        weights=stack("weights"),
        cost=stack("cost"),
        iterations=stack("iterations"),
        converged=stack("converged"),
        history=tuple(tuple(row[~row.isnan()].tolist()) for row in histories),
        curve=CostCurve(first["curve_ipc"], stack("curve_cost")),
        method=metadata["method"],
        seed=int(metadata["seed"]),
    )


# --- distilled images -------------------------------------------------------------------------------------------------


def load_distilled(run: RunDirectory, config: RunConfig, *, by_column: bool = False) -> DistilledDataset:
    """The distilled set that ``config``, the run's settings, asked for.

    ``by_column`` lays its images out as :func:`~wmdd.augment.column_major` does, so that views need no second copy.

    Raises:
        RunError: synthesis has not finished.
    """
    facts = teacher_facts(run)
    records = sorted(run.outputs("synthesis"), key=lambda record: record.covers["classes"])
    classes = [k for record in records for k in record.covers["classes"]]
    names = tuple(facts["class_names"])
    if classes != list(range(len(names))):
        missing = sorted(set(range(len(names))) - set(classes))
        raise RunError(f"{run.path} has no images of class {names[missing[0]]!r} yet: run `wmdd run {run.path}` first.")
    ipc = config.ipc
    files = [
        run.path / name
        for record in records
        for k in record.covers["classes"]
        for name in image_names(record.name, k, ipc)
    ]
    channels, size, _ = read_png(files[0]).shape
    empty = empty_column_major if by_column else _empty
    images = empty(len(files), channels, size)
    for image, file in zip(images, files, strict=True):
        image.copy_(read_png(file))
    return DistilledDataset(
        images=images,
        labels=torch.arange(len(names)).repeat_interleave(ipc),
        weights=_weights(run, config, len(names)),
        class_names=names,
        preprocessing=_preprocessing(facts),
        provenance={"run": str(run.path), "teacher": facts["sha256"], "data": run.data().get("fingerprint", "")},
    )


def _empty(count: int, channels: int, size: int) -> Tensor:
    return torch.empty(count, channels, size, size, dtype=torch.uint8)


def load_logits(run: RunDirectory) -> Tensor:
    """The teacher's logits float32 ``[M, K]`` of the distilled images, as they were when those were made."""
    made = {k: record.name for record in run.outputs("synthesis") for k in record.covers["classes"]}
    folder = run.folder("synthesis")
    facts = (read_tensors(folder / made[k] / f"class-{k:04d}.safetensors")[0] for k in sorted(made))
    return torch.cat([found["logits"] for found in facts])


def _weights(run: RunDirectory, config: RunConfig, num_classes: int) -> Tensor:
    """Those of the atoms that the images belong to, ``[M]``; even ones where they belong to none."""
    if config.synthesis.follows_atoms:
        return load_barycenters(run, range(num_classes)).weights.flatten().float()
    return torch.full((num_classes * config.ipc,), 1 / config.ipc)


def image_names(unit: str, k: int, ipc: int) -> list[str]:
    """Paths within the run of class ``k``'s images."""
    return [f"artifacts/synthesis/{unit}/class-{k:04d}/{j:03d}.png" for j in range(ipc)]


# --- soft labels ------------------------------------------------------------------------------------------------------


def load_soft_labels(run: RunDirectory, protocol: str, images: str, epochs: int, form: str = "stored") -> StoredLabels:
    """The soft labels of all ``epochs`` of a protocol, for the set ``images`` (``wmdd`` or ``random-real-SEED``).

    ``form`` is that of the setting ``evaluation.labels``; a run may hold several.

    Raises:
        RunError: those of some epochs are not made yet, or a file is damaged.
    """
    wanted = {"protocol": protocol, "images": images}
    records = run.records("relabel").values()
    found = [r for r in records if wanted.items() <= r.covers.items() and r.label_form == form]
    there = sum(record.covers["epochs"][1] - record.covers["epochs"][0] for record in found)
    if there != epochs:
        raise RunError(
            f"{run.path} has the soft labels of {there} of {epochs} epochs of {images} for {protocol}: "
            f"run `wmdd relabel {run.path}`, or the other shards, first."
        )
    for record in found:
        run.verify("relabel", record)
    return StoredLabels({record.covers["epochs"][0]: run.file(record, ".safetensors") for record in found})
