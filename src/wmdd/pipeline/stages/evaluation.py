"""Students: one unit for each protocol, image set, architecture and seed."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from wmdd.augment import Mixes, Views
from wmdd.config import Protocol
from wmdd.models import build_network
from wmdd.pipeline.artifacts import load_soft_labels
from wmdd.pipeline.stage import Stage
from wmdd.pipeline.stages.image_sets import DISTILLED, RANDOM_REAL, load_set
from wmdd.pipeline.units import Unit
from wmdd.pipeline.workspace import UnitContext, Workspace
from wmdd.runtime.random import seeded
from wmdd.stages.evaluation import LabelSource, no_labels, online_labels, stored_labels, train_student
from wmdd.stages.relabel import EpochViews, plan_epoch
from wmdd.stages.scoring import score
from wmdd.stages.training import most_together
from wmdd.storage.json import write_json
from wmdd.storage.labels import StoredLabels


class EvaluationStage(Stage):
    """A unit is one student."""

    name = "evaluation"
    settings = ("evaluation.labels", "teacher.stem", "seed", "synthesis.seed", "ipc", "data.flip", "runtime.precision")
    needs = ("teacher", "synthesis")

    def units(self, work: Workspace) -> Sequence[Unit]:
        methods = (DISTILLED, RANDOM_REAL) if work.config.evaluation.random_real else (DISTILLED,)
        return [
            Unit(
                f"{protocol.name}/{method}/{student}/seed-{seed}",
                {
                    "protocol": protocol.name,
                    "method": method,
                    "student": student,
                    "seed": seed,
                    "recipe": asdict(protocol),
                },
            )
            for protocol in work.protocols
            for student in work.config.evaluation.students
            for seed in work.config.evaluation.seeds
            for method in methods
        ]

    def most_together(self, work: Workspace) -> int:
        count = len(work.class_names) * work.config.ipc
        return min(most_together(count, protocol.batch_size) for protocol in work.protocols)

    def make(self, unit: Unit, work: Workspace, context: UnitContext) -> Sequence[Path]:
        method, seed = unit.covers["method"], unit.covers["seed"]
        protocol = work.protocol(unit.covers["protocol"])
        set_name = method if method == DISTILLED else f"{method}-{seed}"
        images = load_set(set_name, work)
        labels, views_of = _labels_and_views(work, protocol, set_name, len(images.labels))
        stem = work.config.teacher.stem
        assert stem != "auto", "settings are resolved before work begins"
        # Both methods' students of one seed begin with the same weights and see the same order: a paired comparison.
        with seeded(work.config.seed, "student-weights", seed):
            network = build_network(unit.covers["student"], len(work.class_names), work.image_size, stem, work.channels)
        network = train_student(
            network,
            images.images,
            images.labels,
            images.weights,
            labels,
            protocol,
            views_of,
            work.preprocessing,
            work.machine,
            seed,
            log=context,
            savepoint=context.savepoint,
            crew=context.crew,
        )
        result = score(
            network,
            work.validation,
            len(work.class_names),
            work.preprocessing,
            work.machine,
            work.config.runtime.batch_size,
            context.crew,
        )
        if not context.crew.leads:
            return []
        path = work.run.folder(self.name) / f"{unit.name.replace('/', '--')}.json"
        write_json(path, {**unit.covers, **asdict(result)})
        return [path]


def _labels_and_views(
    work: Workspace, protocol: Protocol, set_name: str, count: int
) -> tuple[LabelSource, Callable[[int], EpochViews]]:
    """Where the student's labels and views come from: the stored ones, or made as they are needed."""
    form = work.config.evaluation.labels
    if protocol.labels == "soft" and form != "online":
        epochs = work.config.evaluation.label_epochs(protocol.epochs)
        stored = load_soft_labels(work.run, protocol.name, set_name, epochs, form)
        look_up = stored_labels(stored)
        return (
            lambda epoch, rows, x: look_up(epoch % epochs, rows, x),
            lambda epoch: _stored_epoch(stored, epoch % epochs),
        )

    def plan(epoch: int) -> EpochViews:
        return plan_epoch(protocol, epoch, count, work.image_size, work.synthesis_seed, flip=work.flip)

    return (online_labels(work.teacher, work.machine) if protocol.labels == "soft" else no_labels), plan


def _stored_epoch(stored: StoredLabels, epoch: int) -> EpochViews:
    labels = stored.read(epoch)
    views = Views(labels.box[0].int(), labels.flip[0], torch.zeros(labels.box.shape[1], 2, dtype=torch.int32))
    if labels.partner is None or labels.mix_box is None:
        return EpochViews(views, None)
    return EpochViews(views, Mixes(labels.partner[0].long(), labels.mix_box[0].int()))
