"""CUDA graphs: a network's whole pass in one launch.

A small batch keeps a GPU waiting for the hundreds of operations that Python hands it one by one. Recorded once, they
are replayed together. On a CPU nothing is recorded.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wmdd.runtime.device import Machine

_WARM_UPS = 3  # passes before recording, in which libraries choose their algorithms and take their memory


_RECORDS = ContextVar("records", default=True)


@contextmanager
def unrecorded() -> Iterator[None]:
    """Run every pass as it is while the block lasts: a replay would hide its operations from whoever counts them."""
    token = _RECORDS.set(False)
    try:
        yield
    finally:
        _RECORDS.reset(token)


def _records(machine: Machine) -> bool:
    return machine.device.type == "cuda" and _RECORDS.get()


def graph_training(network: nn.Module, shape: tuple[int, ...], machine: Machine) -> None:
    """Record the passes of ``network``, forward and backward, for training on batches of ``shape [B, C, S, S]``.

    Weights and running statistics stay what they are. Batches must then all have that shape, and no hooks be added;
    in eval mode the network runs as before. A network that waits for the GPU within its pass cannot be recorded, and is
    left as it is.
    """
    if not _records(machine):
        return
    _expect_other_streams()
    gc.collect()  # a recorded network refers to itself: only so is the memory of the one before given back
    network.train()
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    blank = machine.layout(torch.zeros(shape, device=machine.device, dtype=machine.dtype))
    try:
        with machine.autocast():
            torch.cuda.make_graphed_callables(network, (blank,), num_warmup_iters=_WARM_UPS)
    except RuntimeError:
        torch.cuda.synchronize(machine.device)
    with torch.no_grad():
        for name, buffer in network.named_buffers():
            buffer.copy_(buffers[name])


def _expect_other_streams() -> None:
    """Recording sets gradients up on a stream of its own, of which newer torch warns at the first step."""
    expect = getattr(torch.autograd.graph, "set_warn_on_accumulate_grad_stream_mismatch", None)
    if expect is not None:  # torch 2.10 has it
        expect(False)


@dataclass(frozen=True)
class _Recorded:
    """A pass that reads ``x`` and leaves its result in ``out``."""

    graph: torch.cuda.CUDAGraph
    x: Tensor
    out: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        self.x.copy_(x)
        self.graph.replay()
        return self.out.clone()  # the next replay writes there again


def graphed_inference(infer: Callable[[Tensor], Tensor], machine: Machine) -> Callable[[Tensor], Tensor]:
    """``infer`` (a pass without gradients) recorded for every shape of batch that it is called with."""
    if not _records(machine):
        return infer
    recorded: dict[torch.Size, _Recorded | None] = {}

    def call(x: Tensor) -> Tensor:
        if x.shape not in recorded:
            recorded[x.shape] = _record(infer, x, machine)
        replay = recorded[x.shape]
        return infer(x) if replay is None else replay(x)

    return call


def _record(infer: Callable[[Tensor], Tensor], x: Tensor, machine: Machine) -> _Recorded | None:
    """None where the pass cannot be recorded."""
    x, graph = x.clone(), torch.cuda.CUDAGraph()
    aside = torch.cuda.Stream(machine.device)
    aside.wait_stream(torch.cuda.current_stream(machine.device))
    with torch.cuda.stream(aside):
        for _ in range(_WARM_UPS):
            infer(x)
    torch.cuda.current_stream(machine.device).wait_stream(aside)
    try:
        with torch.cuda.graph(graph):
            out = infer(x)
    except RuntimeError:
        torch.cuda.synchronize(machine.device)
        return None
    return _Recorded(graph, x, out)
