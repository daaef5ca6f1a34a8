"""A network object of the caller's own program as the teacher: what it is called, and where it is found again.

A run's settings are text, and a network's code cannot be kept in them. They keep a name made of its class and of the
hash of its weights; whoever calls with the same object can go on, and others are told that they cannot.
"""

import copy
import hashlib
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor, nn

from wmdd.core.errors import ModelError
from wmdd.core.lending import LENT, Lending
from wmdd.models.fitting import first_sentence

_networks: Lending["OwnNetwork"] = Lending("networks")


@dataclass(frozen=True, eq=False)
class OwnNetwork:
    """A trained network ``[B, C, S, S] -> logits [B, K]`` as the teacher of :func:`wmdd.distill`.

    Its inputs are pixels in [0, 1] less ``mean``, divided by ``std``, one number for each channel (None: ImageNet's for
    RGB images, for others what the training images have). It is copied, never changed.

    Raises:
        ModelError: it is no network of plain tensors, or mean and std are not as many positive numbers.
    """

    network: nn.Module
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.network, nn.Module):
            raise ModelError(f"teacher is of type {type(self.network).__name__}: give a torch.nn.Module.")
        if (self.mean is None) != (self.std is None):
            raise ModelError("the teacher has a mean or a std, but needs both or none: give both.")
        mean, std = self.mean or (), self.std or ()
        if len(mean) != len(std) or not all(value > 0 for value in std):
            raise ModelError(
                f"the teacher has mean {tuple(mean)} and std {tuple(std)}: give a number for each channel, and each "
                "std above 0."
            )
        for name, value in self.network.state_dict().items():
            if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_quantized:
                raise ModelError(f"the teacher's {name!r} is no plain tensor: give a network of plain tensors.")

    @cached_property
    def arch(self) -> str:
        """Its name in settings: class, and hash of weights and normalisation."""
        found = hashlib.sha256(repr((self.mean and tuple(self.mean), self.std and tuple(self.std))).encode())
        for name, value in sorted(self.network.state_dict().items()):
            found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            found.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return f"{LENT}{type(self.network).__name__}-{found.hexdigest()[:16]}"

    def build(self, num_classes: int, image_size: int, channels: int) -> nn.Module:
        """A copy on the CPU, in float32, with its weights.

        Raises:
            ModelError: it cannot be copied, takes no such images, or has other classes.
        """
        name = type(self.network).__name__
        if self.mean is not None and len(self.mean) != channels:
            raise ModelError(f"the teacher's mean is of {len(self.mean)} channels, but the images have {channels}.")
        try:
            network = copy.deepcopy(self.network).cpu().float()
        except Exception as error:
            raise ModelError(f"the teacher {name} cannot be copied: {first_sentence(error)}.") from error
        shape = (1, channels, image_size, image_size)
        try:
            with torch.no_grad():
                scores = network.eval()(torch.zeros(shape))
        except Exception as error:
            raise ModelError(f"the teacher {name} cannot take images {shape}: {first_sentence(error)}.") from error
        if not isinstance(scores, Tensor) or scores.shape != (1, num_classes):
            made = f"a tensor {tuple(scores.shape)}" if isinstance(scores, Tensor) else type(scores).__name__
            raise ModelError(
                f"the teacher {name} makes {made} of one image, but the data have {num_classes} classes: "
                f"it should be logits (1, {num_classes})."
            )
        if not _takes_channels_last(network, shape):
            _keep_plain(network)
        return network


@torch.no_grad()
def _takes_channels_last(network: nn.Module, shape: tuple[int, ...]) -> bool:
    """Whether it can have weights and images whose channels are last in memory: ``x.view(len(x), -1)`` cannot."""
    try:
        copy.deepcopy(network).to(memory_format=torch.channels_last)(
            torch.zeros(shape).contiguous(memory_format=torch.channels_last)
        )
    except RuntimeError:
        return False
    return True


def _keep_plain(network: nn.Module) -> None:
    """Have the network show itself images in torch's usual layout, and tell whoever places it to leave it so."""
    cast(Any, network).plain_layout = True
    network.register_forward_pre_hook(_in_usual_layout)


def _in_usual_layout(network: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(x.contiguous() for x in inputs)


def lent(own: OwnNetwork | None) -> AbstractContextManager[None]:
    """Let ``own`` be found by its name while the context lasts."""
    return _networks.lend(own.arch, own) if own else nullcontext()


def is_own(arch: str) -> bool:
    """Whether this is the name of a network object, here or elsewhere."""
    return arch.startswith(LENT)


def lent_network(arch: str) -> OwnNetwork:
    """The network object of this name.

    Raises:
        ModelError: it is not here.
    """
    own = _networks.find(arch)
    if own is None:
        raise ModelError(
            f"{arch!r} is a network object of a Python program, which alone has it: go on there, with "
            "wmdd.distill(..., teacher=network)."
        )
    return own
