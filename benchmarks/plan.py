"""What ``wmdd plan`` says against what finished runs measured: time and peak memory of every stage (bar 7 of [speed]).

    python benchmarks/plan.py RUN [RUN ...] --json FILE     plans are made here and now: on the machine of the runs
    python benchmarks/plan.py RUN [RUN ...] --quick         memory and disk alone count: on a busy machine

A plan is made in a process of its own, as a user makes it, of the settings in the run's ``config.yaml``. The value of a
bar is how far the worst of two ratios, plan / run or run / plan, lies above 1.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from bars import Bar, Bars
from wmdd.core.records import STAGES
from wmdd.pipeline.run_directory import RunDirectory

PACKAGES = ("torch", "torchvision", "timm")
WITHIN = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--quick", action="store_true", help="print times, but measure no bar by them")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    bars = Bars(PACKAGES)
    for path in arguments.runs:
        compare(bars, RunDirectory(path), timed=not arguments.quick)
    if arguments.json:
        bars.write(arguments.json)


def compare(bars: Bars, run: RunDirectory, *, timed: bool) -> None:
    """The plan of a run's settings beside what its records and its files say."""
    plan, found = plan_of(run), measured(run)
    name = f"{Path(run.config().data.source).name}, {run.config().data.image_size} px"
    bars.note(f"machine of the plan, {name}", machine=plan["machine"])
    for stage in (stage for stage in STAGES if stage in found):
        ratios = {what: plan["stages"][stage][what] / found[stage][what] for what in found[stage]}
        values = {what: f"{plan['stages'][stage][what]:.5g} / {found[stage][what]:.5g}" for what in ratios}
        bars.note(f"plan / run, {stage}, {name}", **values)
        judge(bars, f"{stage}, {name}", ratios, timed=timed)
    together = {
        "seconds": plan["together"]["seconds"] / sum(stage["seconds"] for stage in found.values()),
        "peak_mb": plan["together"]["peak_mb"] / max(stage["peak_mb"] for stage in found.values()),
        "disk_mb": plan["together"]["disk_mb"] / sum(stage["disk_mb"] for stage in found.values()),
    }
    judge(bars, f"all stages, {name}", together, timed=timed)


def judge(bars: Bars, where: str, ratios: dict[str, float], *, timed: bool) -> None:
    words = {"seconds": "time", "peak_mb": "peak memory"}
    for what, word in words.items():
        if what == "peak_mb" or timed:
            value = max(ratios[what], 1 / ratios[what]) - 1
            bars.add(Bar("speed.7", f"{word} of plan and run apart, {where}", value, WITHIN, "lower"))
    bars.note(f"ratio plan / run, {where}", **{what: f"{ratio:.3f}" for what, ratio in ratios.items()})


def plan_of(run: RunDirectory) -> dict[str, Any]:
    """What the command line says of the run's settings."""
    command = [sys.executable, "-m", "wmdd", "plan", "--config", str(run.path / "config.yaml"), "--json", "-q"]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    planned: dict[str, Any] = json.loads(said)
    return planned


def measured(run: RunDirectory) -> dict[str, dict[str, float]]:
    """Seconds, peak memory and bytes of each stage that the run has done."""
    found = {}
    for stage in STAGES:
        if records := run.records(stage).values():
            files = [(run.path / name).stat().st_size for record in records for name in record.files]
            found[stage] = {
                "seconds": sum(record.seconds for record in records),
                "peak_mb": max(record.peak_mb for record in records),
                "disk_mb": sum(files) / 1e6,
            }
    return found


if __name__ == "__main__":
    main()
