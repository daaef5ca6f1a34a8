"""The picture of figure 2: a row of panels for each shape, as PNG or SVG."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

COLOURS = {
    "ink": "#1d2430",
    "muted": "#646d7a",
    "line": "#e3e1dc",
    "page": "#fdfcfa",
    "wmdd": "#1f6f8b",
    "real": "#c4703a",
}

STYLE = {
    "svg.hashsalt": "wmdd",
    "font.size": 8,
    "text.color": COLOURS["ink"],
    "axes.edgecolor": COLOURS["line"],
    "axes.labelcolor": COLOURS["muted"],
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "savefig.facecolor": COLOURS["page"],
    "axes.facecolor": COLOURS["page"],
}
"""Of matplotlib, for figures with axes."""

Head = tuple[str, str]  # a title and what stands below it


@dataclass(frozen=True, eq=False)
class Panel:
    """``points [n, 2]`` or else ``density [S, S]`` (first axis along x) in the square from -1 to 1."""

    points: NDArray[np.float64] | None = None
    density: NDArray[np.float64] | None = None
    note: str = ""


def draw(rows: Mapping[str, Sequence[Panel]], given: Sequence[Head], found: Sequence[Head], kind: str) -> bytes:
    """The picture as a file of that ``kind``, ``png`` or ``svg``.

    Every row has a panel under each head: the ``given`` inputs and, after a gap, the barycenters ``found``.
    """
    style = {"svg.hashsalt": "wmdd", "font.size": 8, "text.color": COLOURS["ink"], "savefig.facecolor": COLOURS["page"]}
    with matplotlib.style.context(["default", style]):
        width, height = 1.45 * (len(given) + len(found)) + 0.6, 1.58 * len(rows) + 0.65
        figure = Figure(figsize=(width, height))
        grid = figure.add_gridspec(
            nrows=len(rows),
            ncols=len(given) + 1 + len(found),
            width_ratios=[1] * len(given) + [0.12] + [1] * len(found),
            wspace=0.08,
            hspace=0.16,
            left=0.42 / width,
            right=1 - 0.12 / width,
            bottom=0.26 / height,
            top=1 - 0.5 / height,
        )
        for y, (name, panels) in enumerate(rows.items()):
            for x, (panel, head) in enumerate(zip(panels, [*given, *found], strict=True)):
                is_given = x < len(given)
                axes = figure.add_subplot(grid[y, x if is_given else x + 1])
                _draw_panel(axes, panel, COLOURS["real" if is_given else "wmdd"])
                if x == 0:
                    axes.set_ylabel(name, color=COLOURS["ink"], fontsize=9, labelpad=6)
                if y == 0:
                    _draw_head(axes, head)
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=200, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return buffer.getvalue()


def _draw_head(axes: Axes, head: Head) -> None:
    title, below = head
    place: dict[str, Any] = {
        "xycoords": "axes fraction",
        "textcoords": "offset points",
        "ha": "center",
        "annotation_clip": False,
    }
    axes.annotate(title, (0.5, 1), (0, 17), fontsize=9.5, fontweight="bold", **place)
    axes.annotate(below, (0.5, 1), (0, 6), fontsize=7.5, color=COLOURS["muted"], **place)


def _draw_panel(axes: Axes, panel: Panel, colour: str) -> None:
    if panel.density is not None:
        shades = LinearSegmentedColormap.from_list("density", ["#ffffff", colour, COLOURS["ink"]])
        axes.imshow(
            panel.density.T, origin="lower", extent=(-1, 1, -1, 1), cmap=shades, vmin=0, interpolation="bilinear"
        )
    if panel.points is not None:
        axes.scatter(panel.points[:, 0], panel.points[:, 1], s=3.2, color=colour, linewidths=0)
    axes.set(xlim=(-1, 1), ylim=(-1, 1), xticks=[], yticks=[], aspect="equal", facecolor="#ffffff")
    axes.spines[:].set(color=COLOURS["line"], linewidth=0.8)
    axes.set_xlabel(panel.note, color=COLOURS["muted"], fontsize=7.5, labelpad=3)
