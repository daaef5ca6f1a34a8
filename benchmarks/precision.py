"""Do images synthesised in the default precision make the same students as those of float32?

    python benchmarks/precision.py RUN --json FILE [--seeds 0 1 2] [--epochs N]

RUN is a run whose teacher and statistics are made. For every seed the same atoms, first images, views and student; only
the precision of synthesis differs. Students are scored on RUN's validation split.
"""

import argparse
from math import hypot
from pathlib import Path
from statistics import stdev
from time import perf_counter

import torch

from bars import Bar, Bars
from spread import paired_difference, spread
from trials import Trials
from wmdd.api import begin
from wmdd.runtime.device import Precision, default_precision, open_machine
from wmdd.runtime.progress import Reporter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="two or more")
    parser.add_argument("--epochs", type=int, help="of students, instead of the protocol's")
    arguments = parser.parse_args()
    if len(arguments.seeds) < 2:
        parser.error("one seed says nothing of their noise: give --seeds two or more")
    bars, work = Bars(("torch", "timm")), begin(arguments.run, {}, Reporter(quiet=True))
    config, device = work.config, str(work.config.runtime.device)
    best, trials = default_precision(device), Trials(work, arguments.epochs)
    if best == "float32":
        raise SystemExit("the default precision here is float32: there is nothing to compare")
    top1: dict[Precision, list[float]] = {"float32": [], best: []}
    seconds: dict[Precision, list[float]] = {"float32": [], best: []}
    for seed in arguments.seeds:
        for precision in top1:
            machine, began = open_machine(device, precision, torch.get_num_threads()), perf_counter()
            made = trials.distil(config.ipc, seed, config.barycenters.solver, machine=machine)
            seconds[precision].append(perf_counter() - began)
            top1[precision].append(trials.student(made, seed))
            print(f"     seed {seed}, {precision}: {top1[precision][-1]:.2f}", flush=True)
    epochs = trials.protocol(config.ipc).epochs
    where = f"{work.source.name}, {config.data.image_size} px, IPC {config.ipc}, {epochs} epochs"
    bars.note(f"top-1, {where}", **{name: spread(found) for name, found in top1.items()})
    bars.note(f"seconds of synthesis, {where}", **{name: spread(found) for name, found in seconds.items()})
    mean, error = paired_difference(top1[best], top1["float32"])
    bars.note(f"{best} less float32, seed by seed, {where}", mean=f"{mean:.2f}", standard_error=f"{error:.2f}")
    noise = hypot(*(stdev(found) for found in top1.values())) / len(arguments.seeds) ** 0.5
    what = f"|{best} less float32| against the noise of the seeds (two standard errors), {where}"
    bars.add(Bar("speed.9", what, abs(mean) / (2 * noise), 1, "lower"))
    if arguments.json:
        bars.write(arguments.json)


if __name__ == "__main__":
    main()
