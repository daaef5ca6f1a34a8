"""Many discrete measures of different sizes, one after another, without padding."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import torch
from torch import Tensor

from wmdd.ot.rooms import Rooms

FILLING = 1e-12  # mass of a point that only fills a measure up
RUN_NUMBERS = 1_500_000  # in the table of a run on a CPU: a few megabytes, or one measure
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

    @cached_property
    def rooms(self) -> Rooms:
        """Memory for what is computed of these measures, over and over."""
        return Rooms()

    def rows(self, g: int) -> slice:
        """The rows of measure ``g``."""
        return slice(self.first[g], self.first[g] + self.sizes[g])

    def points(self, rows: Tensor | slice | int) -> Tensor:
        """The points ``h_i`` of some rows."""
        return self.loaded[rows, :-1] / self.loaded[rows, -1:]

    def span(self, which: range, values: Tensor) -> Tensor:
        """``values [N, ...]`` of consecutive measures of one size n: ``[G', n, ...]``."""
        rows = slice(self.first[which.start], self.rows(which[-1]).stop)
        return values[rows].view(len(which), -1, *values.shape[1:])

    def tables(self, which: range, functionals: Tensor) -> Tensor:
        """``b_i ||z_j - h_i||^2`` of consecutive measures of one size, less their energies.

        ``[G', k, n]`` for the :func:`functionals` of k atoms each, ``[G', k, D + 1]``; the next ones overwrite them.
        """
        loaded = self.span(which, self.loaded)
        room = self.rooms.take("tables", (len(which), functionals.shape[1], loaded.shape[1]), loaded)
        tables: Tensor = torch.bmm(functionals, loaded.mT, out=room)
        return tables


def functionals(atoms: Tensor) -> Tensor:
    """``(-2 z, ||z||^2) [..., D + 1]`` of ``atoms [..., D]``: times a loaded row, it is a distance."""
    return torch.cat([-2 * atoms, atoms.square().sum(-1, keepdim=True)], -1)


def filled_up(measures: Measures) -> Measures:
    """``measures`` with their sizes rounded up to halves of octaves, so that many have the same.

    What fills a measure up is copies of its first point, whose mass is lost in the rounding. They share that point's
    cell always, so no cell lives on them alone. A measure's size depends on nothing that stands beside it.
    """
    rows, sizes = [], []
    for g, size in enumerate(measures.sizes):
        step = 1 << max(0, size.bit_length() - 2)
        sizes.append(-(-size // step) * step)
        rows.append(torch.arange(sizes[g]).where(torch.arange(sizes[g]) < size, 0) + measures.first[g])
    taken = torch.cat(rows).to(measures.loaded.device)
    loaded = measures.loaded[taken]
    added = torch.cat([torch.arange(filled) >= size for filled, size in zip(sizes, measures.sizes, strict=True)])
    added = added.to(loaded.device)
    loaded[added] *= FILLING / loaded[added, -1:]
    return Measures(loaded, tuple(sizes))


def centred(classes: Iterable[tuple[Tensor, Tensor]], dtype: torch.dtype) -> tuple[Measures, Tensor]:
    """Measures in ``dtype`` around the means of ``classes``, pairs of points ``[n, D]`` and masses ``[n]``.

    Also those means, ``[G, D]`` in float64 but no more precise than the points: any centre will do.
    """
    rows = list(classes)
    sizes, like = tuple(len(points) for points, _ in rows), rows[0][0]
    loaded = torch.empty(sum(sizes), like.shape[1] + 1, dtype=dtype, device=like.device)
    parts = zip(rows, loaded.split(sizes), strict=True)
    centres = [_load(points, masses, part) for (points, masses), part in parts]
    return Measures(loaded, sizes), torch.stack(centres)


def one_by_one(
    classes: Iterable[tuple[Tensor, Tensor]], largest: int, dtype: torch.dtype
) -> Iterator[tuple[Measures, Tensor]]:
    """Each of ``classes`` as :func:`centred` gives it, all in the same memory: the next one overwrites it.

    No class has more than ``largest`` points. Fresh memory would cost more than all that is done in it.
    """
    room: Tensor | None = None
    for points, masses in classes:
        if room is None:
            room = torch.empty(largest, points.shape[1] + 1, dtype=dtype, device=points.device)
        part = room[: len(points)]
        centre = _load(points, masses, part)
        yield Measures(part, (len(points),)), centre


def _load(points: Tensor, masses: Tensor, part: Tensor) -> Tensor:
    """Write the rows of one measure around its mean into ``part [n, D + 1]``; the mean ``[D]``."""
    centre = (masses.to(points.dtype) @ points).double()
    torch.sub(points, centre.to(part.dtype), out=part[:, :-1])
    part[:, -1] = masses.to(part.dtype).clamp(min=torch.finfo(part.dtype).tiny)  # without mass, a row loses its point
    part[:, :-1] *= part[:, -1:]
    return centre


@dataclass(frozen=True)
class Run:
    """Consecutive ``measures`` of one size with equally many sets; their ``sets``, and the ``entries`` of these."""

    measures: range
    sets: slice
    entries: slice


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

    def runs(self, m: int) -> tuple["Run", ...]:
        """Consecutive measures alike in size and number of sets, to be worked on at once with m numbers an entry."""
        if m not in self._runs:
            self._runs[m] = tuple(self._joined(RUN_NUMBERS // m if self.device.type == "cpu" else self.entries))
        return self._runs[m]

    @cached_property
    def _runs(self) -> dict[int, tuple["Run", ...]]:
        return {}

    def _joined(self, most: int) -> list["Run"]:
        found: list[Run] = []
        for g, sets, entries in self.groups:
            last = found[-1] if found else None
            if last and self._alike(last, g, sets) and entries.stop - last.entries.start <= most:
                joined = range(last.measures.start, g + 1)
                found[-1] = Run(joined, slice(last.sets.start, sets.stop), slice(last.entries.start, entries.stop))
            else:
                found.append(Run(range(g, g + 1), sets, entries))
        return found

    def _alike(self, run: "Run", g: int, sets: slice) -> bool:
        size = self.measures.sizes[g]
        return (
            g == run.measures.stop
            and size == self.measures.sizes[run.measures.start]
            and (sets.stop - sets.start) * len(run.measures) == run.sets.stop - run.sets.start
        )

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
