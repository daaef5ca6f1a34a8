"""A training step of a student against the bare one, and against reading everything from files.

    python benchmarks/student.py --json FILE [--quick] [--device cuda]

Ours is the package's own training: views, mixing and soft labels looked up. Bare is the same network, optimiser,
precision and layout on one fixed random batch, with its loss.
The literal way decodes a PNG for every image and epoch, crops and flips it with torchvision, mixes the batch, and loads
the batch's labels from a file of its own.
"""

import math
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms import v2

from bare import train_bare
from bars import Bar, Bars, network_parser
from paired import in_turns
from wmdd.augment import column_major
from wmdd.config import PROTOCOLS
from wmdd.core.types import Preprocessing
from wmdd.models import build_network
from wmdd.runtime.allocator import keep_freed
from wmdd.runtime.device import Machine, default_precision, open_machine
from wmdd.stages.evaluation import stored_labels, train_student
from wmdd.stages.relabel import EpochViews, plan_epoch, show

CASES = ((64, 100, 50), (224, 20, 20))  # side, images of the set, batch
CLASSES, EPOCHS = 10, 3
SHORT = 1  # epochs of the second timing, which is subtracted: it takes what a call does once


def main() -> None:
    arguments = network_parser(__doc__).parse_args()
    bars = Bars(("torch", "timm", "torchvision", "pillow"))
    keep_freed()
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
                "bare": partial(self.bare, EPOCHS + SHORT),
                "bare once": partial(self.bare, SHORT),
                "literal": partial(self.literal, files),
                "batches": self.batches,
                "literal batches": lambda: [None for _ in self.literal_batches(files)],
            }
            seconds = in_turns(tasks, repeats)
        pictures = EPOCHS * self.count
        rate = {name: pictures / seconds[name] for name in ("literal", "batches", "literal batches")}
        rate |= {name: pictures / (seconds[name] - seconds[f"{name} once"]) for name in ("student", "bare")}
        machine = self.machine
        where = f"{self.arch}, {self.side} px, batch {self.batch}, {machine.precision}, {machine.device}"
        bars.add(
            Bar("speed.3", f"images a second, student / bare, {where}", rate["student"] / rate["bare"], 0.85, "higher")
        )
        bars.add(Bar("speed.3", f"student / literal, {where}", rate["student"] / rate["literal"], 5, "higher"))
        what = f"batches of views and labels alone, ours / literal, {where}"
        bars.add(Bar("speed.3", what, rate["batches"] / rate["literal batches"], 5, "higher"))
        bars.note(f"images a second, {where}", **{who: f"{found:.0f}" for who, found in rate.items()})

    def student(self, epochs: int) -> None:
        protocol = replace(self.protocol, epochs=epochs)
        plans = self.plans(epochs)
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

    def plans(self, epochs: int) -> list[EpochViews]:
        return [plan_epoch(self.protocol, epoch, self.count, self.side, 0, flip=True) for epoch in range(epochs)]

    def batches(self) -> None:
        """What a student is shown, and no student."""
        images, labels = column_major(self.images.to(self.machine.device)), stored_labels(self.soft)
        for epoch, plan in enumerate(self.plans(EPOCHS)):
            for rows in torch.arange(self.count).split(self.batch):
                x = self.machine.layout(show(images, plan, rows, self.preprocessing, self.machine.dtype))
                labels(epoch, rows, x)

    def bare(self, epochs: int) -> None:
        network, steps = self.machine.place(self.network()), epochs * math.ceil(self.count / self.batch)
        train_bare(network, self.optimizer(network), self.batch, self.side, CLASSES, steps, self.machine)

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
        network = self.network().to(self.machine.device).train()
        optimizer = self.optimizer(network)
        for x, target in self.literal_batches(files):
            optimizer.zero_grad()
            own = F.log_softmax(network(x) / self.protocol.temperature, 1)
            loss = F.kl_div(own, F.softmax(target / self.protocol.temperature, 1), reduction="batchmean")
            loss.backward()
            optimizer.step()
            loss.item()

    def literal_batches(self, files: Path) -> Iterator[tuple[Tensor, Tensor]]:
        device = self.machine.device
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
                yield self.mixed(x), torch.load(files / f"{epoch}-{step}.pt", weights_only=True).to(device)

    def mixed(self, x: Tensor) -> Tensor:
        side = self.side // 2
        x[:, :, :side, :side] = x.flip(0)[:, :, :side, :side]
        return x


if __name__ == "__main__":
    main()
