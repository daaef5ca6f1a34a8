"""What the two training stages share: schedule, steps, state, and chunks of an epoch."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from wmdd.core.errors import RunError
from wmdd.runtime.crew import ALONE, Crew
from wmdd.stages.finite import FiniteWatch
from wmdd.storage.savepoint import Savepoint

_STEPS_BETWEEN_CHECKS = 100
"""Asking for a loss makes a GPU wait, so it is not asked at every step whether one was not finite."""


class Log(Protocol):
    """Receives what a step or an epoch measured."""

    def __call__(self, step: int, total: int, **values: float | Tensor) -> None:
        """``step`` of ``total`` is done; ``values`` describe it.

        A number that is still on its way (a tensor of one element) is waited for only where it is shown, so that a GPU
        is not asked for it at every step.
        """


def silent(step: int, total: int, **values: float | Tensor) -> None:
    """A :class:`Log` that keeps nothing."""


def cosine(progress: float, warmup: float = 0.0) -> float:
    """The share of the peak learning rate at ``progress`` in [0, 1]: linear warm-up, then half a cosine to 0."""
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def total_steps(epochs: int, count: int, batch_size: int) -> int:
    """The steps of ``epochs`` over ``count`` rows in the batches of :func:`epoch_batches`."""
    return epochs * math.ceil(count / batch_size)


def epoch_batches(count: int, batch_size: int, generator: Generator) -> tuple[Tensor, ...]:
    """A random order of ``count`` rows in batches whose sizes differ by at most one and never exceed ``batch_size``.

    Even batches leave no last batch of a single image, on which batch norm cannot train, unless ``batch_size`` is
    below 3.
    """
    order = torch.randperm(count, generator=generator)
    return order.tensor_split(math.ceil(count / batch_size))


def most_together(count: int, batch_size: int) -> int:
    """Among how many processes every batch of :func:`epoch_batches` can be divided so that each gets two rows.

    Batch norm cannot train on one.
    """
    return max(1, count // math.ceil(count / batch_size) // 2)


@dataclass
class Trainer:
    """A network, its optimiser and how far they have come; the learning rate is a function of the step alone.

    ``optimizes`` makes the optimiser of the parameters that it is given: those of the network, seen in the order of
    their memory. Optimisers on a CPU copy every gradient that is not contiguous, half of their time.
    """

    network: nn.Module
    optimizes: Callable[[Sequence[Tensor]], Optimizer]
    lr: float
    total_steps: int
    warmup: float = 0.0
    crew: Crew = ALONE
    step: int = 0
    epoch: int = 0

    def __post_init__(self) -> None:
        self.forward = self.network
        self._parameters = list(self.network.parameters())
        self._stored = [_in_memory_order(parameter.detach(), parameter) for parameter in self._parameters]
        for parameter, stored in zip(self._parameters, self._stored, strict=True):
            assert stored.data_ptr() == parameter.data_ptr(), "a copy would be trained in the parameter's place"
        self.optimizer = self.optimizes(self._stored)
        self._watch = FiniteWatch(self.total_steps, crew=self.crew)

    def begin(self, savepoint: Savepoint) -> None:
        """Go on from a savepoint, and join the crew.

        Raises:
            RunError: this process sees another savepoint than the crew's leader.
        """
        if state := savepoint.load():
            self.load(state)
        if self.crew.told(self.step) != self.step:
            raise RunError("this process sees an older savepoint than the others: start all of them again.")
        self.forward = self.crew.joined(self.network)

    def update(self, loss: Tensor, count: int) -> None:
        """One optimiser step on ``loss``, the mean over this process's part of a batch of ``count``."""
        self._watch.see(self.step + 1, loss)
        for group in self.optimizer.param_groups:
            progress = (self.step + (1 if self.warmup else 0)) / self.total_steps
            group["lr"] = self.lr * cosine(progress, self.warmup)
        self.network.zero_grad(set_to_none=True)
        (loss * self.crew.share(count)).backward()
        for parameter, stored in zip(self._parameters, self._stored, strict=True):
            stored.grad = None if parameter.grad is None else _in_memory_order(parameter.grad, parameter)
        self.optimizer.step()
        self.step += 1
        if self.step % _STEPS_BETWEEN_CHECKS == 0:
            self._watch.check()

    def finish_epoch(self, savepoint: Savepoint) -> None:
        """Keep what the epoch has come to.

        Raises:
            NotFiniteError: the loss was not finite at some step; the savepoint stays what it was.
        """
        self._watch.check()
        self.epoch += 1
        savepoint.offer(self.state)

    def state(self) -> dict[str, Tensor]:
        """Everything that is needed to go on from here, as plain tensors."""
        flat = {f"network/{name}": value for name, value in self.network.state_dict().items()}
        for index, entries in self.optimizer.state_dict()["state"].items():
            of = self._parameters[index]
            flat |= {f"optimizer/{index}/{name}": _in_own_order(value, of) for name, value in entries.items()}
        return flat | {"progress": torch.tensor([self.step, self.epoch])}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what :meth:`state` returned."""
        self.network.load_state_dict(_part(state, "network/"))
        whole = self.optimizer.state_dict()
        entries: dict[int, dict[str, Tensor]] = {}
        for name, value in _part(state, "optimizer/").items():
            index, key = name.split("/", 1)
            entries.setdefault(int(index), {})[key] = _in_memory_order(value, self._parameters[int(index)])
        self.optimizer.load_state_dict({**whole, "state": entries})
        self.step, self.epoch = (int(value) for value in state["progress"])


def _in_memory_order(value: Tensor, parameter: Tensor) -> Tensor:
    """``value``, a tensor like ``parameter`` or a number, with its axes in the order of the parameter's memory."""
    return value.permute(_axes(parameter)).contiguous() if value.shape == parameter.shape else value


def _in_own_order(stored: Tensor, parameter: Tensor) -> Tensor:
    """What :func:`_in_memory_order` was given."""
    axes = _axes(parameter)
    return stored.permute([axes.index(axis) for axis in range(len(axes))]) if stored.dim() == len(axes) else stored


def _axes(parameter: Tensor) -> list[int]:
    strides = parameter.stride()
    return sorted(range(parameter.dim()), key=lambda axis: -strides[axis])


def _part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
