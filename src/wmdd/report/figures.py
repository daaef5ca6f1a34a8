"""The charts of the page."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator, StrMethodFormatter

from wmdd.report.collect import RANDOM_REAL, WMDD, Barycenters
from wmdd.report.curves import Band, Curve, Floats, band
from wmdd.report.plane import ClassPoints, Plane
from wmdd.report.scores import Comparison
from wmdd.report.svg import chart, color, plain

MOST_BARS = 50
_METHOD = {WMDD: ("distilled", "wmdd", "o"), RANDOM_REAL: ("random real", "real", "s")}


def method_name(method: str) -> str:
    """What the page calls a method."""
    return _METHOD[method][0] if method in _METHOD else method


def _look(method: str) -> tuple[str, str]:
    _, name, marker = _METHOD.get(method, ("", "muted", "D"))
    return color(name), marker


def _legend(axes: Axes, columns: int = 4) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=columns)


# --- scores -----------------------------------------------------------------------------------------------------------


def seeds_chart(groups: Sequence[Comparison], teacher: float, chance: float) -> str:
    """Every student as a point, means as bars, beside the teacher and chance."""
    rows = [(group, method) for group in groups for method in group.methods]

    def draw(axes: Axes) -> None:
        for y, (group, method) in enumerate(rows):
            ink, marker = _look(method)
            values = [score.top1 for score in group.by_seed[method].values()]
            mean = group.top1(method).mean
            axes.plot([mean, mean], [y - 0.3, y + 0.3], color=ink, linewidth=2.2)
            axes.plot(values, [y] * len(values), marker, color=ink, markersize=5.5, alpha=0.55, markeredgewidth=0)
        axes.axvline(teacher, color=color("teacher"), linewidth=1.2, linestyle=(0, (4, 3)))
        values = [score.top1 for group, method in rows for score in group.by_seed[method].values()]
        low, high = min([*values, teacher]), max([*values, teacher])
        margin = max(0.12 * (high - low), 0.5)
        near = chance > low - 4 * margin
        axes.set_xlim((min(low, chance) if near else low) - margin, high + margin)
        _mark(axes, teacher, "teacher", -4, "right")
        if near:
            axes.axvline(chance, color=color("muted"), linewidth=1.2, linestyle=(0, (1, 2)))
            _mark(axes, chance, "chance", 4, "left")
        axes.set_ylim(len(rows) - 0.4, -1.1)
        axes.set_yticks(range(len(rows)), [_row_name(group, method, groups) for group, method in rows])
        axes.set_xlabel("top-1 accuracy on validation images, %")
        axes.grid(visible=False, axis="y")

    return chart("Top-1 accuracy of every student", draw, height=0.95 + 0.36 * len(rows))


def _mark(axes: Axes, x: float, text: str, away: float, side: Literal["left", "right"]) -> None:
    """A word beside the vertical line at ``x``, above the rows."""
    axes.annotate(
        text, (x, -0.78), (away, 0), textcoords="offset points", ha=side, va="center", color=color("muted"), fontsize=8
    )


def _row_name(group: Comparison, method: str, groups: Sequence[Comparison]) -> str:
    parts = [method_name(method)]
    parts += [plain(group.student)] * (len({g.student for g in groups}) > 1)
    parts += [plain(group.protocol)] * (len({g.protocol for g in groups}) > 1)
    return "\n".join([parts[0], " · ".join(parts[1:])]) if parts[1:] else parts[0]


def differences_chart(groups: Sequence[Comparison]) -> str:
    """Distilled minus random real, pair by pair, with the mean and its standard error."""

    def draw(axes: Axes) -> None:
        for y, group in enumerate(groups):
            gain = group.gain
            assert gain is not None
            values = list(group.differences.values())
            axes.plot(
                values, [y] * len(values), "o", color=color("wmdd"), markersize=5.5, alpha=0.45, markeredgewidth=0
            )
            axes.errorbar(
                gain.mean,
                y + 0.28,
                xerr=gain.error,
                fmt="D",
                color=color("ink"),
                markersize=4.5,
                capsize=3,
                linewidth=1.4,
            )
        axes.axvline(0, color=color("muted"), linewidth=1)
        axes.set_ylim(len(groups) - 0.3, -0.5)
        names = [f"{plain(g.student)}\n{plain(g.protocol)}" for g in groups] if len(groups) > 1 else [""]
        axes.set_yticks(range(len(groups)), names)
        axes.margins(x=0.15)
        axes.set_xlabel("distilled minus random real, percentage points of top-1")
        axes.grid(visible=False, axis="y")

    return chart("Top-1 accuracy, distilled minus random real, by seed", draw, height=0.95 + 0.72 * len(groups))


# --- curves -----------------------------------------------------------------------------------------------------------


def _bands(axes: Axes, bands: Sequence[tuple[str, str, Band]]) -> None:
    for label, name, found in bands:
        axes.plot(found.steps, found.mean, color=color(name), label=label)
        if not np.array_equal(found.low, found.high):
            axes.fill_between(found.steps, found.low, found.high, color=color(name), alpha=0.18, linewidth=0)
    values = np.concatenate([found.mean for _, _, found in bands])
    positive = values[values > 0]
    if len(positive) == len(values) and positive.max() > 30 * positive.min():
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    else:
        axes.set_ylim(bottom=min(0.0, float(values.min())))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("step")


def teacher_charts(curve: Curve) -> list[tuple[str, str]]:
    """Training loss, and accuracy on the training batches, with their titles."""
    titles = {"loss": "Teacher: training loss", "accuracy": "Teacher: accuracy on training batches, %"}
    return [
        (title, _bands_chart(title, [("", "teacher", band([curve], name))]))
        for name, title in titles.items()
        if _measured([curve], name)
    ]


def synthesis_charts(curves: Sequence[Curve]) -> list[tuple[str, str]]:
    """Each term of the synthesis loss, over all groups of classes."""
    names = dict.fromkeys(name for curve in curves for name in curve.values if _measured(curves, name))
    bands = [(_term(name), _TERM_COLOURS.get(name, "muted"), band(curves, name)) for name in names]
    title = "Synthesis: loss terms"
    return [(title, _bands_chart(title, bands))] if bands else []


_TERM_COLOURS = {"loss": "ink", "feature": "wmdd", "statistics": "real", "cross_entropy": "k4"}


def _term(name: str) -> str:
    return "total" if name == "loss" else plain(name.replace("_", " "))


def students_charts(group: Comparison, curves: Sequence[Curve]) -> list[tuple[str, str]]:
    """The students' training losses, by method."""
    bands = []
    for method in group.methods:
        mine = [curve for curve in curves if curve.unit.startswith(f"{group.protocol}/{method}/{group.student}/")]
        if _measured(mine, "loss"):
            bands.append((method_name(method), _METHOD.get(method, ("", "muted", ""))[1], band(mine, "loss")))
    title = f"Students: training loss ({plain(group.student, 24)}, {plain(group.protocol, 24)})"
    return [(title, _bands_chart(title, bands))] if bands else []


def _measured(curves: Sequence[Curve], name: str) -> bool:
    return any(np.isfinite(curve.values[name]).any() for curve in curves if name in curve.values)


def _bands_chart(title: str, bands: Sequence[tuple[str, str, Band]]) -> str:
    def draw(axes: Axes) -> None:
        _bands(axes, bands)
        if len(bands) > 1:
            _legend(axes)

    return chart(title, draw)


# --- feature space ----------------------------------------------------------------------------------------------------


def plane_chart(plane: Plane, names: Sequence[str], *, tied: bool) -> str:
    """Real features, atoms and synthetic features in the plane, coloured by class; images ``tied`` to their atoms."""

    def draw(axes: Axes) -> None:
        for i, points in enumerate(plane.classes):
            axes.scatter(points.real[:, 0], points.real[:, 1], s=7, color=color(f"k{i}"), alpha=0.3, linewidths=0)
        for i, points in enumerate(plane.classes):
            if tied:
                _ties(axes, points)
            axes.scatter(
                points.synthetic[:, 0],
                points.synthetic[:, 1],
                s=24,
                color=color(f"k{i}"),
                edgecolors=color("page"),
                linewidths=0.7,
                zorder=3,
            )
            axes.scatter(
                points.atoms[:, 0],
                points.atoms[:, 1],
                s=17,
                marker="D",
                facecolors=color("page"),
                edgecolors=color(f"k{i}"),
                zorder=4,
            )
        for points in plane.classes:
            axes.annotate(
                plain(names[points.k], 14),
                points.real.mean(axis=0).tolist(),
                ha="center",
                va="center",
                fontweight="bold",
                fontsize=9,
                zorder=5,
                bbox={"boxstyle": "round,pad=0.25", "facecolor": color("page"), "alpha": 0.8, "edgecolor": "none"},
            )
        axes.set_xlabel(f"first principal component ({100 * plane.explained[0]:.0f} % of variance)")
        axes.set_ylabel(f"second principal component ({100 * plane.explained[1]:.0f} %)")
        axes.set_xticks([])
        axes.set_yticks([])

    return chart("Real features, atoms and synthetic features on two principal components", draw, width=5.6, height=4.6)


def _ties(axes: Axes, points: ClassPoints) -> None:
    """A line from every atom to its synthetic image."""
    for atom, image in zip(points.atoms, points.synthetic, strict=False):
        axes.plot(*np.stack([atom, image]).T, color=color("muted"), linewidth=0.6, alpha=0.7, zorder=2)


# --- barycenters ------------------------------------------------------------------------------------------------------


def cost_chart(found: Barycenters, names: Sequence[str]) -> str:
    """Cost of each class as bars, or as a histogram where there are many."""

    def bars(axes: Axes) -> None:
        axes.barh(range(len(found.cost)), found.cost, color=color("wmdd"), height=0.62)
        axes.set_yticks(range(len(found.cost)), [plain(names[k]) for k in found.classes])
        axes.invert_yaxis()
        axes.set_xlabel("cost (squared Wasserstein distance)")
        axes.grid(visible=False, axis="y")

    def histogram(axes: Axes) -> None:
        axes.hist(found.cost, bins=30, color=color("wmdd"), edgecolor=color("page"))
        axes.set_xlabel("cost (squared Wasserstein distance)")
        axes.set_ylabel("classes")
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))

    if len(found.cost) > MOST_BARS:
        return chart("Cost of the classes' barycenters", histogram)
    return chart("Cost of each class's barycenter", bars, height=max(3.0, 0.8 + 0.2 * len(found.cost)))


def ipc_chart(found: Barycenters, names: Sequence[str]) -> str | None:
    """What more or fewer atoms would leave of the classes' variance, and what the run's own leave."""
    known = np.isfinite(found.variance)
    if not known.any():
        return None
    left = 100 * found.curve_cost / found.variance[:, None]
    sizes = np.isfinite(left).any(axis=0)
    ipc, left = found.curve_ipc[sizes], left[:, sizes]

    def draw(axes: Axes) -> None:
        if _few(found):
            _class_lines(axes, [(ipc, row) for row in left], found, names)
            for i, own in enumerate(found.left):
                axes.plot(
                    found.ipc,
                    own,
                    "D",
                    color=color(f"k{i}"),
                    markersize=5.5,
                    markeredgecolor=color("page"),
                    markeredgewidth=0.8,
                    zorder=3,
                )
        else:
            _class_band(axes, ipc, left)
            low, middle, high = np.nanpercentile(found.left, _BAND)
            axes.errorbar(
                found.ipc,
                middle,
                yerr=[[middle - low], [high - middle]],
                fmt="D",
                color=color("real"),
                markersize=5.5,
                capsize=3,
                linewidth=1.4,
                zorder=3,
            )
            _legend(axes)
        axes.axvline(found.ipc, color=color("muted"), linewidth=1, linestyle=(0, (1, 2)), zorder=1)
        on_the_left = found.ipc > ipc[len(ipc) // 2]
        axes.annotate(
            f"this run: {found.ipc}",
            (found.ipc, 1),
            (-4 if on_the_left else 4, -1),
            xycoords=axes.get_xaxis_transform(),
            textcoords="offset points",
            ha="right" if on_the_left else "left",
            va="top",
            color=color("muted"),
            fontsize=8,
        )
        axes.set_xscale("log")
        axes.set_xticks(ipc, [f"{value}" for value in ipc])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_ylim(0, max(104.0, 1.04 * float(np.nanmax(found.left))))
        axes.set_xlabel("images per class")
        axes.set_ylabel(_LEFT)

    return chart("Cost by images per class, relative to the variance of the class", draw, width=5.6)


def history_chart(found: Barycenters, names: Sequence[str]) -> str | None:
    """Cost after each iteration; nothing where no class took two."""
    if max(map(len, found.history)) < 2:
        return None
    relative = bool(np.isfinite(found.variance).all())
    scale = 100 / found.variance if relative else np.ones(len(found.classes))
    rows = [factor * history for factor, history in zip(scale, found.history, strict=True)]

    def draw(axes: Axes) -> None:
        if _few(found):
            _class_lines(axes, [(np.arange(1.0, len(row) + 1), row) for row in rows], found, names)
        else:
            longest = max(map(len, rows))
            # A class that has ended keeps its cost.
            full = [np.pad(row, (0, longest - len(row)), mode="edge") for row in rows if len(row)]
            _class_band(axes, np.arange(1.0, longest + 1), np.stack(full))
            _legend(axes)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlabel("iteration (best start)")
        axes.set_ylabel(_LEFT if relative else "cost")

    return chart("Cost by iteration", draw)


_LEFT = "cost, % of the class's variance"
_BAND = (10, 50, 90)


def _few(found: Barycenters) -> bool:
    """Whether each class has a line, and a colour, of its own."""
    return len(found.classes) <= 10


def _class_lines(axes: Axes, lines: Sequence[tuple[Floats, Floats]], found: Barycenters, names: Sequence[str]) -> None:
    for i, (k, (x, y)) in enumerate(zip(found.classes, lines, strict=True)):
        axes.plot(x, y, color=color(f"k{i}"), linewidth=1.3, marker="o", markersize=2.4, label=plain(names[k], 10))
    _legend(axes, columns=5 if max(map(len, names)) <= 4 else 3)


def _class_band(axes: Axes, x: Floats, rows: Floats) -> None:
    low, middle, high = np.nanpercentile(rows, _BAND, axis=0)
    axes.plot(x, middle, color=color("wmdd"), label="median class")
    axes.fill_between(x, low, high, color=color("wmdd"), alpha=0.18, linewidth=0, label="80 % of the classes")


# --- classes ----------------------------------------------------------------------------------------------------------


def classes_chart(series: Sequence[tuple[str, str, Floats]], names: Sequence[str]) -> str:
    """Top-1 of each class for several networks: ``(label, colour name, percent [K])``."""
    count = len(names)
    markers = {"teacher": "|", "wmdd": "o", "real": "s"}

    def dots(axes: Axes) -> None:
        values = np.stack([row for _, _, row in series])
        axes.hlines(range(count), values.min(axis=0), values.max(axis=0), color=color("line"), linewidth=2)
        for label, name, row in series:
            axes.plot(
                row,
                range(count),
                markers.get(name, "D"),
                color=color(name),
                markersize=10 if name == "teacher" else 5.5,
                markeredgewidth=2 if name == "teacher" else 0,
                linestyle="none",
                label=label,
                clip_on=False,
            )
        axes.set_yticks(range(count), [plain(name) for name in names])
        axes.set_ylim(count - 0.4, -0.6)
        axes.set_xlim(max(0.0, float(values.min()) - 4), min(101.0, float(values.max()) + 4))
        axes.set_xlabel("top-1 accuracy, %")
        axes.grid(visible=False, axis="y")
        _legend(axes)

    def ranked(axes: Axes) -> None:
        for label, name, row in series:
            axes.plot(range(1, count + 1), np.sort(row)[::-1], color=color(name), label=label)
        axes.set_ylim(0, 102)
        axes.set_xlabel("classes, best first (each line sorted on its own)")
        axes.set_ylabel("top-1 accuracy, %")
        _legend(axes)

    if count > MOST_BARS:
        return chart("Top-1 accuracy of the classes, ranked", ranked)
    return chart("Top-1 accuracy of each class", dots, width=5.6, height=1.0 + 0.22 * count)
