"""Recorded passes do what plain ones do, and what cannot be recorded runs as before."""

import pytest
import torch
from torch import Tensor, nn

from wmdd.models import build_network
from wmdd.models.registry import Stem
from wmdd.runtime.device import Machine, Precision, open_machine
from wmdd.runtime.graphs import graph_training, graphed_inference
from wmdd.runtime.random import seeded

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and torch finds none"),
]

SHAPE = (10, 3, 32, 32)


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def machine(request: pytest.FixtureRequest) -> Machine:
    precision: Precision = request.param
    return open_machine("cuda", precision, torch.get_num_threads())


def a_network(machine: Machine, stem: Stem = "small") -> nn.Module:
    with seeded(0, "graphs"):
        return machine.place(build_network("resnet18", 10, 32, stem))


def batch(machine: Machine, seed: int, count: int = SHAPE[0]) -> Tensor:
    x = torch.randn(count, *SHAPE[1:], generator=torch.Generator().manual_seed(seed))
    return machine.layout(x.to(machine.device))


def trained(machine: Machine, stem: Stem, *, recorded: bool) -> tuple[list[float], dict[str, Tensor]]:
    network = a_network(machine, stem)
    if recorded:
        graph_training(network, SHAPE, machine)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    network.train()
    losses = []
    for step in range(4):
        with machine.autocast():
            loss = network(batch(machine, step)).float().square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    network.eval()
    with torch.no_grad(), machine.autocast():
        losses.append(float(network(batch(machine, 9, 7)).float().square().mean()))  # another shape, scored
    return losses, network.state_dict()


@pytest.mark.parametrize("stem", ["small", "imagenet"])  # maps of a pixel behind the latter: convolutions are trimmed
def test_students_learn_the_same_from_recorded_passes(machine: Machine, stem: Stem) -> None:
    plain, expected = trained(machine, stem, recorded=False)
    losses, found = trained(machine, stem, recorded=True)
    assert losses == pytest.approx(plain, rel=1e-3)
    assert {name: int(value) for name, value in found.items() if name.endswith("num_batches_tracked")} == {
        name: 4 for name in found if name.endswith("num_batches_tracked")
    }
    for name, value in expected.items():
        torch.testing.assert_close(found[name].float(), value.float(), rtol=1e-2, atol=1e-3)


def test_recording_changes_nothing(machine: Machine) -> None:
    network = a_network(machine)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    graph_training(network, SHAPE, machine)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


class Waiting(nn.Module):
    """Looks at its input on the CPU, which no recording allows."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        assert float(x.detach().sum()) == float(x.detach().sum())
        out: Tensor = self.layer(x).mean(dim=(2, 3))
        return out


def test_a_network_that_waits_for_the_gpu_runs_as_before(machine: Machine) -> None:
    network = machine.place(Waiting())
    graph_training(network, SHAPE, machine)
    infer = graphed_inference(lambda x: network(x).detach(), machine)
    for seed in range(2):
        x = batch(machine, seed)
        network(x).sum().backward()
        assert torch.equal(infer(x), network(x))
    assert network.layer.weight.grad is not None


def test_inference_of_every_shape(machine: Machine) -> None:
    network = a_network(machine).eval()

    @torch.no_grad()
    def plain(x: Tensor) -> Tensor:
        with machine.autocast():
            out: Tensor = network(x)
        return out

    infer = graphed_inference(plain, machine)
    kept = [
        (infer(batch(machine, seed, count)), plain(batch(machine, seed, count)))
        for seed, count in enumerate([10, 7, 10])
    ]
    for found, expected in kept:
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
