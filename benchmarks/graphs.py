"""A student's step on a GPU: passes recorded as CUDA graphs, beside the same operations launched one by one.

    python benchmarks/graphs.py --json FILE

Steps of the protocol `wmdd` with the teacher's labels made online, on images of noise; losses of both ways are
compared, too. Timed by ten steps, without the first ten, in one process after one another.
"""

import argparse
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from bars import Bar, Bars
from wmdd.config import PROTOCOLS
from wmdd.core.types import Preprocessing
from wmdd.models import Teacher, build_network
from wmdd.runtime.device import Machine, open_machine
from wmdd.stages import evaluation
from wmdd.stages.evaluation import online_labels, train_student
from wmdd.stages.relabel import plan_epoch

CLASSES, IMAGES = 10, 100
CASES = ((64, 20), (64, 100), (224, 20), (224, 100))  # side, images of a batch
STEPS, TOGETHER = 60, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    machine, bars = open_machine("cuda", "bfloat16", 2), Bars(("torch", "timm"))
    for side, batch in CASES:
        plain, plain_losses = step(machine, side, batch, recorded=False)
        graphs, losses = step(machine, side, batch, recorded=True)
        what = f"student's step, {side} px, batches of {batch}, on {torch.cuda.get_device_name()}"
        bars.note(what, plain_ms=round(plain, 2), recorded_ms=round(graphs, 2), same_losses=losses == plain_losses)
        bars.add(Bar("speed.3", f"{what}: recorded / plain", graphs / plain, 1.0, "lower"))
    if arguments.json:
        bars.write(arguments.json)


def step(machine: Machine, side: int, batch: int, *, recorded: bool) -> tuple[float, list[float]]:
    """Milliseconds of a step, and the first losses rounded to four digits."""
    if recorded:
        return _step(machine, side, batch)
    with (
        patch.object(evaluation, "graph_training", lambda *_: None),
        patch.object(evaluation, "graphed_inference", lambda infer, _: infer),
    ):
        return _step(machine, side, batch)


def _step(machine: Machine, side: int, batch: int) -> tuple[float, list[float]]:
    preprocessing = Preprocessing(side)
    torch.manual_seed(0)
    networks = [build_network("resnet18", CLASSES, side, "imagenet") for _ in range(2)]
    names = tuple(map(str, range(CLASSES)))
    teacher = Teacher(
        machine.place(networks[0]), arch="resnet18", stem="imagenet", preprocessing=preprocessing, class_names=names
    )
    protocol = replace(PROTOCOLS["wmdd"], epochs=STEPS * batch // IMAGES, batch_size=batch, least_steps=0)
    plans = [plan_epoch(protocol, epoch, IMAGES, side, 0, flip=True) for epoch in range(protocol.epochs)]
    times, losses = [], []

    def log(step: int, total: int, **values: Any) -> None:
        losses.append(values["loss"])
        if step % TOGETHER == 0:
            torch.cuda.synchronize()
            times.append(time.perf_counter())

    train_student(
        networks[1],
        torch.randint(0, 255, (IMAGES, 3, side, side), dtype=torch.uint8),
        torch.arange(CLASSES).repeat_interleave(IMAGES // CLASSES),
        torch.ones(IMAGES),
        online_labels(teacher, machine),
        protocol,
        plans.__getitem__,
        preprocessing,
        machine,
        0,
        log=log,
    )
    took = [after - before for before, after in pairwise(times)]
    return median(took) / TOGETHER * 1e3, [
        float(f"{float(loss):.4g}") for loss in losses[:3] if isinstance(loss, Tensor)
    ]


if __name__ == "__main__":
    main()
