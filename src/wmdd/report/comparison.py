"""The page of a comparison: which method makes the better set under each protocol, and what the sets look like."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes

from wmdd.report.gallery import png_uri, strip
from wmdd.report.page import environment
from wmdd.report.svg import chart, color, plain
from wmdd.storage.atomic import write_text
from wmdd.storage.json import read_json

Row = Mapping[str, Any]


def write_comparison_page(folder: Path) -> Path:
    """Write ``folder/report/index.html`` from ``folder/comparison.json``; returns its path.

    Raises:
        RunError: an image of a set is missing or damaged.
    """
    page = folder / "report" / "index.html"
    content = ComparisonPage(folder, read_json(folder / "comparison.json"))
    write_text(page, environment().get_template("comparison.html.j2").render(page=content))
    return page


@dataclass(frozen=True)
class Group:
    """The rows of one IPC, protocol and student, best first, and the scores behind them."""

    ipc: int
    protocol: str
    student: str
    rows: Sequence[Row]
    scores: Sequence[Row]

    @property
    def recovers(self) -> bool:
        """Whether hard-label recovery is known."""
        return any(row["hard_label_recovery"] is not None for row in self.rows)

    @property
    def chart(self) -> Markup:
        """Every student as a point, every method's mean as a bar."""

        def draw(axes: Axes) -> None:
            for y, row in enumerate(self.rows):
                ink = color("real" if row["method"] == "random" else "wmdd" if row["method"] == "wmdd" else "muted")
                top1 = [score["top1"] for score in self.scores if score["method"] == row["method"]]
                axes.plot([row["top1"]] * 2, [y - 0.3, y + 0.3], color=ink, linewidth=2.2)
                axes.plot(top1, [y] * len(top1), "o", color=ink, markersize=5.5, alpha=0.55, markeredgewidth=0)
                if row["method"] == "random":
                    axes.axvline(row["top1"], color=color("real"), linewidth=1.0, linestyle=(0, (1, 2)))
            axes.set_ylim(len(self.rows) - 0.4, -0.6)
            axes.set_yticks(range(len(self.rows)), [plain(row["method"]) for row in self.rows])
            axes.set_xlabel("top-1 accuracy on validation images, %")
            axes.grid(visible=False, axis="y")

        label = f"Top-1 by method, IPC {self.ipc}, {self.protocol}, {self.student}"
        return Markup(chart(label, draw, height=0.7 + 0.3 * len(self.rows)))  # noqa: S704 - our own SVG


@dataclass(frozen=True)
class ComparisonPage:
    """What the template shows of ``found``, the content of ``comparison.json``."""

    folder: Path
    found: Mapping[str, Any]

    @property
    def css(self) -> Markup:
        """The style sheet of all pages."""
        return Markup(files("wmdd.report").joinpath("style.css").read_text(encoding="utf-8"))  # noqa: S704

    @cached_property
    def groups(self) -> list[Group]:
        """One for each protocol, student and IPC, in the order of the rows."""
        keys = ("ipc", "protocol", "student")
        wanted = dict.fromkeys(tuple(row[key] for key in keys) for row in self.found["rows"])
        return [
            Group(*key, *([row for row in self.found[part] if tuple(row[k] for k in keys) == key] for part in _PARTS))
            for key in wanted
        ]

    @property
    def repeated(self) -> bool:
        """Whether any method was scored with more than one seed."""
        return any(row["seeds"] > 1 for row in self.found["rows"])

    @property
    def has_error(self) -> bool:
        """Whether any difference from random real images has a standard error."""
        return any(row["gain_error"] is not None for row in self.found["rows"])

    @property
    def sheets(self) -> Iterator[tuple[str, int, str]]:
        """Of each method, at the largest IPC, the first image of some classes: name, IPC and a PNG as data URI."""
        for method in self.found["methods"]:
            ipc = max((cost["ipc"] for cost in self.found["costs"] if cost["method"] == method), default=None)
            if ipc is None:
                continue
            images = strip(self.folder / "sets" / method / f"ipc-{ipc:03d}" / "seed-0")
            if images is not None:  # else they are being made again
                yield method, ipc, png_uri(images)


_PARTS = ("rows", "scores")
