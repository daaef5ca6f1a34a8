"""How the learning rate of students changes what distilled images are worth beside random real ones.

    python benchmarks/schedules.py RUN --json FILE [--seeds 0 1 2] [--schedules published,wmdd]

RUN is a run whose teacher and statistics are made. For every seed there are two sets of RUN's IPC, random real images
and those of its recipe, and for each a student under every schedule, in 100 steps of 100 views and in 500 of 20. All
else is the protocol `wmdd`. Students are scored on RUN's validation split: one that is to choose among schedules was
begun on training images alone.
"""

import argparse
from dataclasses import replace
from math import ceil
from pathlib import Path
from statistics import mean
from typing import Any

from bars import Bar, Bars
from spread import paired_difference, spread
from trials import Trials
from wmdd.api import begin
from wmdd.config import PROTOCOLS, Protocol
from wmdd.runtime.progress import Reporter

SCHEDULES: dict[str, dict[str, Any]] = {  # all end at 0
    "published": {"lr": 1e-3, "warmup": 0.0},
    "wmdd": {"lr": 2e-3, "warmup": 0.1},
    "0.003": {"lr": 3e-3, "warmup": 0.1},
    "0.006": {"lr": 6e-3, "warmup": 0.1},
}
BUDGETS = ((100, 100), (500, 20))  # steps, batch size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--schedules", default=",".join(SCHEDULES), help="names from the file, with commas")
    parser.add_argument(
        "--reference", type=float, nargs=2, metavar="TOP1", help="top-1 of another implementation in either budget"
    )
    arguments = parser.parse_args()
    bars, work = Bars(("torch", "timm")), begin(arguments.run, {}, Reporter(quiet=True))
    trials, ipc = Trials(work), work.config.ipc
    sets = {
        seed: (trials.random_real(ipc, seed), trials.distil(ipc, seed, work.config.barycenters.solver))
        for seed in arguments.seeds
    }
    for number, budget in enumerate(BUDGETS):
        for name in arguments.schedules.split(","):
            protocol = with_schedule(name, budget, ipc * len(work.class_names))
            pairs = [
                tuple(trials.student(made, seed, protocol=protocol) for made in both) for seed, both in sets.items()
            ]
            random_real, distilled = zip(*pairs, strict=True)
            what = f"{name}, {budget[0]} steps of {budget[1]}, {work.source.name}, IPC {ipc}"
            bars.note(what, random=spread(random_real), distilled=spread(distilled))
            if len(pairs) > 1:
                gain, error = paired_difference(distilled, random_real)
                bars.add(Bar("accuracy.2", f"distilled less random real (+- {error:.2f}), {what}", gain, 5, "higher"))
            if arguments.reference:
                more = mean(distilled) - arguments.reference[number]
                bars.add(Bar("accuracy.2", f"distilled less the reference, {what}", more, 8, "higher"))
    if arguments.json:
        bars.write(arguments.json)


def with_schedule(name: str, budget: tuple[int, int], images: int) -> Protocol:
    """The protocol ``wmdd`` with another schedule, for ``images`` images in so many steps of so many views."""
    steps, batch_size = budget
    epochs = ceil(steps / ceil(images / batch_size))
    return replace(PROTOCOLS["wmdd"], epochs=epochs, batch_size=batch_size, least_steps=0, **SCHEDULES[name])


if __name__ == "__main__":
    main()
