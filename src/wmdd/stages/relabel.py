"""Views of the distilled images, epoch by epoch, and the teacher's logits of them (FKD, arXiv 2112.01528)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from wmdd.augment import Mixes, Views, render_mixed, sample_mixes, sample_views
from wmdd.config.protocols import Protocol
from wmdd.core.types import Preprocessing
from wmdd.models import Teacher
from wmdd.runtime.device import Machine
from wmdd.runtime.random import stream


@dataclass(frozen=True)
class EpochViews:
    """The views of all ``M`` images in one epoch, and how they are mixed (None: not at all)."""

    views: Views
    mixes: Mixes | None


def plan_epoch(protocol: Protocol, epoch: int, count: int, size: int, seed: int, *, flip: bool) -> EpochViews:
    """Epoch ``epoch``'s views of ``count`` images: the same for every set of that many, so comparisons are paired."""
    generator = stream(seed, "views", protocol.name, epoch)
    views = sample_views(count, size, generator, min_area=protocol.min_crop, flip=flip)
    return EpochViews(views, sample_mixes(count, size, generator) if protocol.cutmix else None)


def show(images: Tensor, epoch: EpochViews, rows: Tensor, preprocessing: Preprocessing, dtype: torch.dtype) -> Tensor:
    """The views of ``rows [B]`` of ``images uint8 [M, C, S, S]``, normalised ``[B, C, S, S]``."""

    def pick(wanted: Tensor) -> Tensor:
        return preprocessing.normalize(images[wanted.to(images.device)], dtype)

    return render_mixed(pick, epoch.views, epoch.mixes, rows)


@torch.no_grad()
def label_epoch(teacher: Teacher, images: Tensor, epoch: EpochViews, machine: Machine, batch_size: int) -> Tensor:
    """The teacher's raw logits ``float16 [M, K]`` of one epoch's views of ``images uint8 [M, C, S, S]``."""
    logits = []
    for rows in torch.arange(len(images)).split(batch_size):
        x = machine.layout(show(images, epoch, rows, teacher.preprocessing, machine.dtype))
        with machine.autocast():
            logits.append(teacher.logits(x))
    limit = torch.finfo(torch.float16).max
    return torch.cat(logits).float().clamp(-limit, limit).half().cpu()
