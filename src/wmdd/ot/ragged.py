"""Many discrete measures of different sizes, one after another, without padding."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import torch
from torch import Tensor

ROUNDING = 1e-6  # relative difference of two costs that float32 may make


@dataclass(frozen=True, eq=False)
class Measures:
    """G measures in homogeneous coordinates: ``loaded [N, D + 1]`` with rows ``b_i (h_i, 1)``, the masses ``b`` inside.

    The g-th measure has ``sizes[g]`` rows, and its masses sum to 1. One product of the rows with ``(-2 z, ||z||^2)`` is
    the squared distance to an atom z, times the mass, up to ``b_i ||h_i||^2``; one sum of rows over a cell is its
    first moment and its mass. The points are centred, so float32 loses little.
    """

    loaded: Tensor
    sizes: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.sizes)

    @cached_property
    def first(self) -> tuple[int, ...]:
        """Row at which each measure begins."""
        return tuple((torch.tensor(self.sizes).cumsum(0) - torch.tensor(self.sizes)).tolist())

    @cached_property
    def masses(self) -> Tensor:
        """``b_i [N]``."""
        return self.loaded[:, -1].contiguous()

    @cached_property
    def energies(self) -> Tensor:
        """``b_i ||h_i||^2 [N]``."""
        norms: Tensor = torch.linalg.vector_norm(self.loaded[:, :-1], dim=1)
        return norms.square() / self.masses

    def rows(self, g: int) -> slice:
        """The rows of measure ``g``."""
        return slice(self.first[g], self.first[g] + self.sizes[g])

    def points(self, rows: Tensor | slice | int) -> Tensor:
        """The points ``h_i`` of some rows."""
        return self.loaded[rows, :-1] / self.loaded[rows, -1:]

    def permuted(self, order: Tensor) -> "Measures":
        """With the points of each measure in another order: row i is what row ``order[i]`` was."""
        return Measures(self.loaded[order], self.sizes)

    def table(self, g: int, functionals: Tensor) -> Tensor:
        """``b_i ||z_j - h_i||^2`` of measure ``g``, less its energies: ``[m, n_g]`` for m :func:`functionals`."""
        products: Tensor = functionals @ self.loaded[self.rows(g)].T
        return products


def functionals(atoms: Tensor) -> Tensor:
    """``(-2 z, ||z||^2) [..., D + 1]`` of ``atoms [..., D]``: times a loaded row, it is a distance."""
    return torch.cat([-2 * atoms, atoms.square().sum(-1, keepdim=True)], -1)


def centred(classes: Iterable[tuple[Tensor, Tensor]], dtype: torch.dtype) -> tuple[Measures, Tensor]:
    """Measures in ``dtype`` around the means of ``classes``, pairs of points ``[n, D]`` and masses ``[n]``.

    Also those means, ``[G, D]`` in float64 but no more precise than the points: any centre will do.
    """
    rows, centres = list(classes), []
    sizes = tuple(len(points) for points, _ in rows)
    like = rows[0][0]
    loaded = torch.empty(sum(sizes), like.shape[1] + 1, dtype=dtype, device=like.device)
    for (points, masses), part in zip(rows, loaded.split(sizes), strict=True):
        centre = (masses.to(points.dtype) @ points).double()
        torch.sub(points, centre.to(dtype), out=part[:, :-1])
        part[:, -1] = masses.to(dtype).clamp(min=torch.finfo(dtype).tiny)  # rows without mass would lose their points
        part[:, :-1] *= part[:, -1:]
        centres.append(centre)
    return Measures(loaded, sizes), torch.stack(centres)


@dataclass(frozen=True, eq=False)
class Jobs:
    """J sets of atoms at work on ``measures``, several on one or none: set j serves measure ``home[j]`` (ascending).

    What a set knows of every point of its measure lies in flat tensors ``[L]``, set after set,
    ``L = sum_j sizes[home[j]]``.
    """

    measures: Measures
    home: tuple[int, ...]

    @staticmethod
    def each(measures: Measures, times: int = 1) -> "Jobs":
        """``times`` sets for every measure."""
        return Jobs(measures, tuple(g for g in range(len(measures)) for _ in range(times)))

    def __len__(self) -> int:
        return len(self.home)

    @property
    def device(self) -> torch.device:
        """Where the points are."""
        return self.measures.loaded.device

    @cached_property
    def groups(self) -> tuple[tuple[int, slice, slice], ...]:
        """``(measure, its sets, their entries)`` for every measure that has sets."""
        found: list[tuple[int, slice, slice]] = []
        job = entry = 0
        for g, group in groupby(self.home):
            count = len(list(group))
            length = count * self.measures.sizes[g]
            found.append((g, slice(job, job + count), slice(entry, entry + length)))
            job, entry = job + count, entry + length
        return tuple(found)

    @property
    def entries(self) -> int:
        """L."""
        return int(self.groups[-1][2].stop) if self.groups else 0

    @cached_property
    def sizes(self) -> Tensor:
        """Points of each set's measure, ``[J]``."""
        return torch.tensor([self.measures.sizes[g] for g in self.home], device=self.device)

    @cached_property
    def owner(self) -> Tensor:
        """The set of every entry, ``[L]``."""
        return torch.arange(len(self), device=self.device).repeat_interleave(self.sizes, output_size=self.entries)

    @cached_property
    def rows(self) -> Tensor:
        """The point of every entry, ``[L]``."""
        first = torch.tensor([self.measures.first[g] for g in self.home], device=self.device)
        shift = first - (self.sizes.cumsum(0) - self.sizes)
        shifts = shift.repeat_interleave(self.sizes, output_size=self.entries)
        return torch.arange(self.entries, device=self.device) + shifts

    @cached_property
    def energies(self) -> Tensor:
        """``b_i ||h_i||^2`` of every entry's point, ``[L]``."""
        return self.measures.energies[self.rows]

    def total(self, values: Tensor) -> Tensor:
        """The sum of ``values [L]`` over each set's entries, ``[J]`` in float64; the same on every run."""
        result: Tensor = torch.segment_reduce(values.double(), "sum", lengths=self.sizes, unsafe=True)
        return result

    def select(self, kept: Sequence[bool]) -> "Jobs":
        """The sets that are ``kept``."""
        return Jobs(self.measures, tuple(g for g, keep in zip(self.home, kept, strict=True) if keep))

    def best(self, cost: Sequence[float]) -> list[int]:
        """For every measure that has sets, the first of those whose ``cost [J]`` is the least, up to rounding.

        Several starts often end in the same cells; which of them rounding favours depends on what else is computed.
        """
        found = []
        for _, sets, _ in self.groups:
            enough = min(cost[sets]) * (1 + ROUNDING)
            found.append(next(j for j in range(sets.start, sets.stop) if cost[j] <= enough))
        return found
