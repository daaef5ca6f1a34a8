"""Soft labels in every stored form: bytes, reading time, and the students that learn from them.

    python benchmarks/labels.py --json FILE                      sizes and times, on generated logits
    python benchmarks/labels.py RUN --seeds 0 1 2 --json FILE    students too, on images and teacher of a finished run

Sizes are those of files that the package wrote, views included, for as many labels as a unit of 10 images a class has.
The logits are generated: a random linear head on random features (512, rectified, with a spectrum that decays as that
of trained features does), classes around centres of their own, two of them mixed as CutMix does, and the right ones
ahead. How far they can be compressed depends on their spectrum, so logits without any structure stand beside as the
worst case. RUN is only read.
"""

import argparse
import math
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, median, stdev

import torch
from torch import Tensor
from torch.nn import functional as F

from bars import Bar, Bars
from wmdd.config import PROTOCOLS, Protocol
from wmdd.config.evaluation import REUSE
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

IPC, WIDTH, SIZE = 10, 512, 224
CLASSES = (10, 200, 1000)
EPOCHS = {10: 50, 200: 50, 1000: 3}  # of a unit with that many classes and IPC images of each
QUICK_EPOCHS = {10: 10, 200: 5, 1000: 1}
READS = 20
FORMS = {"fp16": False, "compact": True}
TEMPERATURES = (20.0, 1.0)
REUSED_FORM = f"fp16, a {REUSE}th of the epochs reused"
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
        logits = generated(classes, epochs[classes])
        measure_form(bars, folder, "generated", logits, 10 if classes == 1000 else None)
    small = torch.randn(1, CLASSES[-1] * IPC, CLASSES[-1], generator=torch.Generator().manual_seed(0))
    measure_form(bars, folder, "without structure", small.half(), None)


def measure_form(bars: Bars, folder: Path, kind: str, logits: Tensor, limit: float | None) -> None:
    epochs, count, classes = logits.shape
    where = f"{kind}, K = {classes}"
    sizes, kept = {}, {}
    for form, compact in FORMS.items():
        path = folder / f"{form}.safetensors"
        began = time.perf_counter()
        write_soft_labels(path, with_views(logits), compact=compact)
        seconds = time.perf_counter() - began
        stored = StoredLabels({0: path})
        sizes[form] = path.stat().st_size / (epochs * count)
        kept[form] = torch.stack([stored[epoch] for epoch in range(epochs)])
        bars.note(
            f"{form}, {where}",
            bytes_per_image_class_epoch=round(sizes[form] / classes, 4),
            bytes_per_label=round(sizes[form], 1),
            milliseconds_to_read_an_epoch=round(1000 * reading_seconds(path, epochs), 2),
            microseconds_a_label_to_write=round(1e6 * seconds / (epochs * count), 1),
        )
    ratio = sizes["fp16"] / sizes["compact"]
    if limit:
        bars.add(Bar("speed.5", f"bytes of fp16 / compact, whole files, {where}", ratio, limit, "higher"))
    else:
        bars.note(f"bytes of fp16 / compact, whole files, {where}", ratio=round(ratio, 2))
    bars.note(f"none (online teacher), {where}", bytes_per_image_class_epoch=0)
    views = sizes["fp16"] - 2 * classes
    top = largest(logits, round((sizes["compact"] - views) / 4))
    for name, decoded in (("compact", kept["compact"]), ("top-k of as many bytes", top)):
        lost = {f"at_T_{temperature:g}": lost_share(logits, decoded, temperature) for temperature in TEMPERATURES}
        bars.note(f"KL from the exact targets over that of uniform ones, {name}, {where}", **lost)


def generated(classes: int, epochs: int) -> Tensor:
    """Logits ``float16 [epochs, IPC classes, classes]`` of no real network; what they are is said above."""
    draw = torch.Generator().manual_seed(classes)
    scales = torch.arange(1, WIDTH + 1) ** -0.5
    centres, head = torch.randn(classes, WIDTH, generator=draw), torch.randn(WIDTH, classes, generator=draw)
    own = torch.arange(classes).repeat_interleave(IPC)
    blocks = []
    for _ in range(epochs):
        share = torch.rand(len(own), 1, generator=draw)
        other = own[torch.randperm(len(own), generator=draw)]
        middle = share * centres[own] + (1 - share) * centres[other]
        features = (scales * (middle + torch.randn(len(own), WIDTH, generator=draw)) + 0.3).relu()
        logits = features @ head
        logits = 1.5 * (logits - logits.mean(1, keepdim=True)) / logits.std()
        ahead = share * F.one_hot(own, classes) + (1 - share) * F.one_hot(other, classes)
        blocks.append((logits + 6 * ahead).half())
    return torch.stack(blocks)


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


def largest(logits: Tensor, count: int) -> Tensor:
    """The largest logits as they are (two bytes, and two of the index), the others at their mean: the best constant."""
    logits = logits.float()
    top, index = logits.topk(max(1, min(count, logits.shape[-1] - 1)), dim=-1)
    rest = (logits.sum(-1, keepdim=True) - top.sum(-1, keepdim=True)) / (logits.shape[-1] - top.shape[-1])
    return rest.expand_as(logits).scatter(-1, index, top)


def lost_share(exact: Tensor, kept: Tensor, temperature: float) -> float:
    p, q = (F.log_softmax(logits.float() / temperature, dim=-1) for logits in (exact, kept))
    lost = float((p.exp() * (p - q)).sum(-1).mean())
    return round(lost / float((p.exp() * (p + math.log(p.shape[-1]))).sum(-1).mean()), 4)


# --- students ---------------------------------------------------------------------------------------------------------


def compare_students(bars: Bars, folder: Path, path: Path, seeds: Sequence[int], epochs: int | None) -> None:
    """Top-1 of students on the run's distilled images: same weights, views and order, labels of each form."""
    run = RunDirectory(path)
    config = run.config()
    threads = replace(config.runtime, threads=torch.get_num_threads())
    work = Workspace(run, replace(config, runtime=threads), Reporter(quiet=True))
    protocol = replace(PROTOCOLS["wmdd"], epochs=epochs or PROTOCOLS["wmdd"].epochs)
    name = f"{Path(config.data.source).name}, {protocol.epochs} epochs"
    sources = {form: stored_form(work, folder, protocol, compact) for form, compact in FORMS.items()}
    sources["none (online teacher)"] = (online_labels(work.teacher, work.machine), planner(work, protocol))
    sources[REUSED_FORM] = reused(sources["fp16"], -(-protocol.epochs // REUSE))
    top1 = {form: [] for form in sources}
    for seed in seeds:
        for form, (labels, views) in sources.items():
            top1[form].append(student_top1(work, protocol, seed, labels, views))
    for form, found in top1.items():
        lost = [raw - mine for raw, mine in zip(top1["fp16"], found, strict=True)]
        spread = {"std": round(stdev(found), 2), "std_of_points_lost": round(stdev(lost), 2)} if len(seeds) > 1 else {}
        values = {"top1": round(mean(found), 2), "points_lost": round(mean(lost), 2)}
        bars.note(f"students of {form}, {name}, {len(seeds)} seed(s)", **values, **spread)
    if protocol == PROTOCOLS["wmdd"]:  # students of a few epochs have learnt little and differ by chance
        for form in ("compact", REUSED_FORM):
            lost = mean(top1["fp16"]) - mean(top1[form])
            what = f"points of top-1 lost by {form}, mean of {len(seeds)} seed(s), {name}"
            bars.add(Bar("speed.5", what, lost, 0.5, "lower"))


Source = tuple[LabelSource, Callable[[int], EpochViews]]


def planner(work: Workspace, protocol: Protocol) -> Callable[[int], EpochViews]:
    count, size = len(work.distilled.labels), work.image_size
    return lambda epoch: plan_epoch(protocol, epoch, count, size, work.config.seed, flip=work.flip)


def stored_form(work: Workspace, folder: Path, protocol: Protocol, compact: bool) -> Source:
    """Labels of the run's images that were written to files of one form, and are read from there."""
    plan, files = planner(work, protocol), {}
    images = work.distilled.images.to(work.machine.device)
    for first in range(0, protocol.epochs, EPOCHS_PER_FILE):
        plans = [plan(epoch) for epoch in range(first, min(first + EPOCHS_PER_FILE, protocol.epochs))]
        logits = [label_epoch(work.teacher, images, p, work.machine, work.config.evaluation.batch_size) for p in plans]
        files[first] = folder / f"students-{compact}-{first}.safetensors"
        write_soft_labels(files[first], labels_of(torch.stack(logits), plans), compact=compact)
    return stored_labels(StoredLabels(files)), plan


def reused(source: Source, epochs: int) -> Source:
    """The views and labels of the first ``epochs``, again and again."""
    labels, views = source
    return (lambda epoch, rows, x: labels(epoch % epochs, rows, x)), (lambda epoch: views(epoch % epochs))


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
    batch = work.config.evaluation.batch_size
    return score(network, work.validation, classes, work.teacher.preprocessing, work.machine, batch).top1


if __name__ == "__main__":
    main()
