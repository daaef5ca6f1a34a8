"""The sets of images that are labelled and scored: the distilled one, and as many random real ones."""

from dataclasses import dataclass

import torch
from torch import Tensor

from wmdd.augment import column_major
from wmdd.pipeline.workspace import Workspace
from wmdd.runtime.random import stream

DISTILLED = "wmdd"
RANDOM_REAL = "random-real"


@dataclass(frozen=True)
class ImageSet:
    """``images uint8 [M, C, S, S]`` by column, ``labels [M]``, ``weights [M]`` (those of a class sum to 1)."""

    images: Tensor
    labels: Tensor
    weights: Tensor


def set_names(work: Workspace) -> list[str]:
    """The distilled set, and one random draw of real images for each seed where they are wanted."""
    draws = work.config.evaluation.seeds if work.config.evaluation.random_real else ()
    return [DISTILLED, *(f"{RANDOM_REAL}-{seed}" for seed in draws)]


def load_set(name: str, work: Workspace) -> ImageSet:
    """The set called ``name``."""
    if name == DISTILLED:
        return ImageSet(work.distilled.images, work.distilled.labels, work.distilled.weights)
    return random_real(int(name.removeprefix(f"{RANDOM_REAL}-")), work)


def random_real(seed: int, work: Workspace) -> ImageSet:
    """IPC real training images of each class, drawn at random and weighted alike."""
    ipc, count = work.config.ipc, len(work.class_names)
    if work.random_real is None or work.random_real[0] != seed:
        work.random_real = seed, _draw(seed, work)
    weights = torch.full((count * ipc,), 1 / ipc)
    return ImageSet(work.random_real[1], torch.arange(count).repeat_interleave(ipc), weights)


def _draw(seed: int, work: Workspace) -> Tensor:
    ipc, count = work.config.ipc, len(work.class_names)
    chosen = []
    for k in range(count):
        members = (work.train.labels == k).nonzero().squeeze(1)
        order = torch.randperm(len(members), generator=stream(work.config.seed, RANDOM_REAL, seed, k))
        chosen.append(members[order[:ipc]])
    return column_major(work.train.take(torch.cat(chosen)).cpu())
