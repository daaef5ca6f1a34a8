"""Teacher features in the plane: real ones, atoms, and those of the synthetic images."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wmdd.report.collect import Array, RunData, read_tensors

MOST_POINTS = 4000
MOST_CLASSES = 10

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ClassPoints:
    """One class in the plane, each ``[n, 2]``; ``atoms`` and ``synthetic`` are empty where they are not made yet."""

    k: int
    real: Floats
    atoms: Floats
    synthetic: Floats


@dataclass(frozen=True)
class Plane:
    """The shown classes, and the share of the real features' variance along each axis."""

    classes: tuple[ClassPoints, ...]
    explained: tuple[float, float]


def spread_out(items: list[int], most: int) -> list[int]:
    """At most ``most`` of ``items``, evenly spaced, the first and the last among them."""
    if len(items) <= most:
        return items
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def project(run: RunData) -> Plane | None:
    """PCA of a fixed sample of the real features, of up to ten classes; None before there are statistics."""
    known = sorted(k for unit in run.units["statistics"] for k in unit.classes)
    if not known:
        return None
    chosen = spread_out(known, MOST_CLASSES)
    real = {k: _real_features(run, k, MOST_POINTS // len(chosen)) for k in chosen}
    points = np.concatenate(list(real.values()))
    center = points.mean(axis=0)
    spread, axes = _principal_axes(points - center)
    axes, top = axes[:, :2], spread[:2]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])

    def flat(features: Array) -> Floats:
        return np.asarray((features.astype(np.float64) - center) @ axes, dtype=np.float64)

    classes = [ClassPoints(k, flat(real[k]), flat(_atoms(run, k)), flat(_synthetic(run, k))) for k in chosen]
    total = max(float(spread.sum()), np.finfo(np.float64).tiny)
    return Plane(tuple(classes), (float(top[0]) / total, float(top[1]) / total))


def _principal_axes(centred: Array) -> tuple[Floats, Floats]:
    """Variances, largest first, and their directions as columns; two at least, where there are two features."""
    count, width = centred.shape
    if 2 <= count < width // 4:  # few points in a wide space: a covariance would take 11 s for the 4096 of a VGG
        _, scale, rows = np.linalg.svd(centred, full_matrices=False)
        return scale**2 / (count - 1), rows.T
    spread, axes = np.linalg.eigh(np.cov(centred, rowvar=False))
    return spread[::-1], axes[:, ::-1]


def _real_features(run: RunData, k: int, most: int) -> Array:
    unit = run.home("statistics", k)
    assert unit is not None
    found = read_tensors(run.paths(unit, ".safetensors")[0], ("classes", "offsets", "features"))
    g = found["classes"].tolist().index(k)
    mine = found["features"][found["offsets"][g] : found["offsets"][g + 1]].astype(np.float64)
    return mine[np.sort(np.random.default_rng(k).permutation(len(mine))[:most])]


def _atoms(run: RunData, k: int) -> Array:
    unit = run.home("barycenters", k)
    if unit is None:
        return np.empty((0, 1))
    return np.asarray(read_tensors(run.paths(unit, ".safetensors")[0], ("atoms",))["atoms"][unit.classes.index(k)])


def _synthetic(run: RunData, k: int) -> Array:
    unit = run.home("synthesis", k)
    if unit is None:
        return np.empty((0, 1))
    return read_tensors(run.paths(unit, f"class-{k:04d}.safetensors")[0], ("features",))["features"]
