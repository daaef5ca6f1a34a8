"""Figure 2 of arXiv 2311.18531: barycenters of circles and of crosses under KL, MMD and Wasserstein.

The inputs ``nu_i`` are clouds of points; where a density is needed, a cloud is smoothed by a Gaussian on a grid. Of the
two KL barycenters the figure has the minimiser of ``mean_i KL(nu_i | mu)``, the mean of the densities: the other one,
of ``mean_i KL(mu | nu_i)``, is their normalised geometric mean. It lives only where all inputs have mass, so for clouds
the width of the smoothing would decide what it looks like, and whether there is one.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from wmdd.core.hashing import derive_seed
from wmdd.experiments.picture import Panel, draw
from wmdd.experiments.shapes import POINTS, SHAPES
from wmdd.ot import (
    GridProblem,
    MeasuresProblem,
    exact_plan,
    solve_free_support,
    solve_grid,
    squared_distances,
)
from wmdd.runtime.random import stream
from wmdd.storage.atomic import write_bytes
from wmdd.storage.json import write_json

INPUTS = 8  # clouds of each shape
SHOWN = 3  # of which the picture shows so many
ATOMS = POINTS
CELLS = 72  # of the grid, along each side of the square from -1 to 1
WIDTH = 0.04  # standard deviation of the Gaussian that makes a cloud a density
EPSILON = 0.0075  # of the entropic barycenter on the grid, in squared units
MMD_STEPS = 1000  # at most, of L-BFGS
STARTS = 4  # of the solvers with free atoms; the lowest counts
HEADS = {
    "kl": ("KL", "mean of densities"),
    "mmd": ("MMD", f"{ATOMS} free atoms"),
    "wasserstein_atoms": ("Wasserstein", f"{ATOMS} free atoms"),
    "wasserstein_grid": ("Wasserstein", f"{CELLS} × {CELLS} grid"),
}
NEGLIGIBLE = 1e-9  # mass of a cell below which it is left out of exact transport


@dataclass(frozen=True, eq=False)
class Barycenter:
    """``points [m, 2]`` with ``weights [m]``, and ``density [CELLS, CELLS]``, all float64; both sum to 1.

    ``gridded`` tells whether the density is what is drawn, or else the points.
    """

    points: Tensor
    weights: Tensor
    density: Tensor
    gridded: bool
    converged: bool
    seconds: float = 0.0


def run(folder: Path, seed: int) -> list[Path]:
    """Compute the figure, write ``figure2.png``, ``figure2.svg`` and ``figure2.json`` to ``folder``; their paths.

    Raises:
        OSError: the folder cannot be made.
        RunError: the files cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)  # before the work, in case it cannot be
    clouds = {shape: [make(stream(seed, "figure2", shape, i)) for i in range(INPUTS)] for shape, make in SHAPES.items()}
    found = {shape: barycenters(inputs, derive_seed(seed, "figure2", shape)) for shape, inputs in clouds.items()}
    costs = {shape: {name: divergences(made, clouds[shape]) for name, made in found[shape].items()} for shape in SHAPES}
    rows = {
        shape: [
            *(Panel(points=cloud.numpy()) for cloud in clouds[shape][:SHOWN]),
            *(_panel(made, costs[shape][name]) for name, made in found[shape].items()),
        ]
        for shape in SHAPES
    }
    given = [("", ""), ("inputs", f"{SHOWN} of {INPUTS}, {POINTS} points each"), ("", "")]
    paths = [folder / f"figure2.{kind}" for kind in ("png", "svg", "json")]
    for path in paths[:2]:
        write_bytes(path, draw(rows, given, list(HEADS.values()), path.suffix[1:]))
    write_json(paths[2], _record(seed, found, costs))
    return paths


def barycenters(clouds: list[Tensor], seed: int) -> dict[str, Barycenter]:
    """The barycenters of ``clouds``, each ``[POINTS, 2]``, by the name of their column."""
    found = {}
    for name in HEADS:
        began = time.perf_counter()
        made = SOLVERS[name](clouds, seed)
        found[name] = replace(made, seconds=time.perf_counter() - began)
    return found


def divergences(made: Barycenter, clouds: list[Tensor]) -> dict[str, float]:
    """The mean over the inputs of ``KL(nu_i | mu)`` of densities, of MMD^2, and of the exact W2^2 of points."""
    log = made.density.clamp(min=torch.finfo(torch.float64).tiny).log()
    heavy = made.weights > NEGLIGIBLE
    points, weights = made.points[heavy], made.weights[heavy] / made.weights[heavy].sum()
    each = [
        {
            "kl": float(torch.xlogy(dense := density(cloud), dense).sum() - (dense * log).sum()),
            "mmd2": float(_energy(made.points, made.weights, cloud) - _distances(cloud, cloud).mean()),
            "w2": exact_plan(weights, _uniform(len(cloud)), squared_distances(points, cloud)).cost,
        }
        for cloud in clouds
    ]
    return {name: float(f"{sum(costs[name] for costs in each) / len(each):.6g}") for name in each[0]}


def density(points: Tensor) -> Tensor:
    """``points [n, 2]`` smoothed by the Gaussian, on the grid: ``[CELLS, CELLS]``, sum 1, the first axis along x."""
    closeness = -squared_distances(_grid(), points) / (2 * WIDTH**2)
    return closeness.logsumexp(1).softmax(0).view(CELLS, CELLS)


def _grid() -> Tensor:
    side = (torch.arange(CELLS, dtype=torch.float64) + 0.5) * (2 / CELLS) - 1
    return torch.cartesian_prod(side, side)


def _of_points(points: Tensor, *, gridded: bool, converged: bool) -> Barycenter:
    return Barycenter(points, _uniform(len(points)), density(points), gridded, converged)


def _uniform(n: int) -> Tensor:
    return torch.full((n,), 1 / n, dtype=torch.float64)


def _kl(clouds: list[Tensor], seed: int) -> Barycenter:
    """The mean of the densities, that is all clouds as one, smoothed."""
    return _of_points(torch.cat(clouds), gridded=True, converged=True)


def _mmd(clouds: list[Tensor], seed: int) -> Barycenter:
    """Free atoms of equal weight, moved down the gradient of MMD^2 by L-BFGS.

    Without a limit on the atoms the minimiser would be the mixture of all inputs. Starts are points of it, drawn, and
    once the Wasserstein atoms.
    """
    pooled, generator = torch.cat(clouds), Generator().manual_seed(seed)
    starts = [pooled[torch.randperm(len(pooled), generator=generator)[:ATOMS]] for _ in range(STARTS - 1)]
    starts.append(_wasserstein_atoms(clouds, seed).points)
    outcomes = [_descend(start, pooled) for start in starts]
    atoms, _, converged = min(outcomes, key=lambda outcome: outcome[1])
    return _of_points(atoms, gridded=False, converged=converged)


def _descend(start: Tensor, pooled: Tensor) -> tuple[Tensor, float, bool]:
    atoms, weights = start.clone().requires_grad_(), _uniform(len(start))
    optimiser = torch.optim.LBFGS([atoms], max_iter=MMD_STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = _energy(atoms, weights, pooled)
        loss.backward()
        return loss

    optimiser.step(closure)
    return atoms.detach(), float(closure().detach()), optimiser.state[atoms]["n_iter"] < MMD_STEPS


def _energy(points: Tensor, weights: Tensor, cloud: Tensor) -> Tensor:
    """Squared MMD of weighted points and a cloud, less a constant, for the kernel ``-|x - y|``: no width to choose."""
    return 2 * weights @ _distances(points, cloud).mean(1) - weights @ _distances(points, points) @ weights


def _distances(x: Tensor, y: Tensor) -> Tensor:
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def _wasserstein_grid(clouds: list[Tensor], seed: int) -> Barycenter:
    densities = torch.stack([density(cloud) for cloud in clouds])[None]
    problem = GridProblem(densities, torch.ones(1, len(clouds), dtype=torch.float64), spacing=2 / CELLS)
    output = solve_grid(problem, epsilon=EPSILON)
    histogram, converged = output.histograms[0], bool(output.converged[0])
    return Barycenter(_grid(), histogram.flatten(), histogram, gridded=True, converged=converged)


def _wasserstein_atoms(clouds: list[Tensor], seed: int) -> Barycenter:
    output = solve_free_support(MeasuresProblem.uniform(clouds, ATOMS), seed=seed, restarts=STARTS)
    return _of_points(output.atoms, gridded=False, converged=output.converged)


SOLVERS: Mapping[str, Callable[[list[Tensor], int], Barycenter]] = {
    "kl": _kl,
    "mmd": _mmd,
    "wasserstein_atoms": _wasserstein_atoms,
    "wasserstein_grid": _wasserstein_grid,
}


def _panel(made: Barycenter, costs: dict[str, float]) -> Panel:
    note = f"mean $W_2^2$  {costs['w2']:.3f}"
    if made.gridded:
        return Panel(density=made.density.numpy(), note=note)
    return Panel(points=made.points.numpy(), note=note)


def _record(
    seed: int, found: dict[str, dict[str, Barycenter]], costs: dict[str, dict[str, dict[str, float]]]
) -> dict[str, Any]:
    return {
        "experiment": "figure2",
        "seed": seed,
        "settings": {
            "inputs": INPUTS,
            "points": POINTS,
            "atoms": ATOMS,
            "cells": CELLS,
            "width": WIDTH,
            "epsilon": EPSILON,
        },
        "shapes": {
            shape: {
                name: {**costs[shape][name], "converged": made.converged, "seconds": round(made.seconds, 3)}
                for name, made in found[shape].items()
            }
            for shape in found
        },
    }
