"""A training step of a teacher against the bare one; and what the default precision costs in accuracy.

    python benchmarks/teacher.py --json FILE [--data FOLDER] [--teacher-epochs N] [--quick] [--device cuda]

Ours is the package's own training on real images in memory: their order, random crops, loss, SGD. Bare is the same
network, optimiser, precision and layout on one fixed random batch. Then teachers are trained on the digits (or on
--data, at 64 px) in float32 and in the default precision, with the same seeds, and scored on the validation split.
"""

import argparse
import math
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import hypot
from pathlib import Path
from statistics import stdev
from time import perf_counter

import torch
from torch import nn

from bare import train_bare
from bars import Bar, Bars, network_parser
from paired import in_turns
from spread import paired_difference
from trials import Trials
from wmdd.api import begin
from wmdd.config.load import nested
from wmdd.config.teacher import TeacherConfig
from wmdd.core.types import Preprocessing
from wmdd.data.images import MemoryImages
from wmdd.models import build_network
from wmdd.pipeline.runner import run_stages
from wmdd.runtime.allocator import keep_freed
from wmdd.runtime.device import Machine, Precision, default_precision, open_machine
from wmdd.runtime.progress import Reporter
from wmdd.stages.teacher import train_teacher

CASES = ((64, 256, 64), (224, 40, 20))  # side, images, batch
CLASSES = 10
SHORT, LONG = 1, 3  # epochs
SEEDS = (0, 1, 2)


def main() -> None:
    parser = network_parser(__doc__)
    parser.add_argument("--data", help="folder of images to train on, instead of the digits")
    parser.add_argument("--teacher-epochs", type=int, default=TeacherConfig().epochs)
    arguments = parser.parse_args()
    keep_freed()
    bars = Bars(("torch", "timm"))
    for side, count, batch in CASES[:1] if arguments.quick else CASES:
        step(bars, side, count, batch, arguments)
    accuracy(bars, arguments)
    if arguments.json:
        bars.write(arguments.json)


def machine_of(precision: Precision, arguments: argparse.Namespace) -> Machine:
    return open_machine(arguments.device, precision, torch.get_num_threads())


# --- a step -----------------------------------------------------------------------------------------------------------


def step(bars: Bars, side: int, count: int, batch: int, arguments: argparse.Namespace) -> None:
    torch.manual_seed(0)
    pixels = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, device=arguments.device)
    images, config = MemoryImages(pixels, torch.arange(count) % CLASSES), replace(TeacherConfig(), batch_size=batch)
    best = default_precision(arguments.device)

    def network() -> nn.Module:
        return build_network(arguments.arch, CLASSES, side, "imagenet")

    def ours(epochs: int) -> None:
        shape = Preprocessing(side)
        train_teacher(
            network(), images, shape, replace(config, epochs=epochs), machine_of(best, arguments), 0, flip=True
        )

    def bare(precision: Precision, epochs: int) -> None:
        machine = machine_of(precision, arguments)
        placed = machine.place(network())
        optimizer = torch.optim.SGD(
            placed.parameters(), config.lr, config.momentum, weight_decay=config.weight_decay, nesterov=True
        )
        train_bare(placed, optimizer, batch, side, CLASSES, epochs * math.ceil(count / batch), machine)

    tasks: dict[str, Callable[[int], None]] = {"ours": ours, "bare": partial(bare, best)}
    if best != "float32":
        tasks["bare float32"] = partial(bare, "float32")
    # Two lengths: their difference is free of what a call does once.
    both = {f"{name} {epochs}": partial(task, epochs) for name, task in tasks.items() for epochs in (SHORT, LONG)}
    seconds = in_turns(both, 2 if arguments.quick else 7)
    rate = {name: (LONG - SHORT) * count / (seconds[f"{name} {LONG}"] - seconds[f"{name} {SHORT}"]) for name in tasks}
    where = f"{arguments.arch}, {side} px, batch {batch}, {best}, {arguments.device}"
    bars.add(Bar("speed.4", f"images a second, teacher / bare, {where}", rate["ours"] / rate["bare"], 0.85, "higher"))
    if best != "float32":
        what = f"images a second, default precision / float32, {where}"
        bars.add(Bar("speed.4", what, rate["bare"] / rate["bare float32"], 1, "higher"))
    bars.note(f"images a second, {where}", **{name: f"{found:.0f}" for name, found in rate.items()})


# --- accuracy ---------------------------------------------------------------------------------------------------------


def accuracy(bars: Bars, arguments: argparse.Namespace) -> None:
    best = default_precision(arguments.device)
    if best == "float32":
        bars.note("the default precision here is float32: nothing to compare")
        return
    with tempfile.TemporaryDirectory() as folder:
        settings = {"runtime.device": arguments.device, "teacher.epochs": 1}
        if arguments.data:
            settings |= {"data.source": arguments.data, "data.image_size": 64, "teacher.stem": "imagenet"}
        work = begin(Path(folder) / "run", nested(settings), Reporter(quiet=True))
        run_stages(work, ("teacher",))
        trials, config = Trials(work), replace(work.config.teacher, epochs=arguments.teacher_epochs)
        found: dict[Precision, list[float]] = {"float32": [], best: []}
        seconds: dict[Precision, float] = dict.fromkeys(found, 0.0)
        for seed in SEEDS:
            for precision, scores in found.items():
                began = perf_counter()
                scores.append(trials.teacher(seed, config, machine_of(precision, arguments)))
                seconds[precision] += perf_counter() - began
    what = f"top-1 of teachers, {work.source.name}, {config.arch}, {config.epochs} epochs"
    bars.note(what, **dict(found.items()))
    bars.note(f"seconds, {what}", **{precision: f"{took:.1f}" for precision, took in seconds.items()})
    mean, error = paired_difference(found[best], found["float32"])
    bars.note(f"{best} less float32, seed by seed, {what}", mean=f"{mean:.2f}", standard_error=f"{error:.2f}")
    noise = hypot(*(stdev(scores) for scores in found.values())) / len(SEEDS) ** 0.5
    within = f"|{best} less float32| against the noise of the seeds (two standard errors), {what}"
    bars.add(Bar("speed.4", within, abs(mean) / (2 * noise), 1, "lower"))


if __name__ == "__main__":
    main()
