"""Soft labels of every view, some epochs at a time."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from wmdd.augment import column_major
from wmdd.core.types import SoftLabels
from wmdd.pipeline.stage import Stage
from wmdd.pipeline.stages.image_sets import load_set, set_names
from wmdd.pipeline.units import Unit
from wmdd.pipeline.workspace import UnitContext, Workspace
from wmdd.stages.relabel import label_epoch, plan_epoch
from wmdd.storage.labels import write_soft_labels

_BYTES_PER_UNIT = 64_000_000
_EPOCHS_PER_UNIT = 50


class RelabelStage(Stage):
    """A unit is a block of epochs of one image set under one protocol; there are none where labels are made online."""

    name = "relabel"
    settings = ("runtime.batch_size", "seed", "synthesis.seed", "ipc", "data.flip", "runtime.precision")
    needs = ("teacher", "synthesis")

    def units(self, work: Workspace) -> Sequence[Unit]:
        form = work.config.evaluation.labels
        if form == "online":
            return []
        # The first form stays nameless, so that runs made before there were others keep their units.
        prefix, named = ("", {}) if form == "stored" else (f"{form}-", {"form": form})
        classes = len(work.class_names)
        block = max(1, min(_EPOCHS_PER_UNIT, _BYTES_PER_UNIT // (2 * classes * classes * work.config.ipc)))
        return [
            Unit(
                f"{protocol.name}/{name}/{prefix}epochs-{first:04d}",
                {
                    "protocol": protocol.name,
                    "images": name,
                    "epochs": [first, min(first + block, epochs)],
                    "recipe": asdict(protocol),
                    **named,
                },
            )
            for protocol in work.protocols
            if protocol.labels == "soft"
            for epochs in [work.config.evaluation.label_epochs(protocol.epochs)]
            for name in set_names(work)
            for first in range(0, epochs, block)
        ]

    def make(self, unit: Unit, work: Workspace, context: UnitContext) -> Sequence[Path]:
        protocol = work.protocol(unit.covers["protocol"])
        images = column_major(load_set(unit.covers["images"], work).images.to(work.machine.device))
        first, last = unit.covers["epochs"]
        plans, logits = [], []
        for epoch in range(first, last):
            plan = plan_epoch(protocol, epoch, len(images), work.image_size, work.synthesis_seed, flip=work.flip)
            logits.append(label_epoch(work.teacher, images, plan, work.machine, work.config.runtime.batch_size))
            plans.append(plan)
            context(epoch + 1 - first, last - first)
        path = work.run.folder(self.name) / f"{unit.name.replace('/', '--')}.safetensors"
        mixes = [plan.mixes for plan in plans if plan.mixes is not None]
        write_soft_labels(
            path,
            SoftLabels(
                logits=torch.stack(logits),
                box=torch.stack([plan.views.box.short() for plan in plans]),
                flip=torch.stack([plan.views.flip for plan in plans]),
                partner=torch.stack([mix.partner.int() for mix in mixes]) if mixes else None,
                mix_box=torch.stack([mix.box.short() for mix in mixes]) if mixes else None,
            ),
            in_four_bits=work.config.evaluation.labels == "compact",
        )
        return [path]
