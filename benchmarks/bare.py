"""The bare training step: a network, its optimiser and its loss on one fixed random batch, and nothing else."""

import torch
from torch import nn
from torch.nn import functional as F

from wmdd.runtime.device import Machine


def train_bare(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: int,
    side: int,
    classes: int,
    steps: int,
    machine: Machine,
) -> None:
    """``steps`` of cross-entropy against fixed soft targets, in the machine's precision and layout."""
    network.train()
    x = machine.layout(torch.randn(batch, 3, side, side, device=machine.device))
    target = torch.randn(batch, classes, device=machine.device).softmax(1)
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        with machine.autocast():
            logits = network(x)
        F.cross_entropy(logits.float(), target).backward()
        optimizer.step()
