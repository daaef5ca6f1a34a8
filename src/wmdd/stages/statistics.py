"""One pass of the teacher over the real data: features and per-class moments of every norm layer together."""

from collections.abc import Sequence

import torch
from torch import Tensor

from wmdd.core.pooled import PooledMoments
from wmdd.core.types import ClassStatistics, Moments
from wmdd.data import Images
from wmdd.models import Teacher
from wmdd.runtime.device import Machine
from wmdd.stages.training import Log, silent


@torch.no_grad()
def collect_statistics(
    teacher: Teacher,
    images: Images,
    classes: Sequence[int],
    machine: Machine,
    batch_size: int,
    *,
    log: Log = silent,
) -> ClassStatistics:
    """Observe all ``images`` of ``classes``, unaugmented, in batches that may span classes.

    Moments are pooled in float64 over each whole class, the between-image term included, so the batch size changes
    nothing but rounding. The forward pass is never in less than float32: it is made once and everything hangs on it.
    """
    index = torch.cat([(images.labels == k).nonzero().squeeze(1) for k in classes])
    position = torch.full((int(images.labels.max()) + 1,), -1)
    position[torch.tensor(classes)] = torch.arange(len(classes))
    pooled: PooledMoments | None = None
    features: list[Tensor] = []
    chunks = index.split(batch_size)
    for step, (batch, labels) in enumerate(images.batches(chunks), start=1):
        seen = teacher.observe(machine.layout(teacher.preprocessing.normalize(batch, machine.dtype)))
        groups = position.to(labels.device)[labels]
        mine = PooledMoments.of_images(seen.moments, groups, len(classes))
        pooled = mine if pooled is None else pooled.merge(mine)
        features.append(seen.features.float().cpu())
        log(step, len(chunks))
    assert pooled is not None
    own = {layer: Moments(mean.cpu().clone(), var.cpu().clone()) for layer, (mean, var) in pooled.moments.items()}
    counts = torch.bincount(position[images.labels[index]], minlength=len(classes))
    return ClassStatistics(
        classes=tuple(classes),
        moments=own,  # not slices of one tensor: files hold each layer by itself
        features=torch.cat(features),
        offsets=torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)]),
        index=index,
    )
