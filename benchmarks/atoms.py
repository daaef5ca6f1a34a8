"""Does a lower W2^2 give a better student? The same synthesis towards the atoms of each solver, students beside.

    python benchmarks/atoms.py RUN --data FOLDER --ipc 1 10 --json FILE [--set NAME=VALUE ...]

Teacher and statistics are those of RUN (made there when missing). Everything else (atoms, views, students) is drawn
again for each seed; random real images stand beside, with the same labels, views and seeds. Students are scored on
RUN's validation part: to choose a default by this study, hand it a folder of *training* images only, of which RUN
holds a part out. Results are appended to FILE, one JSON object a line; what is there is not done again.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from trials import Trials
from wmdd.api import begin
from wmdd.config.load import nested
from wmdd.pipeline.artifacts import teacher_facts
from wmdd.pipeline.runner import run_stages
from wmdd.runtime.progress import Reporter

RANDOM_REAL = "random-real"
METHODS = (RANDOM_REAL, "uniform", "exact", "paper", "exact weighted", "paper weighted")


def trial(trials: Trials, ipc: int, method: str, seed: int) -> dict[str, Any]:
    """Make the images, train the student, score it."""
    weighted, solver, began = "weighted" in method, method.split()[0], time.time()
    made = (
        trials.random_real(ipc, seed) if method == RANDOM_REAL else trials.distil(ipc, seed, solver, weighted=weighted)
    )
    images = time.time()
    top1 = trials.student(made, seed, weighted=weighted)
    return {
        "cost": made.cost,
        "smallest_weight": float(made.weights.min() * ipc),
        "epochs": trials.protocol(ipc).epochs,
        "top1": top1,
        "seconds": {"images": round(images - began, 1), "student": round(time.time() - images, 1)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--ipc", type=int, nargs="+", required=True)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, help="of students, instead of the protocol's")
    parser.add_argument("--set", nargs="*", default=[], help="settings of the run: NAME=VALUE, value in JSON")
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    given = {name: json.loads(value) for name, value in (word.split("=", 1) for word in arguments.set)}
    work = begin(arguments.run, nested({"data.source": arguments.data, **given}), Reporter(quiet=True))
    run_stages(work, ("teacher", "statistics"))
    trials, teacher = Trials(work, arguments.epochs), teacher_facts(work.run)["top1"]
    lines = arguments.json.read_text().splitlines() if arguments.json.exists() else []
    done = {(found["ipc"], found["method"], found["seed"], found["epochs"]) for found in map(json.loads, lines)}
    for ipc in arguments.ipc:
        for seed in arguments.seeds:
            for method in arguments.methods:
                if (ipc, method, seed, trials.protocol(ipc).epochs) in done:
                    continue
                line = {"ipc": ipc, "method": method, "seed": seed, "teacher": teacher}
                line |= trial(trials, ipc, method, seed)
                with arguments.json.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
