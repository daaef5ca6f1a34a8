"""Training the teacher on the real images."""

from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from wmdd.augment import render, sample_views
from wmdd.config.teacher import TeacherConfig
from wmdd.core.types import Preprocessing
from wmdd.data import Images
from wmdd.runtime.crew import ALONE, Crew
from wmdd.runtime.device import Machine
from wmdd.runtime.random import seeded, stream
from wmdd.stages.training import Log, Trainer, epoch_batches, silent, total_steps
from wmdd.storage.savepoint import Savepoint


def train_teacher(
    network: nn.Module,
    images: Images,
    preprocessing: Preprocessing,
    config: TeacherConfig,
    machine: Machine,
    seed: int,
    *,
    flip: bool,
    log: Log = silent,
    savepoint: Savepoint | None = None,
    crew: Crew = ALONE,
) -> None:
    """Train ``network`` in place: cross-entropy, SGD, random resized crops, cosine schedule with warm-up.

    Every epoch's order and views come from a stream of its own, so going on from a savepoint changes nothing.
    ``log`` receives each step's loss and batch accuracy. A ``crew`` divides every batch between its processes, whose
    batch norm sees only their own parts.

    Raises:
        NotFiniteError: the loss has become NaN or infinite.
    """
    savepoint = savepoint or Savepoint()
    network = machine.place(network)
    trainer = Trainer(
        network,
        partial(
            torch.optim.SGD,
            lr=config.lr,
            momentum=config.momentum,
            nesterov=config.nesterov,
            weight_decay=config.weight_decay,
            fused=True,
        ),
        lr=config.lr,
        total_steps=total_steps(config.epochs, len(images), config.batch_size),
        warmup=config.warmup,
        crew=crew,
    )
    trainer.begin(savepoint)
    network.train()
    while trainer.epoch < config.epochs:
        with seeded(seed, "teacher-layers", trainer.epoch, *crew.purpose):
            _train_epoch(trainer, images, preprocessing, config, machine, seed, flip=flip, log=log)
        trainer.finish_epoch(savepoint)


def _train_epoch(
    trainer: Trainer,
    images: Images,
    preprocessing: Preprocessing,
    config: TeacherConfig,
    machine: Machine,
    seed: int,
    *,
    flip: bool,
    log: Log,
) -> None:
    generator = stream(seed, "teacher", trainer.epoch)
    size = preprocessing.image_size
    whole = epoch_batches(len(images), config.batch_size, generator)
    mine = images.batches([trainer.crew.part(rows) for rows in whole])
    for rows, (batch, labels) in zip(whole, mine, strict=True):
        views = trainer.crew.part(sample_views(len(rows), size, generator, min_area=config.min_crop, flip=flip))
        x = machine.layout(render(preprocessing.normalize(batch, machine.dtype), views))
        with machine.autocast():
            logits = trainer.forward(x)
        loss = F.cross_entropy(logits.to(machine.dtype), labels)
        trainer.update(loss, len(rows))
        accuracy = 100 * (logits.detach().argmax(dim=1) == labels).double().mean()
        log(trainer.step, trainer.total_steps, loss=loss.detach(), accuracy=accuracy)
