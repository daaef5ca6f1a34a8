"""Images stitched from the patches of real ones that a teacher knows best (RDED, arXiv 2312.03526).

As in its released scripts an image has four patches, but one where it is small (32 and 64 px there). Not as in its
code: crops keep torchvision's range of ratios and are scored at the full side.
"""

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from wmdd.augment import render, sample_views
from wmdd.models import Teacher
from wmdd.runtime.device import Machine

CROPS = 5  # patches that are looked at in each real image
SMALLEST = 0.08  # area of a patch
MOST_IMAGES = 300  # of a class that are worth looking at


@torch.no_grad()
def stitched_patches(
    teacher: Teacher,
    images: Tensor,
    k: int,
    m: int,
    machine: Machine,
    generator: Generator,
    batch_size: int,
    grid: int,
) -> Tensor:
    """``m`` images of class ``k`` from real ``images uint8 [n, C, S, S]`` of it: normalised, ``[m, C, S, S]``.

    Random crops of every image are scored by the teacher's cross-entropy with the class. The best crops of different
    images are taken first, then the second best ones; where there are too few for ``m`` images, some are used again.
    ``grid`` times ``grid`` of them, so much smaller, make an image.
    """
    size, crops = images.shape[-1], CROPS * len(images)
    views = sample_views(crops, size, generator, min_area=SMALLEST, flip=False)

    def show(rows: Tensor) -> Tensor:
        pixels = images[rows // CROPS].to(machine.device)
        return machine.layout(render(teacher.preprocessing.normalize(pixels, machine.dtype), views[rows]))

    entropies = []
    for rows in torch.arange(crops).split(batch_size):
        with machine.autocast():
            logits = teacher.logits(show(rows)).float()
        entropies.append(F.cross_entropy(logits, torch.full((len(rows),), k, device=logits.device), reduction="none"))
    best = _best(torch.cat(entropies).cpu().view(-1, CROPS))
    wanted = best[torch.arange(m * grid**2) % crops]
    side = -(-size // grid)
    tiles = [
        F.interpolate(show(rows), (side, side), mode="bilinear", antialias=True) for rows in wanted.split(batch_size)
    ]
    return _stitch(torch.cat(tiles), m, grid)[:, :, :size, :size].cpu()


def _best(entropy: Tensor) -> Tensor:
    """Rows of ``entropy [n, crops]``, flattened, from best to worst: each image's best crop before any second one."""
    rank = entropy.argsort(dim=1).argsort(dim=1).flatten()
    by_entropy = entropy.flatten().argsort(stable=True)
    return by_entropy[rank[by_entropy].argsort(stable=True)]


def _stitch(tiles: Tensor, m: int, grid: int) -> Tensor:
    """``tiles [m * grid^2, C, h, h]``, image after image, row after row, to ``[m, C, grid h, grid h]``."""
    rows: Tensor = tiles.unflatten(0, (m, grid, grid)).permute(0, 3, 1, 4, 2, 5)
    return rows.flatten(4, 5).flatten(2, 3)
