"""Training a student on a small set of images, under a named protocol."""

import typing
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from wmdd.augment import column_major
from wmdd.config.protocols import Protocol
from wmdd.core.types import Preprocessing
from wmdd.losses import hard_label_loss, soft_label_loss
from wmdd.models import Teacher
from wmdd.runtime.crew import ALONE, Crew
from wmdd.runtime.device import Machine
from wmdd.runtime.graphs import graph_training, graphed_inference
from wmdd.runtime.random import seeded, stream
from wmdd.stages.relabel import EpochViews, show
from wmdd.stages.training import Log, Trainer, epoch_batches, silent, total_steps
from wmdd.storage.savepoint import Savepoint

LabelSource = Callable[[int, Tensor, Tensor], Tensor]
"""``(epoch, rows [B], views [B, C, S, S]) -> logits [B, K]``: stored soft labels, or the teacher itself."""


def online_labels(teacher: Teacher, machine: Machine) -> LabelSource:
    """Soft labels made when they are needed."""

    @torch.no_grad()
    def logits(x: Tensor) -> Tensor:
        with machine.autocast():
            return teacher.logits(x)

    infer = graphed_inference(logits, machine)

    def label(epoch: int, rows: Tensor, x: Tensor) -> Tensor:
        return infer(x)

    return label


def no_labels(epoch: int, rows: Tensor, x: Tensor) -> Tensor:
    """Of a protocol that goes by the images' own classes, and needs no teacher."""
    raise AssertionError("hard labels ask no teacher")


class EpochLogits(typing.Protocol):
    """Logits by epoch: a tensor ``[E, M, K]``, or what reads them from disk when they are asked for."""

    def __getitem__(self, epoch: int) -> Tensor:
        """The logits ``[M, K]`` of one epoch."""


def stored_labels(logits: EpochLogits) -> LabelSource:
    """Soft labels looked up."""

    def label(epoch: int, rows: Tensor, x: Tensor) -> Tensor:
        return logits[epoch][rows].to(x.device)

    return label


def train_student(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    weights: Tensor,
    soft_labels: LabelSource,
    protocol: Protocol,
    views_of: Callable[[int], EpochViews],
    preprocessing: Preprocessing,
    machine: Machine,
    seed: int,
    *,
    log: Log = silent,
    savepoint: Savepoint | None = None,
    crew: Crew = ALONE,
) -> nn.Module:
    """Train ``network`` on ``images uint8 [M, C, S, S]``, ``labels [M]``, ``weights [M]`` (those of a class sum to 1).

    ``views_of`` gives each epoch's views; ``seed`` draws the order of batches. A ``crew`` divides every batch
    between its processes. Returns the network, on the machine.

    Raises:
        NotFiniteError: the loss has become NaN or infinite.
    """
    savepoint = savepoint or Savepoint()
    network = machine.place(network)
    trainer = Trainer(
        network,
        # Fused: one reading of all weights in place of ten, a seventh of a ResNet-18's step at 64 px on a CPU.
        partial(torch.optim.AdamW, lr=protocol.lr, weight_decay=protocol.weight_decay, fused=True),
        lr=protocol.lr,
        total_steps=total_steps(protocol.epochs, len(images), protocol.batch_size),
        warmup=protocol.warmup,
        crew=crew,
    )
    trainer.begin(savepoint)
    batches = total_steps(1, len(images), protocol.batch_size)
    if crew.size == 1 and len(images) % batches == 0:  # all of one shape
        graph_training(network, (len(images) // batches, *images.shape[1:]), machine)
    images = column_major(images.to(machine.device))
    labels = labels.to(machine.device)
    importance = weights / weights.mean() if protocol.weighted else torch.ones_like(weights)
    network.train()
    while trainer.epoch < protocol.epochs:
        epoch = views_of(trainer.epoch)
        shares = _mixed(importance, epoch, preprocessing.image_size).to(machine.device, machine.dtype)
        order = epoch_batches(len(images), protocol.batch_size, stream(seed, "student", trainer.epoch))
        with seeded(seed, "student-layers", trainer.epoch, *crew.purpose):
            for whole in order:
                rows = crew.part(whole)
                x = machine.layout(show(images, epoch, rows, preprocessing, machine.dtype))
                with machine.autocast():
                    logits = trainer.forward(x)
                logits, here = logits.to(machine.dtype), rows.to(machine.device)
                if protocol.labels == "soft":
                    target = soft_labels(trainer.epoch, rows, x).to(machine.dtype)
                    loss = soft_label_loss(logits, target, protocol.temperature, shares[here])
                else:
                    loss = hard_label_loss(logits, labels[here], shares[here])
                trainer.update(loss, len(whole))
                log(trainer.step, trainer.total_steps, loss=loss.detach())
        trainer.finish_epoch(savepoint)
    return network


def _mixed(weights: Tensor, epoch: EpochViews, size: int) -> Tensor:
    """Image weights ``[M]`` of mixed views: those of both partners, by their shares of the view."""
    if epoch.mixes is None:
        return weights
    own = epoch.mixes.share(size)
    return own * weights + (1 - own) * weights[epoch.mixes.partner]
