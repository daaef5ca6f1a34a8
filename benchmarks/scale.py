"""Simulated runs of imagenet1k-ipc50 with 1 to 256 processes: how time falls (bar 6 of [faults]).

    python benchmarks/scale.py RUN --json FILE --figure FILE.png

The units are those of the preset. What a unit takes on average is the plan's, made here and now of images that are not
here; how much units of a stage differ is drawn from the records of RUN, a finished run of one process and many units
(the images that `pairs.py` makes will do). In one of a hundred units the process dies, and another takes it up.

The clock of the plan is the CPU time of one thread: other work on the machine would change what a step takes.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import fmean, pstdev
from unittest.mock import patch

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bars import Bar, Bars
from wmdd.api import plan
from wmdd.config.load import merge, nested, parse
from wmdd.config.presets import read_preset
from wmdd.experiments.picture import COLOURS, STYLE
from wmdd.pipeline.plan import probe
from wmdd.pipeline.plan.simulation import Deaths
from wmdd.pipeline.plan.workers import Work
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.runtime.progress import Reporter

PRESET = "imagenet1k-ipc50"
PACKAGES = ("torch", "torchvision", "timm")
WORKERS = tuple(2**k for k in range(9))
JUDGED, LEAST = 64, 0.9  # workers, and the efficiency that they should have
USUAL = Deaths(0.01)
DRAWS = 20

Spreads = dict[str, list[float]]
Curve = list[dict[str, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    bars = Bars(PACKAGES)
    spreads = spreads_of(bars, RunDirectory(arguments.run))
    work = planned(bars)
    of_classes = [one for one in work if one.stage in ("statistics", "barycenters", "synthesis")]
    curves = {
        "units of classes": curve(of_classes, spreads, arguments.draws),
        "all but the teacher": curve(work[1:], spreads, arguments.draws),
        "the whole job": curve(work, spreads, arguments.draws),
    }
    for name, found in curves.items():
        for point in found:
            bars.note(name, **point)
        (judged,) = (point["efficiency"] for point in found if point["workers"] == JUDGED)
        what = f"efficiency of {PRESET} at {JUDGED} workers, a failure in {USUAL.share:.0%} of the units: {name}"
        bars.add(Bar("faults.6", what, judged, LEAST, "higher"))
    for name, efficiency in others(work, spreads, arguments.draws):
        bars.note(f"efficiency at {JUDGED} workers", of=name, efficiency=efficiency)
    if arguments.json:
        bars.write(arguments.json)
    if arguments.figure:
        draw(curves, arguments.figure)


def spreads_of(bars: Bars, run: RunDirectory) -> Spreads:
    """What each unit of a stage took, as a multiple of their mean.

    The first unit of classes also pays for what a process needs once, which the plan counts apart.
    """
    config = run.config()
    bars.note(
        "the run whose units were measured",
        data=Path(config.data.source).name,
        classes=len(run.data()["classes"]),
        ipc=config.ipc,
        group_size=config.synthesis.group_size,
        steps=config.synthesis.num_steps,
        students=len(run.records("evaluation")),
    )
    found = {}
    for stage in ("teacher", "statistics", "barycenters", "synthesis", "evaluation"):
        seconds = [record.seconds for record in run.records(stage).values() if record.name != "group-000"]
        mean = fmean(seconds)
        found[stage] = [one / mean for one in seconds]
        bars.note(f"units of {stage}", units=len(seconds), mean=round(mean, 3), spread=round(pstdev(found[stage]), 3))
    return found


def planned(bars: Bars) -> tuple[Work, ...]:
    """The stages of the preset, with what their steps take here."""
    settings = merge(read_preset(PRESET), nested({"runtime.threads": 1, "data.workers": 0}))
    with Reporter(quiet=True) as reporter, patch("time.perf_counter", time.process_time):
        found = plan(parse(settings), reporter, workers=JUDGED, imagined=True)
    bars.note(f"plan of {PRESET}", machine=found.machine)
    for stage, work in zip(found.stages, found.work, strict=True):
        shared = [(part.probe.step, part.shared.fixed) for part in work.parts.parts if part.shared]
        bars.note(f"plan of {stage.stage}", units=stage.units, hours=round(stage.seconds / 3600, 2), steps=shared)
    return found.work


def curve(work: Sequence[Work], spreads: Spreads, draws: int) -> Curve:
    """Hours and efficiency by workers, each the mean over draws; a draw gives the units of all numbers the same."""
    alone = [seconds(work, spreads, 1, draw) for draw in range(draws)]
    found = []
    for workers in WORKERS:
        times = [seconds(work, spreads, workers, draw) for draw in range(draws)]
        efficiencies = [one / many / workers for one, many in zip(alone, times, strict=True)]
        point = {
            "workers": workers,
            "hours": fmean(times) / 3600,
            "efficiency": fmean(efficiencies),
            "efficiency_std": pstdev(efficiencies),
        }
        found.append({name: float(f"{value:.4g}") for name, value in point.items()})
    return found


def seconds(work: Sequence[Work], spreads: Spreads, workers: int, draw: int, deaths: Deaths = USUAL) -> float:
    return sum(
        one.seconds(
            workers,
            deaths=deaths,
            spread=spreads.get(one.stage, [1.0]),
            random=Random(f"{one.stage} {draw}"),
        )
        for one in work
    )


def others(work: Sequence[Work], spreads: Spreads, draws: int) -> Iterator[tuple[str, float]]:
    """The same at the judged number of workers, stage by stage and under other assumptions."""

    def at_judged(mine: Sequence[Work], deaths: Deaths = USUAL) -> float:
        pairs = [[seconds(mine, spreads, n, draw, deaths) for n in (1, JUDGED)] for draw in range(draws)]
        return round(fmean(one / many / JUDGED for one, many in pairs), 4)

    for one in work:
        if one.units:
            yield one.stage, at_judged([one])
    yield "all, without failures", at_judged(work, Deaths())
    yield "all, a failure in every tenth unit", at_judged(work, Deaths(0.1))
    yield "all, started again together as by torchrun", at_judged(work, Deaths(USUAL.share, all_stop=True))
    yield "all, without savepoints", at_judged([replace(one, parts=replace(one.parts, savepoints=1)) for one in work])
    apart = [replace(one, most_together=1) if one.stage == "evaluation" else one for one in work]
    yield "all, each student trained by one process", at_judged(apart)
    yield "all, the teacher trained in batches four times as large", at_judged([in_larger_batches(work[0]), *work[1:]])
    usual = probe.BYTES_PER_SECOND
    for gigabits in (1, 100):
        probe.BYTES_PER_SECOND = gigabits * 1e9 / 8
        yield f"all, {gigabits} Gbit/s between processes", at_judged(work)
    probe.BYTES_PER_SECOND = usual


def in_larger_batches(teacher: Work, times: int = 4) -> Work:
    def larger(part: probe.Part) -> probe.Part:
        if not part.shared or not part.shared.gradients:
            return part
        step = part.shared.fixed + times * (part.probe.step - part.shared.fixed)
        return replace(part, steps=part.steps / times, probe=replace(part.probe, step=step, first=step))

    parts = replace(teacher.parts, parts=[larger(part) for part in teacher.parts.parts])
    return replace(teacher, parts=parts, most_together=times * teacher.most_together)


# --- the figure -------------------------------------------------------------------------------------------------------


def draw(curves: dict[str, Curve], path: Path) -> None:
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(7.2, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        for (name, found), colour in zip(
            curves.items(), (COLOURS["wmdd"], COLOURS["muted"], COLOURS["real"]), strict=True
        ):
            workers = [point["workers"] for point in found]
            hours = [point["hours"] for point in found]
            left.plot(workers, [hours[0] / n for n in workers], ":", color=COLOURS["muted"], linewidth=1)
            left.plot(workers, hours, "o-", color=colour, markersize=3.5, label=name)
            right.errorbar(
                workers,
                [100 * point["efficiency"] for point in found],
                [100 * point["efficiency_std"] for point in found],
                fmt="o-",
                color=colour,
                markersize=3.5,
                label=name,
            )
        _finish(left, "hours (dotted: divided evenly)")
        left.set_yscale("log")
        left.legend(frameon=False)
        _finish(right, "efficiency, %")
        right.axhline(100 * LEAST, color=COLOURS["muted"], linewidth=0.8, linestyle=":")
        right.set_ylim(0, 104)
        figure.savefig(path, dpi=160, metadata={"Software": None})


def _finish(axes: Axes, label: str) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(WORKERS, [str(n) for n in WORKERS])
    axes.minorticks_off()
    axes.set(xlabel="workers", ylabel=label)


if __name__ == "__main__":
    main()
