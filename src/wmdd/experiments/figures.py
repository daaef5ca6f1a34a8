"""The figures of experiments that are comparisons, as PNG or SVG."""

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from wmdd.experiments.picture import COLOURS, STYLE
from wmdd.experiments.studies import LAMBDAS, Study
from wmdd.report.collect import read_run
from wmdd.report.gallery import strip
from wmdd.report.plane import ClassPoints, project

Record = Mapping[str, Any]
_INKS = ("C0", "C2", "C3", "C4", "C5")  # of methods; C1 is too near to that of real images


def draw(study: Study, record: Record, folder: Path, kind: str) -> bytes:
    """The figure of ``study`` as a file of that ``kind``, ``png`` or ``svg``; images and features are in ``folder``."""
    record = {**record, "measured": _of_one(study, record)}
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(6.4, 3.4), layout="constrained")
        _DRAWN[study.shows](figure, study, record, folder)
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=160, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return buffer.getvalue()


def _of_one(study: Study, record: Record) -> list[Mapping[str, Any]]:
    """What is measured under one protocol and, unless the figure is about them, of one student and one IPC.

    Of several the first is drawn, and the IPC whose figures were published first where it is there.
    """
    rows: list[Mapping[str, Any]] = list(record["measured"])
    alike = ["protocol"] + ["student"] * (study.shows != "students")
    first = record["scores"][0]  # in the order that was asked for, as the rows are not
    rows = [row for row in rows if all(row[field] == first[field] for field in alike)]
    if study.shows not in ("students", "lambda"):
        return rows
    known = [row["ipc"] for row in [*record["published"], *rows]]
    ipc = next(ipc for ipc in known if any(row["ipc"] == ipc for row in rows))
    return [row for row in rows if row["ipc"] == ipc]


def _accuracy(figure: Figure, study: Study, record: Record, folder: Path) -> None:
    """Top-1 by images per class, a line for each method; by method, where there is one number of images alone.

    Hollow points were published for the first dataset.
    """
    known = sorted({row["ipc"] for row in record["measured"]})
    (_by_method if len(known) == 1 else _by_ipc)(figure.add_subplot(), study, record)


def _by_ipc(axes: Axes, study: Study, record: Record) -> None:
    sets = [row["data"] for row in record["published"]]
    for number, method in enumerate(_methods(study)):
        ink = COLOURS["real"] if method == "random" else _INKS[number - 1]
        mine = sorted((row for row in record["measured"] if row["method"] == method), key=lambda row: row["ipc"])
        spread = [row["top1_std"] or 0 for row in mine]
        axes.errorbar(
            [row["ipc"] for row in mine], [row["top1"] for row in mine], spread, fmt="o-", color=ink, label=method
        )
        theirs = [row for row in record["published"] if row["method"] == method and row["data"] == sets[0]]
        axes.plot(
            [row["ipc"] for row in theirs], [row["top1"] for row in theirs], "o:", color=ink, markerfacecolor="none"
        )
    shown = [row for row in record["published"] if row["data"] == sets[0]]
    known = sorted({row["ipc"] for row in [*record["measured"], *shown]})
    axes.set_xscale("log")
    axes.set_xticks(known, [str(ipc) for ipc in known])
    axes.minorticks_off()
    axes.set(xlabel="images per class", ylabel="top-1, %")
    axes.legend(frameon=False, title=f"hollow: published, {sets[0]}" if sets else None)


def _by_method(axes: Axes, study: Study, record: Record) -> None:
    names = _methods(study)
    mine = {row["method"]: row for row in record["measured"]}
    sets = [row["data"] for row in record["published"]]
    theirs = [row for row in record["published"] if row["data"] == sets[0] and row["method"] in names]
    axes.errorbar(
        [mine[name]["top1"] for name in names],
        range(len(names)),
        xerr=[mine[name]["top1_std"] or 0 for name in names],
        fmt="o",
        color=COLOURS["wmdd"],
        label=f"measured, IPC {mine['random']['ipc']}",
    )
    for ipc in sorted({row["ipc"] for row in theirs}):
        those = [row for row in theirs if row["ipc"] == ipc]
        axes.plot(
            [row["top1"] for row in those],
            [names.index(row["method"]) for row in those],
            "o",
            color=COLOURS["ink"],
            markerfacecolor="none",
            label=f"published, {sets[0]}, IPC {ipc}",
        )
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("top-1, %")
    axes.invert_yaxis()
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


def _methods(study: Study) -> list[str]:
    return list(dict.fromkeys(["random", *study.methods]))


def _students(figure: Figure, study: Study, record: Record, folder: Path) -> None:
    """Top-1 by student, in the order of the experiment; hollow points were published for the first dataset and IPC."""
    axes = figure.add_subplot()
    measured = {row["student"] for row in record["measured"]}
    names = sorted(measured, key=lambda name: [*study.students, *sorted(measured)].index(name))
    first = record["published"][0]
    theirs = [
        row
        for row in record["published"]
        if (row["data"], row["ipc"]) == (first["data"], first["ipc"]) and row["student"] in names
    ]
    for number, method in enumerate(_methods(study)):
        mine = {row["student"]: row for row in record["measured"] if row["method"] == method}
        heights = [mine[name]["top1"] if name in mine else np.nan for name in names]
        spread = [(mine[name]["top1_std"] or 0) if name in mine else 0 for name in names]
        ink = COLOURS["real" if method == "random" else "wmdd"]
        label = f"{method}, IPC {record['measured'][0]['ipc']}"
        axes.bar(np.arange(len(names)) + 0.38 * number, heights, 0.36, yerr=spread, color=ink, label=label)
    axes.plot(
        [names.index(row["student"]) + 0.38 for row in theirs],
        [row["top1"] for row in theirs],
        "o",
        color=COLOURS["ink"],
        markerfacecolor="none",
        label=f"{first['method']}, published, {first['data']}, IPC {first['ipc']}",
    )
    labels = [name.removesuffix("_patch16_224").replace("_", "\n") for name in names]
    axes.set_xticks(np.arange(len(names)) + 0.19, labels)
    axes.set_ylabel("top-1, %")
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)


def _lambda(figure: Figure, study: Study, record: Record, folder: Path) -> None:
    """Top-1 over the weight, and images of each weight beside it."""
    grid = figure.add_gridspec(nrows=len(LAMBDAS), ncols=2, width_ratios=[1, 1.5])
    axes = figure.add_subplot(grid[:, 0])
    by_method = {row["method"]: row for row in record["measured"]}
    mine = [by_method[method] for method in study.methods]
    axes.errorbar(
        LAMBDAS, [row["top1"] for row in mine], [row["top1_std"] or 0 for row in mine], fmt="o-", color=COLOURS["wmdd"]
    )
    axes.axhline(by_method["random"]["top1"], color=COLOURS["real"], linestyle=":", label="random real")
    axes.set(xscale="log", xlabel="λ", ylabel="top-1, %")
    axes.legend(frameon=False)
    for place, (method, value) in enumerate(zip(study.methods, LAMBDAS, strict=True)):
        images = strip(folder / "sets" / method / f"ipc-{mine[0]['ipc']:03d}" / "seed-0")
        assert images is not None, "the set is complete"
        axes = figure.add_subplot(grid[place, 1])
        axes.imshow(images)
        axes.set(xticks=[], yticks=[])
        axes.set_ylabel(f"λ {value:g}", rotation=0, ha="right", va="center")
        axes.spines[:].set_visible(False)


def _cost(figure: Figure, study: Study, record: Record, folder: Path) -> None:
    axes = figure.add_subplot()
    pace = {row["method"]: row["seconds_per_iteration"] for row in record["measured"]}
    theirs = {row["method"]: row["seconds"] for row in record["published"]}
    names = list(dict.fromkeys([*study.methods, *theirs]))
    axes.barh(names, [pace.get(name) or np.nan for name in names], 0.5, color=COLOURS["wmdd"], label="measured here")
    axes.plot(
        [theirs[name] for name in names], names, "o", color=COLOURS["ink"], markerfacecolor="none", label="published"
    )
    axes.set(xscale="log", xlabel="seconds of an iteration")
    axes.invert_yaxis()
    axes.legend(frameon=False)


def _features(figure: Figure, study: Study, record: Record, folder: Path) -> None:
    """Real features as a cloud, synthetic ones as crosses, in the plane of the real ones' two leading components."""
    figure.set_size_inches(3.6 * len(study.methods), 3.7)
    ipc = max(row["ipc"] for row in record["measured"])
    panels = figure.subplots(ncols=len(study.methods), squeeze=False)[0]
    for axes, method in zip(panels, study.methods, strict=True):
        plane = project(read_run(folder / "sets" / method / f"ipc-{ipc:03d}" / "seed-0"))
        assert plane is not None, "the run is complete"
        _cloud(axes, plane.classes)
        axes.set_title(method, fontsize=9)


def _cloud(axes: Axes, classes: Sequence[ClassPoints]) -> None:
    for number, points in enumerate(classes):
        x, y = points.real.T
        axes.scatter(x, y, s=3, color=f"C{number}", alpha=0.25, linewidths=0)
    for number, points in enumerate(classes):
        x, y = points.synthetic.T
        axes.scatter(x, y, s=34, marker="X", color=f"C{number}", edgecolors=COLOURS["ink"], linewidths=0.6)
    axes.set(xticks=[], yticks=[])


_DRAWN: Mapping[str, Callable[[Figure, Study, Record, Path], None]] = {
    "accuracy": _accuracy,
    "students": _students,
    "lambda": _lambda,
    "cost": _cost,
    "features": _features,
}
