"""How many classes synthesis optimises together: as many as help, and as memory holds.

More classes than fill a batch do not help: of more than ``synthesis.batch_size`` images each step makes two passes.
"""

from dataclasses import replace

import torch

from wmdd.config import RunConfig
from wmdd.data import ImageSource
from wmdd.pipeline.plan.probe import STEADY_STEPS
from wmdd.pipeline.plan.rehearsal import Rehearsal
from wmdd.runtime.allocator import give_back
from wmdd.runtime.memory import available_bytes
from wmdd.runtime.usage import measured
from wmdd.stages.synthesis import synthesize

_IMAGES = 16  # of the measured steps; fewer would not tell what grows with them from what does not
_COPIES = 5  # of an image's pixels in float32: values, gradient and that of a batch, Adam's two
_SHARE = 0.9  # of the available memory: the rest is for what these steps do not show


def group_of(config: RunConfig) -> int:
    """The resolved group size."""
    assert isinstance(config.synthesis.group_size, int), "settings are resolved before work begins"
    return config.synthesis.group_size


def with_group(config: RunConfig, size: int) -> RunConfig:
    """``config`` with another group size."""
    return replace(config, synthesis=replace(config.synthesis, group_size=size))


def fit_group(config: RunConfig, source: ImageSource) -> RunConfig:
    """Resolved settings with the largest group up to theirs that the memory available now will hold.

    Where classes of a group influence one another, the group is part of the method and stays.
    """
    most = group_of(config)
    if most == 1 or not config.synthesis.steps or config.synthesis.statistics_of == "all":
        return config
    rehearsal = Rehearsal(config, source)
    room = _SHARE * available_bytes(rehearsal.machine.device) - rehearsal.held
    each, kept = bytes_of_an_image(rehearsal), _COPIES * rehearsal.image_bytes * 4

    def fits(size: int) -> bool:
        """More images than a batch wait their turn, as pixels alone."""
        images = size * config.ipc
        seen = min(images, config.synthesis.batch_size)
        return seen * each + (images - seen) * kept <= room

    return with_group(config, next(filter(fits, range(most, 1, -1)), 1))


def bytes_of_an_image(rehearsal: Rehearsal) -> float:
    """Peak memory of synthesis for each image, measured on a few steps; infinite where not even they fit.

    What does not depend on the number of images (the network, working space) is counted in, so it errs on the safe
    side: by half for a ResNet-18.
    """
    device = rehearsal.machine.device
    problem = rehearsal.problem(range(1), _IMAGES)
    few = replace(rehearsal.config.synthesis, steps=STEADY_STEPS, batch_size=_IMAGES)
    give_back()
    with measured(device) as before:
        pass
    try:
        with measured(device) as usage:
            synthesize(rehearsal.teacher, problem, few, rehearsal.machine, 0, flip=False)
    except torch.OutOfMemoryError:
        return float("inf")
    return max(1.0, 1e6 * (usage.peak_mb - before.peak_mb) / _IMAGES)
