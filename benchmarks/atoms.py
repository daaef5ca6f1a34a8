"""Does a lower W2^2 give a better student? The same synthesis towards the atoms of each solver, students beside.

    python benchmarks/atoms.py RUN --data FOLDER --ipc 1 10 --json FILE [settings as for `wmdd run`]

Teacher and statistics are those of RUN (made there when missing). Everything else (atoms, views, students) is drawn
again for each seed; random real images stand beside, with the same labels, views and seeds. Students are scored on
RUN's validation part: to choose a default by this study, hand it a folder of *training* images only, of which RUN
holds a part out. Results are appended to FILE, one JSON object a line; what is there is not done again.
"""

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wmdd.api import begin
from wmdd.config import PROTOCOLS
from wmdd.config.load import nested
from wmdd.models import build_network
from wmdd.pipeline.artifacts import load_statistics, teacher_facts
from wmdd.pipeline.runner import run_stages
from wmdd.pipeline.workspace import Workspace
from wmdd.runtime.progress import Reporter
from wmdd.runtime.random import seeded, stream
from wmdd.stages.barycenters import find_barycenters
from wmdd.stages.evaluation import online_labels, train_student
from wmdd.stages.nearest import nearest_distinct
from wmdd.stages.relabel import plan_epoch
from wmdd.stages.scoring import score
from wmdd.stages.synthesis import SynthesisProblem, synthesize

RANDOM_REAL = "random-real"
METHODS = (RANDOM_REAL, "uniform", "exact", "paper", "exact weighted", "paper weighted")


@dataclass(frozen=True)
class Trial:
    """One image set and one student."""

    ipc: int
    method: str
    seed: int


@dataclass
class Study:
    """What all trials share."""

    work: Workspace
    epochs: int | None

    def run(self, trial: Trial) -> dict[str, Any]:
        """Make the images, train the student, score it."""
        began = time.time()
        images, weights, cost = self._random_real(trial) if trial.method == RANDOM_REAL else self._distil(trial)
        made = time.time()
        protocol = replace(PROTOCOLS["wmdd"], weighted="weighted" in trial.method)
        protocol = replace(protocol, epochs=self.epochs or protocol.epochs)
        work, count = self.work, len(work_labels := self._labels(trial.ipc))
        stem = work.config.teacher.stem
        assert stem != "auto"
        plans = [
            plan_epoch(protocol, epoch, count, work.image_size, trial.seed, flip=work.flip)
            for epoch in range(protocol.epochs)
        ]
        with seeded(trial.seed, "student-weights"):
            network = build_network(work.config.teacher.arch, len(work.class_names), work.image_size, stem)
        network = train_student(
            network,
            images,
            work_labels,
            weights,
            online_labels(work.teacher, work.machine),
            protocol,
            plans.__getitem__,
            work.teacher.preprocessing,
            work.machine,
            trial.seed,
        )
        found = score(network, work.validation, len(work.class_names), work.teacher.preprocessing, work.machine, 256)
        return {
            "cost": cost,
            "smallest_weight": float(weights.min() * trial.ipc),
            "epochs": protocol.epochs,
            "top1": found.top1,
            "seconds": {"images": round(made - began, 1), "student": round(time.time() - made, 1)},
        }

    def _labels(self, ipc: int) -> Tensor:
        return torch.arange(len(self.work.class_names)).repeat_interleave(ipc)

    def _random_real(self, trial: Trial) -> tuple[Tensor, Tensor, None]:
        generator = stream(trial.seed, "random-real")
        rows = [(self.work.train.labels == k).nonzero()[:, 0] for k in range(len(self.work.class_names))]
        chosen = torch.cat([mine[torch.randperm(len(mine), generator=generator)[: trial.ipc]] for mine in rows])
        return self.work.train.take(chosen).cpu(), torch.full((len(chosen),), 1 / trial.ipc), None

    def _distil(self, trial: Trial) -> tuple[Tensor, Tensor, float]:
        work, solver = self.work, trial.method.split()[0]
        classes = range(len(work.class_names))
        statistics, teacher = load_statistics(work.run, classes), work.teacher
        settings = replace(work.config.barycenters, solver=solver)
        if solver == "paper":
            settings = replace(settings, restarts=1, iterations=10)
        found = find_barycenters(statistics, classes, trial.ipc, settings, trial.seed)
        nearest = [nearest_distinct(found.atoms[k], statistics.features_of(k)) for k in classes]
        rows = torch.stack([statistics.index_of(k)[row] for k, row in zip(classes, nearest, strict=True)])
        start = torch.stack([teacher.preprocessing.normalize(work.train.take(mine).cpu()) for mine in rows])
        weighted = "weighted" in trial.method
        pixels = synthesize(
            teacher,
            SynthesisProblem(tuple(classes), found.atoms, found.weights, statistics.moments, start),
            replace(work.config.synthesis, weighted=weighted),
            work.machine,
            trial.seed,
            flip=work.flip,
        )
        images = teacher.preprocessing.denormalize(pixels.flatten(0, 1).cpu())
        return images, found.weights.flatten().float(), float(found.cost.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--ipc", type=int, nargs="+", required=True)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, help="of students, instead of the protocol's 100")
    parser.add_argument("--set", nargs="*", default=[], help="settings of the run: NAME=VALUE, value in JSON")
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    given = {name: json.loads(value) for name, value in (word.split("=", 1) for word in arguments.set)}
    work = begin(arguments.run, nested({"data.source": arguments.data, **given}), Reporter(quiet=True))
    run_stages(work, ("teacher", "statistics"))
    study, teacher = Study(work, arguments.epochs), teacher_facts(work.run)["top1"]
    lines = arguments.json.read_text().splitlines() if arguments.json.exists() else []
    done = {(found["ipc"], found["method"], found["seed"], found["epochs"]) for found in map(json.loads, lines)}
    for ipc in arguments.ipc:
        for seed in arguments.seeds:
            for method in arguments.methods:
                if (ipc, method, seed, arguments.epochs or PROTOCOLS["wmdd"].epochs) in done:
                    continue
                line = {"ipc": ipc, "method": method, "seed": seed, "teacher": teacher}
                line |= study.run(Trial(ipc, method, seed))
                with arguments.json.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
