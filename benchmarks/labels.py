"""Soft labels in every stored form: bytes, reading time, and the students that learn from them.

    python benchmarks/labels.py --json FILE                      sizes and times, on generated logits
    python benchmarks/labels.py RUN --seeds 0 1 2 --json FILE    students too, on images and teacher of a finished run

Sizes are those of files that the package wrote, views included, for as many labels as a unit of 10 images a class has.
RUN is only read.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, median, stdev

import torch
from torch import Tensor

from bars import Bar, Bars
from wmdd.config import PROTOCOLS, Protocol
from wmdd.config.evaluation import EvaluationConfig
from wmdd.core.types import SoftLabels
from wmdd.models import build_network
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.pipeline.workspace import Workspace
from wmdd.runtime.progress import Reporter
from wmdd.runtime.random import seeded
from wmdd.stages.evaluation import LabelSource, online_labels, stored_labels, train_student
from wmdd.stages.relabel import EpochViews, label_epoch, plan_epoch
from wmdd.stages.scoring import score
from wmdd.storage.labels import StoredLabels, write_soft_labels

IPC, SIZE = 10, 224
CLASSES = (10, 200, 1000)
EPOCHS = {10: 50, 200: 50, 1000: 3}  # of a unit with that many classes and IPC images of each
QUICK_EPOCHS = {10: 10, 200: 5, 1000: 1}
READS = 20
STORED, COMPACT, ONLINE = "stored", "compact", "online teacher"
EPOCHS_PER_FILE = 50
PACKAGES = ("torch", "safetensors")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", help="a finished run, for its teacher and images")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of students")
    parser.add_argument("--epochs", type=int, help="of students, instead of the protocol's")
    parser.add_argument("--quick", action="store_true", help="fewer labels; one seed and few epochs")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    bars = Bars(PACKAGES)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        measure_files(bars, Path(folder), QUICK_EPOCHS if arguments.quick else EPOCHS)
        if arguments.run:
            seeds = arguments.seeds[:1] if arguments.quick else arguments.seeds
            compare_students(bars, Path(folder), arguments.run, seeds, 10 if arguments.quick else arguments.epochs)
    if arguments.json:
        bars.write(arguments.json)


# --- bytes and reading time -------------------------------------------------------------------------------------------


def measure_files(bars: Bars, folder: Path, epochs: dict[int, int]) -> None:
    for classes in CLASSES:
        logits = torch.randn(epochs[classes], classes * IPC, classes, generator=torch.Generator().manual_seed(0)).half()
        labels, where = with_views(logits), f"K = {classes}"
        sizes = {
            form: measure_file(bars, f"{form}, {where}", folder, labels, share, in_four_bits=form == COMPACT)
            for form, share in ((STORED, 1.0), (COMPACT, epochs_kept() / PROTOCOLS["wmdd"].epochs))
        }
        bars.note(f"{ONLINE}, {where}", bytes_per_image_class_epoch=0)
    bars.add(Bar("speed.5", f"bytes of {STORED} / {COMPACT}, {where}", sizes[STORED] / sizes[COMPACT], 10, "higher"))


def measure_file(bars: Bars, what: str, folder: Path, labels: SoftLabels, share: float, *, in_four_bits: bool) -> float:
    """Bytes per label of a run that keeps those of a ``share`` of its epochs."""
    path, count, classes = folder / "labels.safetensors", labels.box.shape[:2].numel(), labels.logits.shape[2]
    began = time.perf_counter()
    write_soft_labels(path, labels, in_four_bits=in_four_bits)
    seconds = time.perf_counter() - began
    size = share * path.stat().st_size / count
    bars.note(
        what,
        bytes_per_image_class_epoch=round(size / classes, 4),
        bytes_per_label=round(size, 1),
        milliseconds_to_read_an_epoch=round(1000 * reading_seconds(path, len(labels.logits)), 2),
        microseconds_a_label_to_write=round(1e6 * seconds / count, 1),
    )
    return size


def epochs_kept() -> int:
    return EvaluationConfig(labels="compact").label_epochs(PROTOCOLS["wmdd"].epochs)


def with_views(logits: Tensor) -> SoftLabels:
    plans = [plan_epoch(PROTOCOLS["wmdd"], e, logits.shape[1], SIZE, 0, flip=True) for e in range(len(logits))]
    return labels_of(logits, plans)


def labels_of(logits: Tensor, plans: Sequence[EpochViews]) -> SoftLabels:
    mixes = [plan.mixes for plan in plans if plan.mixes is not None]
    return SoftLabels(
        logits=logits,
        box=torch.stack([plan.views.box.short() for plan in plans]),
        flip=torch.stack([plan.views.flip for plan in plans]),
        partner=torch.stack([mix.partner.int() for mix in mixes]) if mixes else None,
        mix_box=torch.stack([mix.box.short() for mix in mixes]) if mixes else None,
    )


def reading_seconds(path: Path, epochs: int) -> float:
    """Median of opening the file and reading one epoch at random, decoding included; its pages are in the cache."""
    draw, found = random.Random(0), []
    for _ in range(READS):
        stored, epoch = StoredLabels({0: path}), draw.randrange(epochs)
        began = time.perf_counter()
        stored.read(epoch)
        found.append(time.perf_counter() - began)
    return median(found)


# --- students ---------------------------------------------------------------------------------------------------------


def compare_students(bars: Bars, folder: Path, path: Path, seeds: Sequence[int], epochs: int | None) -> None:
    """Top-1 of students on the run's distilled images: same weights, views and order, labels of each form."""
    run = RunDirectory(path)
    config = run.config()
    threads = replace(config.runtime, threads=torch.get_num_threads())
    work = Workspace(run, replace(config, runtime=threads), Reporter(quiet=True))
    protocol = replace(PROTOCOLS["wmdd"], epochs=epochs or PROTOCOLS["wmdd"].epochs)
    name = f"{Path(config.data.source).name}, {protocol.epochs} epochs"
    kept = EvaluationConfig(labels="compact").label_epochs(protocol.epochs)
    sources = {
        STORED: stored_form(work, folder, protocol, protocol.epochs, in_four_bits=False),
        COMPACT: stored_form(work, folder, protocol, kept, in_four_bits=True),
        ONLINE: (online_labels(work.teacher, work.machine), planner(work, protocol)),
    }
    top1: dict[str, list[float]] = {form: [] for form in sources}
    for seed in seeds:
        for form, (labels, views) in sources.items():
            top1[form].append(student_top1(work, protocol, seed, labels, views))
    for form, found in top1.items():
        lost = [raw - mine for raw, mine in zip(top1[STORED], found, strict=True)]
        spread = {"std": round(stdev(found), 2), "std_of_points_lost": round(stdev(lost), 2)} if len(seeds) > 1 else {}
        values = {"top1": round(mean(found), 2), "points_lost": round(mean(lost), 2)}
        bars.note(f"students of {form}, {name}, {len(seeds)} seed(s)", **values, **spread)
    if protocol == PROTOCOLS["wmdd"]:  # students of a few epochs have learnt little and differ by chance
        what = f"points of top-1 lost by {COMPACT}, mean of {len(seeds)} seed(s), {name}"
        bars.add(Bar("speed.5", what, mean(top1[STORED]) - mean(top1[COMPACT]), 0.5, "lower"))


Source = tuple[LabelSource, Callable[[int], EpochViews]]


def planner(work: Workspace, protocol: Protocol) -> Callable[[int], EpochViews]:
    count, size = len(work.distilled.labels), work.image_size
    return lambda epoch: plan_epoch(protocol, epoch, count, size, work.config.seed, flip=work.flip)


def stored_form(work: Workspace, folder: Path, protocol: Protocol, epochs: int, *, in_four_bits: bool) -> Source:
    """Labels of the run's images, those of ``epochs`` in turn, that were written to files and are read from there."""
    plan, files = planner(work, protocol), {}
    images = work.distilled.images.to(work.machine.device)
    for first in range(0, epochs, EPOCHS_PER_FILE):
        plans = [plan(epoch) for epoch in range(first, min(first + EPOCHS_PER_FILE, epochs))]
        logits = [label_epoch(work.teacher, images, p, work.machine, work.config.runtime.batch_size) for p in plans]
        files[first] = folder / f"students-{epochs}-{first}.safetensors"
        write_soft_labels(files[first], labels_of(torch.stack(logits), plans), in_four_bits=in_four_bits)
    labels = stored_labels(StoredLabels(files))
    return (lambda epoch, rows, x: labels(epoch % epochs, rows, x)), (lambda epoch: plan(epoch % epochs))


def student_top1(
    work: Workspace, protocol: Protocol, seed: int, labels: LabelSource, views: Callable[[int], EpochViews]
) -> float:
    images, classes, stem = work.distilled, len(work.class_names), work.config.teacher.stem
    assert stem != "auto", "settings of a finished run are resolved"
    with seeded(work.config.seed, "student-weights", seed):
        network = build_network(work.config.teacher.arch, classes, work.image_size, stem)
    network = train_student(
        network,
        images.images,
        images.labels,
        images.weights,
        labels,
        protocol,
        views,
        work.teacher.preprocessing,
        work.machine,
        seed,
    )
    batch = work.config.runtime.batch_size
    return score(network, work.validation, classes, work.teacher.preprocessing, work.machine, batch).top1


if __name__ == "__main__":
    main()
