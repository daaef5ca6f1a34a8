"""Train or load the teacher, and score it once."""

import math
from collections.abc import Sequence
from pathlib import Path

from wmdd.core.hashing import digest_file
from wmdd.core.types import Preprocessing
from wmdd.models import initial_teacher, is_own, lent_network, published
from wmdd.models.stems import has_imagenet_stem
from wmdd.pipeline.resolve import is_trained, weights_of
from wmdd.pipeline.stage import Stage
from wmdd.pipeline.units import Unit
from wmdd.pipeline.workspace import UnitContext, Workspace
from wmdd.runtime.random import seeded
from wmdd.stages.channels import channel_statistics
from wmdd.stages.scoring import score
from wmdd.stages.teacher import train_teacher
from wmdd.stages.training import most_together
from wmdd.storage.json import write_json
from wmdd.storage.tensors import write_tensors


class TeacherStage(Stage):
    """One unit: the whole network."""

    name = "teacher"
    settings = (
        "teacher",
        "seed",
        "data.image_size",
        "data.channels",
        "data.flip",
        "data.validation",
        "data.split_seed",
        "runtime.precision",
    )
    needs = ()

    def units(self, work: Workspace) -> Sequence[Unit]:
        return [Unit("teacher", {})]

    def most_together(self, work: Workspace) -> int:
        config = work.config.teacher
        return most_together(len(work.source.train.labels), config.batch_size) if is_trained(config) else 1

    def make(self, unit: Unit, work: Workspace, context: UnitContext) -> Sequence[Path]:
        config, preprocessing, names = work.config.teacher, _preprocessing(work), work.class_names
        assert config.stem != "auto", "settings are resolved before work begins"
        with seeded(work.config.seed, "teacher-weights"):
            network = initial_teacher(
                config.arch, len(names), work.image_size, config.stem, work.channels, weights_of(config)
            )
        trained = is_trained(config)
        if not trained:
            work.machine.place(network)
        else:
            train_teacher(
                network,
                work.train,
                preprocessing,
                config,
                work.machine,
                work.config.seed,
                flip=work.flip,
                log=context,
                savepoint=context.savepoint,
                crew=context.crew,
            )
        result = score(
            network,
            work.validation,
            len(names),
            preprocessing,
            work.machine,
            work.config.runtime.batch_size,
            context.crew,
        )
        if not context.crew.leads:
            return []
        weights, facts = (work.run.folder(self.name) / f"teacher.{suffix}" for suffix in ("safetensors", "json"))
        write_tensors(weights, network.state_dict())
        chance, useless_below = chance_level(work.validation.labels.bincount(minlength=len(names)).tolist())
        write_json(
            facts,
            {
                "arch": config.arch,
                "stem": config.stem,
                "stem_is": _describe_stem(network, config.stem),
                "image_size": work.image_size,
                "mean": preprocessing.mean,
                "std": preprocessing.std,
                "class_names": names,
                "trained": trained,
                "sha256": digest_file(weights),
                "parameters": sum(parameter.numel() for parameter in network.parameters()),
                "top1": result.top1,
                "top5": result.top5,
                "per_class": result.per_class,
                "chance": chance,
                "useless_below": useless_below,
            },
        )
        return [weights, facts]


def _preprocessing(work: Workspace) -> Preprocessing:
    """What the weights expect, if known; else ImageNet's for RGB images, for others what the training images have."""
    config = work.config.teacher
    if config.pretrained:
        known = published(config.arch)
        return Preprocessing(work.image_size, known.mean, known.std)
    own = lent_network(config.arch) if is_own(config.arch) else None
    if own and own.mean and own.std:
        return Preprocessing(work.image_size, tuple(own.mean), tuple(own.std))
    if work.channels == 3:
        return Preprocessing(work.image_size)
    return Preprocessing(work.image_size, *channel_statistics(work.train, work.config.runtime.batch_size))


def chance_level(counts: Sequence[int]) -> tuple[float, float]:
    """Top-1 in percent of always naming the largest class, and what is not distinguishable from it (3 sigma).

    A perfect score always is: of few validation images even that is within 3 sigma.
    """
    total = sum(counts)
    p = max(counts) / total
    return round(100 * p, 4), round(100 * min(p + 3 * math.sqrt(p * (1 - p) / total), 1 - 1 / total), 4)


def _describe_stem(network: object, stem: str) -> str:
    if has_imagenet_stem(network):  # type: ignore[arg-type]
        return "7x7 convolution of stride 2 and max-pooling (ImageNet's)"
    if stem == "small" and hasattr(network, "maxpool"):
        return "3x3 convolution of stride 1, no pooling (for small images)"
    return "the network's own"
