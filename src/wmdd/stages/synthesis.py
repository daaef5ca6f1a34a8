"""Optimising images towards the atoms: Algorithm 2 of arXiv 2311.18531.

For every class k on its own, over random views of its m images s_kj with weights w_kj (sum 1):

    L_k = L_feature(h(s_k), z_k) + lambda L_BN(moments(s_k; w_k), real moments_k) + gamma CE(f(s_k), k)

or with a divergence of the measures on ``h(s_k)`` and on the real features of the class as L_feature, or with the
statistics of one image of each class together in L_BN (SRe2L, arXiv 2306.13092).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from wmdd.augment import Views, column_major, render, sample_views
from wmdd.config.synthesis import SynthesisConfig
from wmdd.core.types import LayerMoments, Moments, Observation
from wmdd.losses import statistics_loss
from wmdd.models import Teacher
from wmdd.runtime.device import Machine
from wmdd.runtime.random import stream
from wmdd.stages.finite import FiniteWatch
from wmdd.stages.matching import Power, compares_measures, feature_match
from wmdd.stages.pixels import Pixels
from wmdd.stages.training import Log, cosine, silent
from wmdd.storage.savepoint import Savepoint

Compare = Callable[[Tensor, Tensor], Tensor]
"""The feature loss at one step: features ``[G, m, D]`` and image weights ``[G, m]`` to ``[G]``."""


@dataclass(frozen=True)
class SynthesisProblem:
    """What ``G`` classes aim at: ``atoms [G, m, D]``, ``weights [G, m]``, real ``moments[layer] [G, C_l]``.

    Where the statistics are those of all classes together, ``moments[layer]`` is ``[1, C_l]``.
    ``start [G, m, C, S, S]`` holds the normalised images to begin with. ``real`` has the real features ``[n_k, D]`` of
    each class, for the feature losses that compare measures; the others need none.
    """

    classes: tuple[int, ...]
    atoms: Tensor
    weights: Tensor
    moments: LayerMoments
    start: Tensor
    real: tuple[Tensor, ...] = ()


def noise(k: int, ipc: int, size: int, seed: int, channels: int = 3) -> Tensor:
    """Class ``k``'s Gaussian noise, normalised ``float64 [m, C, S, S]``, from its own stream."""
    return torch.randn(ipc, channels, size, size, generator=stream(seed, "noise", k), dtype=torch.float64)


def synthesize(
    teacher: Teacher,
    problem: SynthesisProblem,
    config: SynthesisConfig,
    machine: Machine,
    seed: int,
    *,
    flip: bool,
    log: Log = silent,
    savepoint: Savepoint | None = None,
) -> Tensor:
    """Images ``[G, m, C, S, S]``, normalised, after ``config.num_steps`` of Adam on their pixels.

    ``log`` receives each step's loss terms, averaged over the classes. Classes do not influence one another: not
    through the random views (each has its own stream), nor the loss (a sum over classes, unless
    ``config.statistics_of`` is "all"), nor Adam (per pixel).

    Raises:
        DataError: ``config.feature_loss`` compares measures and the problem lacks a class's real features.
        NotFiniteError: a loss has become NaN or infinite.
    """
    savepoint = savepoint or Savepoint()
    problem = _place(problem, machine, with_real=compares_measures(config.feature_loss))
    power: Power = "squared" if config.statistics_loss == "squared" else "norm"
    match = feature_match(config.feature_loss, power, problem.classes, problem.atoms, problem.real, seed)
    size, ipc = problem.start.shape[-1], problem.start.shape[1]
    lower, upper = teacher.preprocessing.bounds(problem.start)
    pixels = Pixels(column_major(problem.start.flatten(0, 1)), lower, upper)
    plan = [_plan_views(k, ipc, size, config, seed, flip=flip) for k in problem.classes]
    watch = FiniteWatch(config.num_steps, problem.classes)

    def state(done: int) -> dict[str, Tensor]:
        watch.check()
        return {**pixels.state(), "done": torch.tensor(done)}

    for step in range(_restore(savepoint, pixels), config.num_steps):
        views = _views_at(plan, step, ipc)
        terms = _backward(teacher, problem, pixels.values, views, partial(match, step), config, machine)
        watch.see(step + 1, torch.stack(list(terms.values())).sum(dim=0))
        pixels.step(config.lr * cosine(step / config.num_steps))
        log(step + 1, config.num_steps, **_means(terms))
        savepoint.offer(partial(state, step + 1))
    watch.check()
    return pixels.values.detach().reshape(problem.start.shape)


def _place(problem: SynthesisProblem, machine: Machine, *, with_real: bool) -> SynthesisProblem:
    def to(tensor: Tensor) -> Tensor:
        return tensor.to(machine.device, machine.dtype)

    moments = {name: Moments(to(mean), to(var)) for name, (mean, var) in problem.moments.items()}
    real = tuple(map(to, problem.real)) if with_real else ()
    return SynthesisProblem(problem.classes, to(problem.atoms), to(problem.weights), moments, to(problem.start), real)


# --- views ------------------------------------------------------------------------------------------------------------


def _plan_views(k: int, ipc: int, size: int, config: SynthesisConfig, seed: int, *, flip: bool) -> Views:
    """All views of class ``k``: row ``step * m + j`` is image ``j``'s at that step."""
    each = ipc if config.crop_per_image else 1
    views = sample_views(
        config.num_steps * each,
        size,
        stream(seed, "synthesis", k),
        min_area=_smallest_crops(config).repeat_interleave(each),
        flip=flip,
        roll=round(config.jitter * size),
    )
    return views if config.crop_per_image else views[torch.arange(config.num_steps).repeat_interleave(ipc)]


def _smallest_crops(config: SynthesisConfig) -> Tensor:
    """The smallest area of a crop at each step, ``[steps]``; from easy to hard where there is a start (CDA)."""
    first = config.min_crop if config.min_crop_start is None else config.min_crop_start
    progress = torch.arange(config.num_steps, dtype=torch.float64) / max(config.num_steps, 1)
    return config.min_crop + (first - config.min_crop) * (1 + (torch.pi * progress).cos()) / 2


def _views_at(plan: list[Views], step: int, ipc: int) -> Views:
    now = [views[step * ipc : (step + 1) * ipc] for views in plan]
    return Views(*(torch.cat([getattr(views, name) for views in now]) for name in ("box", "flip", "roll")))


# --- the loss ---------------------------------------------------------------------------------------------------------


def _losses(
    seen: Observation, problem: SynthesisProblem, compare: Compare, config: SynthesisConfig
) -> dict[str, Tensor]:
    """The loss terms ``[G]`` of what the teacher saw in the ``G m`` views, weights applied."""
    count, ipc, width = problem.atoms.shape
    features = seen.features.to(problem.atoms.dtype).view(count, ipc, width)
    weights = problem.weights if config.weighted else torch.full_like(problem.weights, 1 / ipc)
    losses = {}
    if config.feature:
        losses["feature"] = config.feature * compare(features, weights)
    if config.statistics:
        losses["statistics"] = config.statistics * _statistics(seen.moments, weights, problem.moments, config)
    if config.cross_entropy:
        labels = torch.tensor(problem.classes, device=features.device).repeat_interleave(ipc)
        entropy = F.cross_entropy(seen.logits.to(features.dtype), labels, reduction="none")
        losses["cross_entropy"] = config.cross_entropy * entropy.view(count, ipc).mean(dim=1)
    return losses


def _statistics(images: LayerMoments, weights: Tensor, real: LayerMoments, config: SynthesisConfig) -> Tensor:
    """The statistics loss ``[G]``; of all classes together it is the same for each.

    SRe2L optimises one image of each class at a time. So image j of every class is pooled with the others' image j, and
    the loss is the mean over j: no image can make up for another of its class.
    """
    if config.statistics_of == "class":
        return statistics_loss(images, weights, real, config.statistics_loss)
    order = torch.arange(weights.numel(), device=weights.device).view(weights.shape).t().flatten()
    batches = {name: Moments(mean[order], var[order]) for name, (mean, var) in images.items()}
    shares = weights.t() / weights.sum(dim=0)[:, None]
    aims = {
        name: Moments(mean.expand(len(shares), -1), var.expand(len(shares), -1)) for name, (mean, var) in real.items()
    }
    return statistics_loss(batches, shares, aims, config.statistics_loss).mean().expand(len(weights))


def _backward(
    teacher: Teacher,
    problem: SynthesisProblem,
    pixels: Tensor,
    views: Views,
    compare: Compare,
    config: SynthesisConfig,
    machine: Machine,
) -> dict[str, Tensor]:
    """Add the gradient of the summed losses to ``pixels.grad``; returns each term ``[G]``."""
    count, most = len(pixels), config.batch_size
    chunks = [slice(first, min(first + most, count)) for first in range(0, count, most)]

    def observe(shown: Tensor, rows: slice) -> Observation:
        with machine.autocast():
            return teacher.observe(machine.layout(render(shown, views[rows])))

    if len(chunks) == 1:
        losses = _losses(observe(pixels, chunks[0]), problem, compare, config)
        sum(term.sum() for term in losses.values()).backward()  # type: ignore[union-attr]
    else:
        losses = _backward_in_chunks(pixels, observe, chunks, problem, compare, config)
    return {name: term.detach() for name, term in losses.items()}


def _means(terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each term averaged over classes, and their sum."""
    means = {name: term.mean() for name, term in terms.items()}
    return means | {"loss": torch.stack(list(means.values())).sum()}


def _backward_in_chunks(
    pixels: Tensor,
    observe: Callable[[Tensor, slice], Observation],
    chunks: Sequence[slice],
    problem: SynthesisProblem,
    compare: Compare,
    config: SynthesisConfig,
) -> dict[str, Tensor]:
    """The same gradient for more images than one forward pass holds.

    The loss sees images only through their features, logits and per-image moments, which are small: a first pass
    gathers them, the loss is differentiated down to them, and a second pass carries those gradients to the pixels.
    """
    with torch.no_grad():
        parts = [_flatten(observe(pixels[rows], rows)) for rows in chunks]
    leaves = {name: torch.cat([part[name] for part in parts]).requires_grad_() for name in parts[0]}
    losses = _losses(_unflatten(leaves), problem, compare, config)
    sum(term.sum() for term in losses.values()).backward()  # type: ignore[union-attr]
    pixels.grad = torch.zeros_like(pixels)
    for rows in chunks:
        shown = pixels.detach()[rows].requires_grad_()  # of a slice of the leaf the gradient would be as large as all
        seen = _flatten(observe(shown, rows))
        used = [name for name in seen if seen[name].requires_grad and leaves[name].grad is not None]
        torch.autograd.backward([seen[name] for name in used], [_rows_of(leaves[name], rows) for name in used])
        assert shown.grad is not None, "every image is seen"
        pixels.grad[rows] = shown.grad
    return losses


def _rows_of(leaf: Tensor, rows: slice) -> Tensor:
    assert leaf.grad is not None
    return leaf.grad[rows]


def _flatten(seen: Observation) -> dict[str, Tensor]:
    flat = {"logits": seen.logits, "features": seen.features}
    for name, (mean, var) in seen.moments.items():
        flat |= {f"mean/{name}": mean, f"var/{name}": var}
    return flat


def _unflatten(flat: Mapping[str, Tensor]) -> Observation:
    names = [name.removeprefix("mean/") for name in flat if name.startswith("mean/")]
    moments = {name: Moments(flat[f"mean/{name}"], flat[f"var/{name}"]) for name in names}
    return Observation(flat["logits"], flat["features"], moments)


# --- savepoints -------------------------------------------------------------------------------------------------------


def _restore(savepoint: Savepoint, pixels: Pixels) -> int:
    """Put a saved state back; returns the step to go on from."""
    state = savepoint.load()
    if state is None:
        return 0
    pixels.load(state)
    return int(state["done"])
