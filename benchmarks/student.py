"""A training step of a student, and of a teacher, against the bare one; and against reading everything from files.

    python benchmarks/student.py --json FILE [--quick] [--device cuda]

Ours is the package's own training: views, mixing and soft labels looked up (students), random crops of real images in
memory (teachers). Bare is the same network, optimiser, precision and layout on one fixed random batch, with its loss.
The literal way decodes a PNG for every image and epoch, crops and flips it with torchvision, mixes the batch, and loads
the batch's labels from a file of its own.
"""

import math
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms import v2

from bars import Bar, Bars, network_parser
from paired import in_turns
from wmdd.config import PROTOCOLS
from wmdd.config.teacher import TeacherConfig
from wmdd.core.types import Preprocessing
from wmdd.data.images import MemoryImages
from wmdd.models import build_network
from wmdd.runtime.device import Machine, default_precision, open_machine
from wmdd.stages.evaluation import stored_labels, train_student
from wmdd.stages.relabel import plan_epoch
from wmdd.stages.teacher import train_teacher

CASES = ((64, 100, 50), (224, 20, 20))  # side, images of the set, batch
CLASSES, EPOCHS = 10, 3
SHORT = 1  # epochs of the second timing, which is subtracted: it takes what a call does once


def main() -> None:
    arguments = network_parser(__doc__).parse_args()
    bars = Bars(("torch", "timm", "torchvision", "pillow"))
    machine = open_machine(arguments.device, default_precision(arguments.device), torch.get_num_threads())
    for side, count, batch in CASES[:1] if arguments.quick else CASES:
        Measurement(side, count, batch, arguments.arch, machine).run(bars, 2 if arguments.quick else 7)
    if arguments.json:
        bars.write(arguments.json)


class Measurement:
    """One set of images, and everybody's way of training on it."""

    def __init__(self, side: int, count: int, batch: int, arch: str, machine: Machine) -> None:
        torch.manual_seed(0)
        self.side, self.count, self.batch, self.arch, self.machine = side, count, batch, arch, machine
        self.images = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8)
        self.labels = torch.arange(count) % CLASSES
        self.soft = torch.randn(EPOCHS + SHORT, count, CLASSES)
        self.preprocessing = Preprocessing(side)
        self.protocol = replace(PROTOCOLS["wmdd"], batch_size=batch)

    def network(self) -> nn.Module:
        return build_network(self.arch, CLASSES, self.side, "imagenet")

    def run(self, bars: Bars, repeats: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            files = Path(folder)
            self.write(files)
            tasks: dict[str, Callable[[], object]] = {
                "student": partial(self.student, EPOCHS + SHORT),
                "student once": partial(self.student, SHORT),
                "teacher": partial(self.teacher, EPOCHS + SHORT),
                "teacher once": partial(self.teacher, SHORT),
                "bare student": partial(self.bare, soft=True),
                "bare teacher": partial(self.bare, soft=False),
                "literal": partial(self.literal, files),
            }
            seconds = in_turns(tasks, repeats)
        rate = {who: EPOCHS * self.count / (seconds[who] - seconds[f"{who} once"]) for who in ("student", "teacher")}
        rate |= {f"bare {who}": EPOCHS * self.count / seconds[f"bare {who}"] for who in ("student", "teacher")}
        rate["literal"] = EPOCHS * self.count / seconds["literal"]
        machine = self.machine
        where = f"{self.arch}, {self.side} px, batch {self.batch}, {machine.precision}, {machine.device}"
        for bar, who in (("speed.3", "student"), ("speed.4", "teacher")):
            what = f"images a second, {who} / bare, {where}"
            bars.add(Bar(bar, what, rate[who] / rate[f"bare {who}"], 0.85, "higher"))
        bars.add(Bar("speed.3", f"student / literal, {where}", rate["student"] / rate["literal"], 5, "higher"))
        bars.note(f"images a second, {where}", **{who: f"{found:.0f}" for who, found in rate.items()})

    def student(self, epochs: int) -> None:
        protocol = replace(self.protocol, epochs=epochs)
        plans = [plan_epoch(protocol, epoch, self.count, self.side, 0, flip=True) for epoch in range(epochs)]
        weights = torch.full((self.count,), CLASSES / self.count)
        train_student(
            self.network(),
            self.images,
            self.labels,
            weights,
            stored_labels(self.soft),
            protocol,
            plans.__getitem__,
            self.preprocessing,
            self.machine,
            0,
        )

    def teacher(self, epochs: int) -> None:
        images = MemoryImages(self.images.to(self.machine.device), self.labels)
        config = replace(TeacherConfig(), epochs=epochs, batch_size=self.batch)
        train_teacher(self.network(), images, self.preprocessing, config, self.machine, 0, flip=True)

    def bare(self, *, soft: bool) -> None:
        machine = self.machine
        network = machine.place(self.network()).train()
        optimizer = self.optimizer(network) if soft else torch.optim.SGD(network.parameters(), 0.05, 0.9, nesterov=True)
        x = machine.layout(torch.randn(self.batch, 3, self.side, self.side, device=machine.device))
        target = torch.randn(self.batch, CLASSES, device=machine.device).softmax(1)
        for _ in range(EPOCHS * math.ceil(self.count / self.batch)):
            optimizer.zero_grad(set_to_none=True)
            with machine.autocast():
                logits = network(x)
            F.cross_entropy(logits.float(), target).backward()
            optimizer.step()

    def optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.AdamW(network.parameters(), lr=self.protocol.lr, weight_decay=self.protocol.weight_decay)

    # --- the literal way ----------------------------------------------------------------------------------------------

    def write(self, files: Path) -> None:
        for row, image in enumerate(self.images):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(files / f"{row}.png")
        for epoch in range(EPOCHS):
            for step in range(math.ceil(self.count / self.batch)):
                torch.save(self.soft[epoch, step * self.batch : (step + 1) * self.batch], files / f"{epoch}-{step}.pt")

    def literal(self, files: Path) -> None:
        """float32, contiguous, one image after another."""
        device, network = self.machine.device, self.network().to(self.machine.device).train()
        optimizer = self.optimizer(network)
        view = v2.Compose(
            [
                v2.RandomResizedCrop(self.side, (0.08, 1)),
                v2.RandomHorizontalFlip(),
                v2.PILToTensor(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(self.preprocessing.mean, self.preprocessing.std),
            ]
        )
        for epoch in range(EPOCHS):
            for step in range(math.ceil(self.count / self.batch)):
                rows = range(step * self.batch, min((step + 1) * self.batch, self.count))
                x = torch.stack([view(Image.open(files / f"{row}.png").convert("RGB")) for row in rows]).to(device)
                x = self.mixed(x)
                target = torch.load(files / f"{epoch}-{step}.pt", weights_only=True).to(device)
                optimizer.zero_grad()
                own = F.log_softmax(network(x) / self.protocol.temperature, 1)
                loss = F.kl_div(own, F.softmax(target / self.protocol.temperature, 1), reduction="batchmean")
                loss.backward()
                optimizer.step()
                loss.item()

    def mixed(self, x: Tensor) -> Tensor:
        side = self.side // 2
        x[:, :, :side, :side] = x.flip(0)[:, :, :side, :side]
        return x


if __name__ == "__main__":
    main()
