"""One self-contained HTML file: no network, no scripts, light and dark."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from shlex import quote
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from wmdd.config.load import dotted, settings
from wmdd.core.quantities import duration, size
from wmdd.core.records import UnitRecord
from wmdd.report import figures
from wmdd.report.collect import RANDOM_REAL, WMDD, Progress, RunData, read_run
from wmdd.report.curves import Curve
from wmdd.report.gallery import Gallery, build_gallery
from wmdd.report.plane import MOST_CLASSES, Plane, project
from wmdd.report.scores import Comparison, comparisons, spelled_out
from wmdd.storage.atomic import write_text


def write_report(path: Path) -> Path:
    """Write ``path/report/index.html`` from what the run in ``path`` holds so far; returns its path.

    Raises:
        RunError: there is no run in ``path``, or one of its files is damaged.
    """
    run = read_run(path)
    page = path / "report" / "index.html"
    write_text(page, environment().get_template("template.html.j2").render(page=Page(run), run=run))
    return page


def environment() -> jinja2.Environment:
    """The templates, which escape whatever they are given, and how they write numbers."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("wmdd.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "count": count,
        "size": size,
        "duration": duration,
        "method": figures.method_name,
        "recipe": spelled_out,
        "signed": lambda value: f"{value:+.1f}".replace("-", "−"),
        "short": lambda value: f"{value:.4g}",
    }
    environment.filters.update(filters)
    return environment


# --- numbers ----------------------------------------------------------------------------------------------------------


def count(value: int) -> str:
    """12345 as ``12 345``, with thin spaces that do not break."""
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


# --- rows of tables ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Card:
    """One number of the headline, in percent."""

    title: str
    value: str
    percent: float
    note: str
    kind: str


@dataclass(frozen=True)
class SettingRow:
    """``changed``: the value is not the default, nor what the run may have made of an automatic one."""

    name: str
    value: str
    default: str
    help: str
    changed: bool


@dataclass(frozen=True)
class StageRow:
    """What a stage took."""

    progress: Progress
    units: int
    seconds: float
    peak_mb: float
    machines: str
    share: float


class Page:
    """What the template asks for."""

    def __init__(self, run: RunData) -> None:
        self.run = run
        # Without a teacher, as after a kill amid a discard, scores are of images and labels that count no longer.
        scores = run.scores if run.teacher else ()
        self.groups: list[Comparison] = comparisons(scores, run.config, len(run.class_names))

    # --- headline -----------------------------------------------------------------------------------------------------

    @property
    def css(self) -> Markup:
        """The style sheet."""
        return Markup((files("wmdd.report") / "style.css").read_text(encoding="utf-8"))  # noqa: S704

    @property
    def name(self) -> str:
        """What was distilled."""
        source = str(self.run.data.get("source", self.run.config.data.source))
        return Path(source).name or source

    @property
    def lead(self) -> str:
        """Sizes, as far as they are known."""
        run, side = self.run, self.run.config.data.image_size
        parts = [f"{count(len(run.class_names))} classes · "] * bool(run.class_names)
        parts += [f"{count(real)} real training images → " for real in [run.data.get("train")] if real]
        known = bool(run.class_names)
        number = count(self.all_images if known else run.config.ipc)
        parts.append(f"{number} synthetic images{'' if known else ' per class'} of {side} × {side} pixels")
        return "".join(parts)

    @property
    def missing(self) -> list[Progress]:
        """The stages that are not complete."""
        return [progress for progress in self.run.progress if not progress.complete]

    @property
    def num_images(self) -> int:
        """Synthetic images made so far."""
        return len(self.run.synthesized) * self.run.config.ipc

    @property
    def all_images(self) -> int:
        """Synthetic images once the run is complete."""
        return len(self.run.class_names) * self.run.config.ipc

    @property
    def first(self) -> Comparison | None:
        """The first protocol and student: the main result."""
        return next((group for group in self.groups if WMDD in group.by_seed), None)

    @property
    def headline(self) -> str:
        """The main result as a sentence."""
        if self.first is None:
            return ""
        text = (
            f"A {self.first.student} trained on {count(self.all_images)} distilled images reaches "
            f"{self.first.top1(WMDD)} % top-1 accuracy on real validation images"
        )
        if RANDOM_REAL in self.first.by_seed:
            text += f"; trained on the same number of random real images, it reaches {self.first.top1(RANDOM_REAL)} %"
        return f"{text}.".replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}").replace(" %", "\N{NO-BREAK SPACE}%")

    @property
    def cards(self) -> list[Card]:
        """Main result and baselines."""
        teacher, cards = self.run.teacher, []
        for method, title in ((WMDD, "Distilled"), (RANDOM_REAL, "Random real images")):
            if self.first and method in self.first.by_seed:
                found = self.first.top1(method)
                seeds = f"{found.count} seed{'s' * (found.count > 1)}"
                kind = "wmdd" if method == WMDD else "real"
                cards.append(Card(title, str(found), found.mean, f"{count(self.all_images)} images, {seeds}", kind))
        if teacher:
            real = self.run.data.get("train")
            note = f"teacher, {count(real)} images" if real and teacher["trained"] else "teacher, pretrained weights"
            cards.append(Card("Full training set", f"{teacher['top1']:.1f}", teacher["top1"], note, "teacher"))
            chance = teacher["chance"]
            cards.append(Card("Chance", f"{chance:.1f}", chance, "always predicting the largest class", "chance"))
        return cards

    @property
    def bytes_images(self) -> int:
        """The synthetic images on disk."""
        return self.run.bytes_of(self.run.units["synthesis"], ".png")

    @property
    def bytes_labels(self) -> int:
        """Their soft labels on disk, of all protocols, in the form that students learn from."""
        units, form = self.run.units["relabel"], self.run.config.evaluation.labels
        return self.run.bytes_of([u for u in units if u.covers["images"] == WMDD and u.label_form == form], "")

    # --- scores -------------------------------------------------------------------------------------------------------

    @property
    def seeds_chart(self) -> Markup:
        """All students."""
        return _safe(figures.seeds_chart(self.groups, self.run.teacher["top1"], self.run.teacher["chance"]))

    @property
    def paired(self) -> list[Comparison]:
        """The groups with both methods on some seed."""
        return [group for group in self.groups if group.gain]

    @property
    def repeated(self) -> bool:
        """Whether anything was scored with more than one seed."""
        return any(group.repeated for group in self.groups)

    @property
    def has_error(self) -> bool:
        """Whether a paired difference has a standard error."""
        return any(group.gain is not None and group.gain.error is not None for group in self.groups)

    @property
    def differences_chart(self) -> Markup:
        """Pairs of students."""
        return _safe(figures.differences_chart(self.paired))

    # --- images and features ------------------------------------------------------------------------------------------

    @cached_property
    def gallery(self) -> Gallery | None:
        """The images."""
        return build_gallery(self.run)

    @property
    def origin(self) -> str:
        """What the images start from, and are where there are no steps."""
        synthesis = self.run.config.synthesis
        if synthesis.init != "patches":
            return "real training images"
        return f"{'' if synthesis.patch_grid == 1 else 'mosaics stitched from '}crops of real training images"

    @cached_property
    def plane(self) -> Plane | None:
        """The features."""
        return project(self.run)

    @property
    def plane_chart(self) -> Markup:
        """The features, drawn."""
        assert self.plane is not None
        tied = self.run.config.synthesis.follows_atoms
        return _safe(figures.plane_chart(self.plane, self.run.class_names, tied=tied))

    @property
    def plane_is_sample(self) -> bool:
        """Whether there are more classes than the plane shows."""
        return sum(len(unit.classes) for unit in self.run.units["statistics"]) > MOST_CLASSES

    # --- curves and classes -------------------------------------------------------------------------------------------

    @property
    def curve_charts(self) -> list[tuple[str, Markup]]:
        """Teacher, synthesis, students: title and chart."""
        curves = self._curves
        found = [chart for curve in curves("teacher") for chart in figures.teacher_charts(curve)]
        found += figures.synthesis_charts(curves("synthesis"))
        found += [chart for group in self.groups for chart in figures.students_charts(group, curves("evaluation"))]
        return [(title, _safe(chart)) for title, chart in found]

    def _curves(self, stage: str) -> list[Curve]:
        return [curve for curve in self.run.curves if curve.stage == stage]

    @property
    def cost_chart(self) -> Markup:
        """Cost of each barycenter."""
        assert self.run.barycenters is not None
        return _safe(figures.cost_chart(self.run.barycenters, self.run.class_names))

    @property
    def ipc_chart(self) -> Markup | None:
        """How the costs fall with images per class."""
        assert self.run.barycenters is not None
        chart = figures.ipc_chart(self.run.barycenters, self.run.class_names)
        return None if chart is None else _safe(chart)

    @property
    def iterations_are(self) -> str:
        """What the solver's iterations are, in a sentence or two."""
        assert self.run.barycenters is not None
        return _ITERATIONS.get(self.run.barycenters.method, "")

    @property
    def variance_left(self) -> str:
        """Mean over the classes of what the atoms leave of their variance; empty where it is not known."""
        assert self.run.barycenters is not None
        left = self.run.barycenters.left
        known = left[np.isfinite(left)]
        return f"{known.mean():.1f}\N{NO-BREAK SPACE}%" if len(known) else ""

    @property
    def history_chart(self) -> Markup | None:
        """How the costs fell."""
        assert self.run.barycenters is not None
        chart = figures.history_chart(self.run.barycenters, self.run.class_names)
        return None if chart is None else _safe(chart)

    @property
    def barycenter_rows(self) -> list[dict[str, Any]]:
        """One line per class."""
        found = self.run.barycenters
        assert found is not None
        return [
            {
                "name": self.run.class_names[k],
                "cost": float(found.cost[g]),
                "left": float(found.left[g]),
                "iterations": int(found.iterations[g]),
                "converged": bool(found.converged[g]),
                "weights": [float(weight) * found.ipc for weight in (found.weights[g].min(), found.weights[g].max())],
            }
            for g, k in enumerate(found.classes)
        ]

    @property
    def class_series(self) -> list[tuple[str, str, Sequence[float]]]:
        """Top-1 of each class: label, colour, percent."""
        series: list[tuple[str, str, Sequence[float]]] = []
        if self.run.teacher:
            series.append(("teacher", "teacher", self.run.teacher["per_class"]))
        for method in (self.first or Comparison("", "", {}, {})).methods:
            kind = {WMDD: "wmdd", RANDOM_REAL: "real"}.get(method, "muted")
            assert self.first is not None
            series.append((figures.method_name(method), kind, self.first.per_class(method)))
        return series

    @property
    def classes_chart(self) -> Markup:
        """Top-1 of each class."""
        series = [(label, kind, np.asarray(row, dtype=np.float64)) for label, kind, row in self.class_series]
        return _safe(figures.classes_chart(series, self.run.class_names))

    # --- cost, settings, provenance -----------------------------------------------------------------------------------

    @property
    def stages(self) -> list[StageRow]:
        """What each stage took."""
        total = sum(unit.seconds for units in self.run.units.values() for unit in units) or 1.0
        return [_stage_row(progress, self.run.units[progress.stage], total) for progress in self.run.progress]

    @property
    def settings(self) -> list[SettingRow]:
        """Every setting beside its default."""
        values = dotted(self.run.config)
        rows = []
        for known in settings():
            default = list(known.default) if isinstance(known.default, tuple) else known.default
            value = values[known.name]
            changed = value != default and default not in ("auto", ["auto"])
            rows.append(SettingRow(known.name, _shown(value), _shown(default), known.help, changed))
        return rows

    @property
    def versions(self) -> Mapping[str, str]:
        """Of Python and packages; several where units were made with several."""
        found: dict[str, dict[str, None]] = {}
        for units in self.run.units.values():
            for unit in units:
                for name, version in unit.versions.items():
                    found.setdefault(name, {})[version] = None
        return {name: ", ".join(several) for name, several in found.items()}

    @property
    def command(self) -> str:
        """How to make this run again."""
        return f"wmdd run RUN --config {quote(str(self.run.path / 'config.yaml'))}"


_PLANS = (
    "Each iteration solves for an exact transport plan, then updates the atoms. Annealed starts begin near their "
    "optimum: one with nothing left to gain is a single dot."
)
_ITERATIONS = {
    "exact": "One sequence: k-means steps in the leading directions of the features, before and after annealing, then "
    "k-means steps in all directions.",
    "uniform": _PLANS,
    "floored": _PLANS,
    "paper": "Each iteration takes several steps on the weights and one on the atoms; the atoms start as noise.",
}


def _stage_row(progress: Progress, units: Sequence[UnitRecord], total: float) -> StageRow:
    seconds = sum(unit.seconds for unit in units)
    peak = max((unit.peak_mb for unit in units), default=0.0)
    machines = "; ".join(dict.fromkeys(unit.machine for unit in units))
    return StageRow(progress, len(units), seconds, peak, machines, seconds / total)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def _safe(svg: str) -> Markup:
    """An SVG of ours: matplotlib has escaped the text within."""
    return Markup(svg)  # noqa: S704
