"""A training step with convolutions made for small maps, against torch's own convolutions.

    python benchmarks/small_maps.py --json FILE [--quick] [--device cuda]

Ours leave out the taps that see padding alone, and are one matrix product where maps are small (on CPUs). Same network,
ImageNet's stem, optimiser, batch, precision and layout.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from bare import train_bare
from bars import Bar, Bars, network_parser
from paired import in_turns
from wmdd.models import build_network
from wmdd.runtime.allocator import keep_freed
from wmdd.runtime.device import Machine, default_precision, open_machine

CASES = ((32, 20), (32, 100), (64, 20), (64, 100), (128, 20))  # side, batch
CLASSES, STEPS = 10, 6


def main() -> None:
    arguments = network_parser(__doc__).parse_args()
    bars = Bars(("torch", "timm"))
    keep_freed()
    machine = open_machine(arguments.device, default_precision(arguments.device), torch.get_num_threads())
    for side, batch in CASES[:1] if arguments.quick else CASES:
        measure(side, batch, arguments.arch, machine, bars, 2 if arguments.quick else 7)
    if arguments.json:
        bars.write(arguments.json)


def measure(side: int, batch: int, arch: str, machine: Machine, bars: Bars, repeats: int) -> None:
    """One bar: the step of ours over that of torch's convolutions."""
    ours = machine.place(build_network(arch, CLASSES, side, "imagenet"))
    torchs = build_network(arch, CLASSES, side, "imagenet").to(machine.device, machine.dtype)
    torchs = torchs.to(memory_format=torch.channels_last)
    tasks: dict[str, Callable[[], object]] = {
        name: partial(train_bare, network, adamw(network), batch, side, CLASSES, STEPS, machine)
        for name, network in (("ours", ours), ("torch's", torchs))
    }
    seconds = in_turns(tasks, repeats)
    where = f"{arch}, {side} px, batch {batch}, {machine.precision}, {machine.device}"
    bars.add(Bar("small maps", f"step, ours / torch's, {where}", seconds["ours"] / seconds["torch's"], 1.03, "lower"))
    bars.note(f"ms a step, {where}", **{name: f"{1e3 * found / STEPS:.1f}" for name, found in seconds.items()})


def adamw(network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(network.parameters(), fused=True)


if __name__ == "__main__":
    main()
