"""Accuracy on labelled images."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wmdd.core.types import Preprocessing
from wmdd.data import Images
from wmdd.runtime.crew import ALONE, Crew
from wmdd.runtime.device import Machine


@dataclass(frozen=True)
class Score:
    """Top-1, top-5 and ``per_class`` top-1 accuracy in percent (top-5 is 100 where there are at most 5 classes)."""

    top1: float
    top5: float
    per_class: tuple[float, ...]


@torch.no_grad()
def score(
    network: nn.Module,
    images: Images,
    num_classes: int,
    preprocessing: Preprocessing,
    machine: Machine,
    batch_size: int,
    crew: Crew = ALONE,
) -> Score:
    """Score ``network`` (put into eval mode) on all of ``images``; a ``crew`` divides the batches."""
    network.eval()
    crew.share_buffers(network)
    hits, hits5, counts = sums = torch.zeros(3, num_classes, dtype=torch.int64)
    for batch, labels in images.batches(crew.part(torch.arange(len(images)).split(batch_size))):
        x = machine.layout(preprocessing.normalize(batch, machine.dtype))
        with machine.autocast():
            logits = network(x)
        best = logits.float().topk(min(5, num_classes), dim=1).indices.cpu()
        found = best == labels.cpu()[:, None]
        counts += _per_class(labels, torch.ones(len(labels), dtype=torch.bool), num_classes)
        hits += _per_class(labels, found[:, 0], num_classes)
        hits5 += _per_class(labels, found.any(dim=1), num_classes)
    hits, hits5, counts = crew.summed(sums)
    return Score(
        top1=_percent(hits.sum(), counts.sum()),
        top5=_percent(hits5.sum(), counts.sum()),
        per_class=tuple(_percent(hit, count) for hit, count in zip(hits, counts, strict=True)),
    )


def _per_class(labels: Tensor, which: Tensor, num_classes: int) -> Tensor:
    return torch.bincount(labels.cpu()[which], minlength=num_classes)


def _percent(part: Tensor, whole: Tensor) -> float:
    return round(100 * float(part) / max(float(whole), 1.0), 4)
