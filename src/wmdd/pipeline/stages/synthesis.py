"""The distilled images, a group of classes at a time, a folder and a file of facts for each class."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from wmdd.core.types import Barycenters, ClassStatistics
from wmdd.pipeline.artifacts import image_names, load_barycenters, load_pooled_moments, load_statistics
from wmdd.pipeline.lowered import halve_group, refuse_another_group
from wmdd.pipeline.stage import Stage
from wmdd.pipeline.units import Unit, class_groups
from wmdd.pipeline.workspace import UnitContext, Workspace
from wmdd.runtime.random import stream
from wmdd.stages.matching import compares_measures
from wmdd.stages.nearest import nearest, nearest_distinct
from wmdd.stages.patches import MOST_IMAGES, stitched_patches
from wmdd.stages.selection import herding, k_center, random_rows
from wmdd.stages.synthesis import SynthesisProblem, noise, synthesize
from wmdd.storage.images import write_png
from wmdd.storage.tensors import write_tensors


class SynthesisStage(Stage):
    """A unit is a group of classes, its membership fixed by ``synthesis.group_size``."""

    name = "synthesis"
    settings = ("synthesis", "ipc", "seed", "data.flip", "runtime.precision")
    needs = ("teacher", "statistics", "barycenters")

    def units(self, work: Workspace) -> Sequence[Unit]:
        return list(class_groups(len(work.class_names), work.group_size))

    def make(self, unit: Unit, work: Workspace, context: UnitContext) -> Sequence[Path]:
        classes: list[int] = unit.covers["classes"]
        statistics, barycenters = load_statistics(work.run, classes), load_barycenters(work.run, classes)
        preprocessing = work.teacher.preprocessing
        compares = compares_measures(work.config.synthesis.feature_loss)
        pixels = synthesize(
            work.teacher,
            SynthesisProblem(
                tuple(classes),
                barycenters.atoms,
                barycenters.weights if work.config.synthesis.follows_atoms else _even(barycenters.weights),
                load_pooled_moments(work.run) if work.config.synthesis.statistics_of == "all" else statistics.moments,
                torch.stack([_start(work, k, g, statistics, barycenters) for g, k in enumerate(classes)]),
                real=tuple(map(statistics.features_of, classes)) if compares else (),
            ),
            work.config.synthesis.per_class(len(work.class_names), work.config.ipc),
            work.machine,
            work.synthesis_seed,
            flip=work.flip,
            log=context,
            savepoint=context.savepoint,
        )
        refuse_another_group(work.run, work.config)
        images = preprocessing.denormalize(pixels.cpu())
        return [
            path
            for k, mine in zip(classes, images, strict=True)
            for path in self._write_class(unit, k, mine, statistics, work)
        ]

    def relieve(self, work: Workspace) -> bool:
        smaller = halve_group(work.run, work.config)
        if smaller is None:
            return False
        work.config = smaller
        work.reporter.say(f"synthesis: out of memory, going on with synthesis.group_size {work.group_size}")
        return True

    def _write_class(
        self, unit: Unit, k: int, images: Tensor, statistics: ClassStatistics, work: Workspace
    ) -> Sequence[Path]:
        """The images of one class, and what the teacher makes of them beside their nearest real ones."""
        paths = [work.run.path / name for name in image_names(unit.name, k, len(images))]
        for path, image in zip(paths, images, strict=True):
            write_png(path, image)
        with torch.no_grad():  # in float32, as the real features are: an image that is a real one is at distance 0
            seen = work.teacher.observe(
                work.machine.layout(
                    work.teacher.preprocessing.normalize(images.to(work.machine.device), work.machine.dtype)
                )
            )
        features = seen.features.float().cpu()
        row, distance = nearest(features, statistics.features_of(k))
        real = statistics.index_of(k)[row]
        facts = work.run.folder(self.name) / unit.name / f"class-{k:04d}.safetensors"
        write_tensors(
            facts,
            {
                "features": features,
                "logits": seen.logits.float(),
                "nearest_index": real,
                "nearest_distance": distance,
                "nearest_images": work.train.take(real),
            },
        )
        return [*paths, facts]


def _even(weights: Tensor) -> Tensor:
    """Those of images that belong to no atom."""
    return torch.full_like(weights, 1 / weights.shape[1])


def _start(work: Workspace, k: int, g: int, statistics: ClassStatistics, barycenters: Barycenters) -> Tensor:
    """Class ``k``'s first images, normalised ``[m, C, S, S]``: noise, or real images."""
    config, seed, features = work.config, work.synthesis_seed, statistics.features_of(k)
    select: dict[str, Callable[[], Tensor]] = {
        "real": lambda: nearest_distinct(barycenters.atoms[g], features),
        "random": lambda: random_rows(features, config.ipc, stream(seed, "start", k)),
        "herding": lambda: herding(features, config.ipc),
        "k-center": lambda: k_center(features, config.ipc),
    }
    if config.synthesis.init == "noise":
        return noise(k, config.ipc, work.image_size, seed, work.channels).to(work.machine.dtype)
    if config.synthesis.init == "patches":
        generator, batch = stream(seed, "patches", k), config.runtime.batch_size
        members = work.train.take(statistics.index_of(k)[random_rows(features, MOST_IMAGES, generator)])
        grid = config.synthesis.patch_grid
        assert isinstance(grid, int)
        return stitched_patches(work.teacher, members, k, config.ipc, work.machine, generator, batch, grid)
    rows = select[config.synthesis.init]()
    chosen = work.train.take(statistics.index_of(k)[rows])
    return work.teacher.preprocessing.normalize(chosen.cpu(), work.machine.dtype)
