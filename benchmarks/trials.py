"""Image sets and the students trained on them, for studies over many seeds: the stages' own functions, no run between.

Teacher and statistics are those of a run. All else (atoms, views, students) is drawn again for each seed. Students are
scored on the run's validation part: a study that chooses something is handed training images only.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from wmdd.config import EvaluationConfig, Protocol
from wmdd.config.teacher import TeacherConfig
from wmdd.models import build_network
from wmdd.pipeline.artifacts import load_statistics
from wmdd.pipeline.workspace import Workspace
from wmdd.runtime.device import Machine
from wmdd.runtime.random import seeded, stream
from wmdd.stages.barycenters import find_barycenters
from wmdd.stages.evaluation import online_labels, train_student
from wmdd.stages.nearest import nearest_distinct
from wmdd.stages.relabel import plan_epoch
from wmdd.stages.scoring import score
from wmdd.stages.synthesis import SynthesisProblem, synthesize
from wmdd.stages.teacher import train_teacher


@dataclass(frozen=True, eq=False)
class ImageSet:
    """``images uint8 [M, 3, S, S]``, class after class, ``weights [M]``, and the mean W2^2 of the atoms they aim at."""

    images: Tensor
    weights: Tensor
    cost: float | None = None


@dataclass
class Trials:
    """What all trials share."""

    work: Workspace
    epochs: int | None = None  # of students, instead of the protocol's

    def protocol(self, ipc: int) -> Protocol:
        """Ours, for sets of that size."""
        (found,) = EvaluationConfig(epochs=self.epochs).chosen_protocols(ipc * len(self.work.class_names))
        return found

    def random_real(self, ipc: int, seed: int) -> ImageSet:
        generator = stream(seed, "random-real")
        rows = [(self.work.train.labels == k).nonzero()[:, 0] for k in range(len(self.work.class_names))]
        chosen = torch.cat([mine[torch.randperm(len(mine), generator=generator)[:ipc]] for mine in rows])
        return ImageSet(self.work.train.take(chosen).cpu(), torch.full((len(chosen),), 1 / ipc))

    def distil(
        self, ipc: int, seed: int, solver: str, *, weighted: bool = False, machine: Machine | None = None
    ) -> ImageSet:
        """Images that start from the real ones nearest to the solver's atoms; ``machine`` is that of synthesis.

        Raises:
            SystemExit: the run's recipe has another start, divergences, or statistics of all classes together.
        """
        work, classes = self.work, range(len(self.work.class_names))
        recipe = work.config.synthesis
        if not (
            recipe.init == "real" and recipe.follows_atoms and recipe.statistics_of == recipe.statistics_per == "class"
        ):
            raise SystemExit(f"{work.run.path} has another start or other losses than `wmdd`, which these trials make.")
        statistics, teacher = load_statistics(work.run, classes), work.teacher
        settings = replace(work.config.barycenters, solver=solver)  # type: ignore[arg-type]
        if solver == "paper":
            settings = replace(settings, restarts=1, iterations=10)
        found = find_barycenters(statistics, classes, ipc, settings, seed)
        nearest = [nearest_distinct(found.atoms[k], statistics.features_of(k)) for k in classes]
        rows = torch.stack([statistics.index_of(k)[row] for k, row in zip(classes, nearest, strict=True)])
        start = torch.stack([teacher.preprocessing.normalize(work.train.take(mine).cpu()) for mine in rows])
        pixels = synthesize(
            teacher,
            SynthesisProblem(tuple(classes), found.atoms, found.weights, statistics.moments, start),
            replace(work.config.synthesis, weighted=weighted),
            machine or work.machine,
            seed,
            flip=work.flip,
        )
        images = teacher.preprocessing.denormalize(pixels.flatten(0, 1).cpu())
        return ImageSet(images, found.weights.flatten().float(), float(found.cost.mean()))

    def student(self, made: ImageSet, seed: int, *, weighted: bool = False, protocol: Protocol | None = None) -> float:
        """Top-1 of a student trained under ``protocol`` (None: ``wmdd``)."""
        work, classes = self.work, len(self.work.class_names)
        count = len(made.images)
        protocol = replace(protocol or self.protocol(count // classes), weighted=weighted)
        plans = [
            plan_epoch(protocol, epoch, count, work.image_size, seed, flip=work.flip)
            for epoch in range(protocol.epochs)
        ]
        network = train_student(
            self._network("student-weights", seed),
            made.images,
            torch.arange(classes).repeat_interleave(count // classes),
            made.weights,
            online_labels(work.teacher, work.machine),
            protocol,
            plans.__getitem__,
            work.teacher.preprocessing,
            work.machine,
            seed,
        )
        return self._score(network, work.machine)

    def teacher(self, seed: int, config: TeacherConfig, machine: Machine) -> float:
        """Top-1 of another teacher, trained from scratch."""
        work = self.work
        network = self._network("teacher-weights", seed)
        train_teacher(network, work.train, work.teacher.preprocessing, config, machine, seed, flip=work.flip)
        return self._score(network, machine)

    def _network(self, purpose: str, seed: int) -> torch.nn.Module:
        config = self.work.config.teacher
        assert config.stem != "auto", "settings are resolved before work begins"
        with seeded(seed, purpose):
            return build_network(config.arch, len(self.work.class_names), self.work.image_size, config.stem)

    def _score(self, network: torch.nn.Module, machine: Machine) -> float:
        work = self.work
        return score(network, work.validation, len(work.class_names), work.teacher.preprocessing, machine, 256).top1
