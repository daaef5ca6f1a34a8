import re
from importlib.resources import files

import pytest
import torch

from wmdd.experiments import figure2
from wmdd.experiments.picture import COLOURS, Panel, draw
from wmdd.experiments.shapes import POINTS, SHAPES
from wmdd.runtime.random import stream


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"CELLS": 24, "WIDTH": 0.1, "EPSILON": 0.02, "STARTS": 2, "MMD_STEPS": 100}.items():
        monkeypatch.setattr(figure2, name, value)


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_lie_in_the_square_and_differ_by_stream(shape: str) -> None:
    clouds = [SHAPES[shape](stream(0, shape, i)) for i in range(50)]
    assert all(cloud.shape == (POINTS, 2) for cloud in clouds)
    assert float(torch.stack(clouds).abs().max()) < 1.1
    assert not torch.equal(clouds[0], clouds[1])
    assert torch.equal(clouds[0], SHAPES[shape](stream(0, shape, 0)))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_barycenter_is_the_cheapest_in_its_own_divergence(shape: str) -> None:
    clouds = [SHAPES[shape](stream(0, shape, i)) for i in range(4)]
    found = figure2.barycenters(clouds, 0)
    costs = {name: figure2.divergences(made, clouds) for name, made in found.items()}
    for made in found.values():
        assert made.converged
        assert float(made.weights.sum()) == pytest.approx(1)
        assert float(made.density.sum()) == pytest.approx(1)
    assert min(costs, key=lambda name: costs[name]["kl"]) == "kl"
    assert min(costs, key=lambda name: costs[name]["w2"]) == "wasserstein_atoms"
    # Without a limit on the atoms the best under MMD is the mixture; with it, MMD's own atoms.
    assert costs["kl"]["mmd2"] <= costs["mmd"]["mmd2"] < costs["wasserstein_atoms"]["mmd2"]


def test_costs_are_zero_between_a_cloud_and_itself() -> None:
    cloud = SHAPES["circles"](stream(0, "circles"))
    costs = figure2.divergences(figure2._of_points(cloud, gridded=False, converged=True), [cloud, cloud])
    assert costs == pytest.approx({"kl": 0, "mmd2": 0, "w2": 0}, abs=1e-12)


def test_density_puts_x_first_and_y_second() -> None:
    peak = int(figure2.density(torch.tensor([[-0.9, 0.5]], dtype=torch.float64)).argmax())
    assert divmod(peak, figure2.CELLS) == (1, 18)


def test_colours_are_those_of_the_page() -> None:
    light = files("wmdd.report").joinpath("style.css").read_text().split("}")[0]
    page = dict(re.findall(r"--(\w+): (#\w+);", light))
    assert {name: page[name] for name in COLOURS} == COLOURS


@pytest.mark.parametrize(("kind", "beginning"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_pictures_repeat_themselves(kind: str, beginning: bytes) -> None:
    panel = Panel(points=torch.zeros(3, 2).double().numpy(), note="note")
    pictures = [draw({"row": [panel, panel]}, [("a", "")], [("b", "below")], kind) for _ in range(2)]
    assert pictures[0] == pictures[1]
    assert pictures[0].startswith(beginning)
