"""The processes that ``torchrun`` started together: who they are, and the little that they tell one another."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from wmdd.core.errors import SettingsError
from wmdd.runtime.meeting import fresh_part

T = TypeVar("T")

_PATIENCE = timedelta(days=7)
"""How long one waits for the others: as long as the longest unit that they may be at. Dead ones are noticed at once."""

_SECONDS_BETWEEN_LOOKS = 0.001


class Crew:
    """``size`` processes at one run, this one of ``rank``; of several teams each has a ``group`` of its own.

    What they make apart they divide through the run's folder; this is for what they make together.
    """

    def __init__(
        self, rank: int = 0, size: int = 1, local_rank: int = 0, group: dist.ProcessGroup | None = None
    ) -> None:
        self.rank, self.size, self.local_rank, self._group = rank, size, local_rank, group

    def __repr__(self) -> str:
        return f"Crew(rank={self.rank}, size={self.size})"

    @property
    def leads(self) -> bool:
        """Whether this process writes what all make together, and speaks for them."""
        return self.rank == 0

    @property
    def purpose(self) -> tuple[int, ...]:
        """What to add to the purpose of a random stream that should differ between the processes."""
        return (self.rank,) if self.rank else ()

    def team(self, size: int) -> "Crew | None":
        """The ``size`` processes, this one among them, that make units together; None where it is one too many.

        All processes of a crew have to ask together.
        """
        if size in (1, self.size):
            return ALONE if size == 1 else self
        _meet()
        starts = range(0, self.size - size + 1, size)
        groups = [dist.new_group(range(first, first + size), timeout=_PATIENCE) for first in starts]
        number, rank = divmod(self.rank, size)
        if number == len(groups):
            return None
        group = groups[number]
        assert isinstance(group, dist.ProcessGroup), "a process is a member of its own group"
        return Crew(rank, size, self.local_rank, group)

    def part(self, rows: T) -> T:
        """The rows of this process, ``rows[rank::size]``: of anything that is sliced like a tensor."""
        return rows if self.size == 1 else rows[self.rank :: self.size]  # type: ignore[index]

    def share(self, count: int) -> float:
        """What the mean over this process's part of ``count`` rows counts in the mean over all processes' means."""
        return len(range(self.rank, count, self.size)) * self.size / count

    def told(self, value: int) -> int:
        """The leader's ``value``, in all processes."""
        if self.size == 1:
            return value
        _meet()
        said = torch.tensor([value])
        _await(dist.broadcast(said, group=self._group, async_op=True, group_src=0))
        return int(said)

    def least(self, value: int) -> int:
        """The least of all processes' values."""
        if self.size == 1:
            return value
        _meet()
        said = torch.tensor([value])
        _await(dist.all_reduce(said, dist.ReduceOp.MIN, self._group, async_op=True))
        return int(said)

    def summed(self, counts: torch.Tensor) -> torch.Tensor:
        """The sum of all processes' ``counts``, which are on the CPU."""
        if self.size > 1:
            _await(dist.all_reduce(counts, dist.ReduceOp.SUM, self._group, async_op=True))
        return counts

    def share_buffers(self, network: nn.Module) -> None:
        """Give the leader's buffers to all: after a step each process has the running statistics of its own part."""
        for buffer in network.buffers() if self.size > 1 else ():
            _await(dist.broadcast(buffer, group=self._group, async_op=True, group_src=0))

    def joined(self, network: nn.Module) -> nn.Module:
        """``network`` such that its gradients are the means over all processes, and its buffers the leader's."""
        if self.size == 1:
            return network
        _meet()
        device = next(network.parameters()).device
        # A static graph allows for parameters that no loss depends on, as networks of users have them.
        devices = [device] if device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=devices, static_graph=True, process_group=self._group)


ALONE = Crew()


def find_crew() -> Crew:
    """The crew that torchrun's environment names; one process alone where there is none.

    Raises:
        SettingsError: the environment says something else.
    """
    names = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    said = {name: os.environ.get(name, default) for name, default in names.items()}
    if not all(value.isdecimal() for value in said.values()) or int(said["RANK"]) >= int(said["WORLD_SIZE"]):
        raise SettingsError(
            f"the environment has RANK {said['RANK']!r} and WORLD_SIZE {said['WORLD_SIZE']!r}, which torchrun never "
            "sets: start with `torchrun -m wmdd ...`, or unset both."
        )
    return Crew(int(said["RANK"]), int(said["WORLD_SIZE"]), int(said["LOCAL_RANK"]))


def _await(work: dist.Work | None) -> None:
    """Wait in Python, where signals are heeded."""
    assert work is not None, "asked for"
    while not work.is_completed():
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    work.wait()


def _meet() -> None:
    """Join the others: numbers of the CPU go by gloo, gradients of GPUs by NCCL.

    Raises:
        SettingsError: the environment does not say where, or they have met by a backend without numbers of the CPU.
    """
    if dist.is_initialized():
        if "cpu:" not in dist.get_backend_config():
            raise SettingsError(
                f"the processes have met by {dist.get_backend()!r} alone: "
                "begin with `torch.distributed.init_process_group('cpu:gloo,cuda:nccl')`, or leave it to wmdd."
            )
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        store, rank, size = next(rendezvous("env://", timeout=_PATIENCE))
    except ValueError as error:
        raise SettingsError(f"the processes cannot meet ({error}): start them with `torchrun -m wmdd ...`.") from error
    part = fresh_part(PrefixStore("wmdd", store), rank, size)
    dist.init_process_group(backend, store=part, rank=rank, world_size=size, timeout=_PATIENCE)


@contextmanager
def crew_at_work() -> Iterator[Crew]:
    """The crew of this process while the block lasts.

    One that fails does not take leave of the others: NCCL would wait for them, as they wait for it. Its process ends,
    and torchrun ends the rest.

    Raises:
        SettingsError: as of :func:`find_crew`.
    """
    yield find_crew()
    if dist.is_initialized():
        dist.destroy_process_group()
