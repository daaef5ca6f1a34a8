"""One step of synthesis against the bare network, and against the published step written out.

    python benchmarks/synthesis.py --json FILE [--quick] [--device cuda]

A step is forward, feature loss, per-class statistics loss, backward to the pixels, Adam, clip; views included. Bare is
the same frozen network in the same precision and layout: forward, and backward of ``output.sum()`` to its input. The
published step is float32, eager, contiguous (NCHW): torchvision's random crop and flip, hooks that take mean and
variance of each class at every batch norm, plain norms. All are timed in turns, in one process, step by step, without
the first ones of each turn.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from bars import Bar, Bars, network_parser
from paired import WARM, Tick, steps_in_turns
from wmdd.config.synthesis import SynthesisConfig
from wmdd.core.types import LayerMoments, Moments, Preprocessing
from wmdd.models import Teacher, build_network
from wmdd.runtime.allocator import give_back, keep_freed
from wmdd.runtime.device import Machine, Precision, default_precision, open_machine
from wmdd.runtime.usage import measured
from wmdd.stages.synthesis import SynthesisProblem, synthesize

PACKAGES = ("torch", "timm", "torchvision")
CASES = ((64, 10, 10), (224, 10, 2))  # side, classes, images of each
STEPS = WARM + 4
BATCH = 100


def main() -> None:
    parser = network_parser(__doc__)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    keep_freed()
    if arguments.child:
        print(json.dumps(peak(arguments, *arguments.child)))
        return
    bars = Bars(PACKAGES)
    for side, classes, ipc in CASES[:1] if arguments.quick else CASES:
        measure(bars, Case(side, classes, ipc, arguments.arch, arguments.device), 2 if arguments.quick else 5)
        measure_memory(bars, side, arguments)
    if arguments.json:
        bars.write(arguments.json)


class Case:
    """A frozen network and a problem for it, in every precision."""

    def __init__(self, side: int, classes: int, ipc: int, arch: str, device: str) -> None:
        torch.manual_seed(0)
        self.side, self.classes, self.ipc, self.arch, self.device = side, classes, ipc, arch, device
        self.images = torch.randn(classes, ipc, 3, side, side)
        self.network = build_network(arch, classes, side, "imagenet")
        with torch.no_grad():
            for _ in range(20):
                self.network(torch.randn(8, 3, side, side))  # running statistics as a trained network has
        self.plain = deepcopy(self.network)  # of torch's own convolutions, as others have it
        names = tuple(map(str, range(classes)))
        self.teacher = Teacher(
            self.network, arch=arch, stem="imagenet", preprocessing=Preprocessing(side), class_names=names
        )
        with torch.no_grad():
            seen = self.teacher.observe(self.images.flatten(0, 1))
        self.atoms = seen.features.view(classes, ipc, -1) * 1.1
        self.real: LayerMoments = {
            name: Moments(mean.view(classes, ipc, -1).mean(1) * 1.1, var.view(classes, ipc, -1).mean(1) * 1.1)
            for name, (mean, var) in seen.moments.items()
        }
        self.where = f"{arch}, {side} px, batch {classes * ipc}, {device}"

    def machine(self, precision: Precision) -> Machine:
        machine = open_machine(self.device, precision, torch.get_num_threads())
        self.teacher.network = machine.place(self.network)
        return machine

    def problem(self) -> SynthesisProblem:
        weights = torch.full((self.classes, self.ipc), 1 / self.ipc)
        return SynthesisProblem(tuple(range(self.classes)), self.atoms, weights, self.real, self.images)

    def ours(self, precision: Precision, tick: Tick) -> None:
        machine, config = self.machine(precision), replace(SynthesisConfig(), steps=STEPS, batch_size=BATCH)
        synthesize(self.teacher, self.problem(), config, machine, 0, flip=True, log=lambda *_, **__: tick())

    def bare(self, precision: Precision, tick: Tick) -> None:
        machine = self.machine(precision)
        for _ in range(STEPS):
            x = machine.layout(self.images.flatten(0, 1).to(machine.device)).clone().requires_grad_()
            with machine.autocast():
                output = self.teacher.logits(x)
            output.sum().backward()
            tick()

    def published(self, tick: Tick) -> None:
        """The published step, literally: nothing shared with the package but the network."""
        device = torch.device(self.device)
        network: Any = self.plain.to(device)  # timm's networks have more than a Module
        pixels = self.images.flatten(0, 1).to(device).clone().requires_grad_()
        labels = torch.arange(self.classes, device=device).repeat_interleave(self.ipc)
        optimizer = torch.optim.Adam([pixels], lr=0.1, betas=(0.5, 0.9))
        augment = v2.Compose([v2.RandomResizedCrop(self.side, (0.5, 1)), v2.RandomHorizontalFlip()])
        real = {name: (mean.to(device), var.to(device)) for name, (mean, var) in self.real.items()}
        atoms, lower, upper = self.atoms.flatten(0, 1).to(device), -2.1, 2.6
        seen: dict[str, Tensor] = {}
        handles = [
            layer.register_forward_pre_hook(lambda _, inputs, name=name: seen.__setitem__(name, inputs[0]))
            for name, layer in network.named_modules()
            if isinstance(layer, nn.BatchNorm2d) or layer is network.get_classifier()
        ]
        classifier = next(name for name, layer in network.named_modules() if layer is network.get_classifier())
        for _ in range(STEPS):
            optimizer.zero_grad()
            network(augment(pixels))
            loss = (seen[classifier] - atoms).norm()
            for name, (mean, var) in real.items():
                for k in range(self.classes):
                    mine = seen[name][labels == k]
                    loss = loss + 10 * (mine.mean((0, 2, 3)) - mean[k]).norm()
                    loss = loss + 10 * (mine.var((0, 2, 3), unbiased=False) - var[k]).norm()
            loss.backward()
            optimizer.step()
            pixels.data.clamp_(lower, upper)
            loss.item()
            tick()
        for handle in handles:
            handle.remove()


def measure(bars: Bars, case: Case, repeats: int) -> None:
    best = default_precision(case.device)
    precisions: tuple[Precision, ...] = ("float32",) if best == "float32" else ("float32", best)
    tasks: dict[str, Callable[[Tick], object]] = {"published": case.published}
    for precision in precisions:
        tasks[f"step {precision}"] = partial(case.ours, precision)
        tasks[f"bare {precision}"] = partial(case.bare, precision)
    seconds = steps_in_turns(tasks, repeats)
    for precision in precisions:
        what = f"step / bare, {precision}, {case.where}"
        bars.add(Bar("speed.1", what, seconds[f"step {precision}"] / seconds[f"bare {precision}"], 1.12, "lower"))
    ratio = seconds["published"] / seconds[f"step {best}"]
    bars.add(Bar("speed.1", f"published / ours ({best}), {case.where}", ratio, 4, "higher"))
    bars.note(f"milliseconds, {case.where}", **{name: f"{1000 * found:.1f}" for name, found in seconds.items()})


# --- memory -----------------------------------------------------------------------------------------------------------


def measure_memory(bars: Bars, side: int, arguments: argparse.Namespace) -> None:
    """Peaks of processes of their own while they make steps: package, network and all else that lies there included."""
    for precision in dict.fromkeys(("float32", default_precision(arguments.device))):
        found = {}
        for task in ("ours", "bare"):
            command = [sys.executable, __file__, "--child", task, str(side), precision]
            command += ["--device", arguments.device, "--arch", arguments.arch]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found[task] = json.loads(output.splitlines()[-1])
        where = f"{precision}, {arguments.arch}, {side} px, {arguments.device}"
        bars.add(Bar("speed.1", f"peak memory of a step / bare, {where}", found["ours"] / found["bare"], 1.15, "lower"))
        bars.note(f"peak megabytes, {where}", **{task: f"{megabytes:.0f}" for task, megabytes in found.items()})


def peak(arguments: argparse.Namespace, task: str, side: str, precision: Precision) -> float:
    """Megabytes at the peak of a few steps, what making the case took given back before."""
    case = Case(*next(case for case in CASES if case[0] == int(side)), arguments.arch, arguments.device)
    give_back()
    with measured(torch.device(arguments.device)) as usage:
        {"ours": case.ours, "bare": case.bare}[task](precision, lambda: None)
    return usage.peak_mb


if __name__ == "__main__":
    main()
