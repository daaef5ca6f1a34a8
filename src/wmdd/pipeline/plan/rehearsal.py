"""A run of generated images and untrained networks, with the shapes of the real one; it reads and writes no files."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from wmdd.config import RunConfig
from wmdd.core.types import ClassStatistics, Moments, Preprocessing
from wmdd.data import GeneratedImages, ImageSource, held_bytes
from wmdd.models import Teacher, build_network
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.pipeline.workspace import Workspace
from wmdd.runtime.device import Machine
from wmdd.runtime.progress import Reporter
from wmdd.runtime.random import seeded, stream
from wmdd.stages.synthesis import SynthesisProblem


@dataclass(frozen=True)
class Rehearsal:
    """What stages need, in the shapes that ``config`` (resolved) and the counts of ``source`` give.

    Batches may be ``divided`` among several processes.
    """

    config: RunConfig
    source: ImageSource
    divided: bool = False

    @cached_property
    def work(self) -> Workspace:
        """A workspace that can say which units there are; its run directory does not exist."""
        work = Workspace(RunDirectory(Path("plan")), self.config, Reporter(quiet=True))
        work.__dict__["source"] = self.source  # already open: fill the cached property
        return work

    @property
    def machine(self) -> Machine:
        """Device and precision."""
        return self.work.machine

    @property
    def classes(self) -> int:
        """K."""
        return len(self.source.class_names)

    @property
    def images(self) -> int:
        """M, the images of a distilled set."""
        return self.classes * self.config.ipc

    @property
    def image_bytes(self) -> int:
        """The bytes of an image, one for each value."""
        return self.work.channels * self.work.image_size**2

    @cached_property
    def counts(self) -> list[int]:
        """Training images of each class."""
        return self.source.train.labels.bincount(minlength=self.classes).tolist()

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """Side, mean and standard deviation."""
        channels = self.work.channels
        return Preprocessing(self.work.image_size, (0.5,) * channels, (0.5,) * channels)

    def generated(self, labels: Tensor) -> GeneratedImages:
        """Noise in place of the images with these ``labels``."""
        return GeneratedImages(labels, self.work.image_size, self.machine.device, self.work.channels)

    @cached_property
    def train(self) -> GeneratedImages:
        """As many training images as there are."""
        return self.generated(self.source.train.labels)

    @cached_property
    def validation(self) -> GeneratedImages:
        """As many validation images as there are."""
        return self.generated(self.source.validation.labels)

    @property
    def held(self) -> int:
        """Bytes of the real images that a run holds in memory."""
        splits = (self.source.train, self.source.validation)
        return sum(held_bytes(split, self.work.image_size, self.config.data) for split in splits)

    def network(self, arch: str) -> nn.Module:
        """An untrained network of this run."""
        stem = self.config.teacher.stem
        assert stem != "auto", "settings are resolved before they are rehearsed"
        with seeded(self.config.seed, "plan"):
            return build_network(arch, self.classes, self.work.image_size, stem, self.work.channels)

    @cached_property
    def teacher(self) -> Teacher:
        """An untrained teacher, on the machine."""
        arch = self.config.teacher.arch
        teacher = Teacher(
            self.network(arch),
            arch=arch,
            stem=self.config.teacher.stem,
            preprocessing=self.preprocessing,
            class_names=self.source.class_names,
        )
        self.machine.place(teacher.network)
        return teacher

    @cached_property
    def layers(self) -> dict[str, int]:
        """The norm layers that are matched, and the channels of each."""
        with torch.no_grad():
            seen = self.teacher.observe(self.preprocessing.blank(self.machine.dtype, self.machine.device))
        return {name: moments.mean.shape[1] for name, moments in seen.moments.items()}

    @cached_property
    def width(self) -> int:
        """D."""
        return self.teacher.num_features()

    def features(self, classes: Sequence[int]) -> list[Tensor]:
        """Features ``[n_k, D]`` of each class: a few clusters, with a spectrum that decays as trained ones' does."""
        scales = (1 + torch.arange(self.width)) ** -0.5
        found = []
        for k in classes:
            generator = stream(self.config.seed, "plan", k)
            centres = torch.randn(8, self.width, generator=generator)
            of = torch.randint(8, (self.counts[k],), generator=generator)
            points = centres[of] + torch.randn(self.counts[k], self.width, generator=generator)
            found.append((scales * points + 0.3).clamp(min=0))
        return found

    def statistics(self, classes: Sequence[int]) -> ClassStatistics:
        """What the statistics stage would leave of ``classes``."""
        parts = self.features(classes)
        offsets = torch.tensor([0, *map(len, parts)]).cumsum(0)
        return ClassStatistics(tuple(classes), {}, torch.cat(parts), offsets, torch.arange(int(offsets[-1])))

    def problem(self, classes: Sequence[int], ipc: int) -> SynthesisProblem:
        """A synthesis problem of ``classes`` with ``ipc`` images each, started from noise."""
        count, side = len(classes), self.work.image_size
        aims = 1 if self.config.synthesis.statistics_of == "all" else count
        moments = {
            name: Moments(torch.zeros(aims, channels), torch.ones(aims, channels))
            for name, channels in self.layers.items()
        }
        return SynthesisProblem(
            tuple(classes),
            atoms=torch.rand(count, ipc, self.width),
            weights=torch.full((count, ipc), 1 / ipc),
            moments=moments,
            start=torch.zeros(count, ipc, self.work.channels, side, side, dtype=self.machine.dtype),
            real=tuple(self.features(classes)),
        )
