"""The whole digits under 1, 2 and 4 processes: what is the same to the byte, and what within the noise of seeds.

    python benchmarks/processes.py FOLDER --json FILE

Runs at the default settings, one thread a process (gloo). With the teacher that one process trained, several make all
the rest again, and each file's hash is compared; then several do everything, the teacher together. Runs are kept in
FOLDER, and go on when the command is given again.
"""

import argparse
import hashlib
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from bars import Bar, Bars
from spread import spread
from wmdd.pipeline.artifacts import load_statistics
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.storage.json import read_json

SIZES = (2, 4)
APART = ("statistics", "barycenters", "synthesis", "relabel", "evaluation")
SETTINGS = ("--data", "digits", "--runtime.threads", "1", "-q")
SEED_NOISE = 1.0  # points of top-1, of 360 images: one image is 0.28


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    bars, alone = Bars(("torch", "timm")), arguments.folder / "1"
    distil(alone, 1)
    results = {1: read_json(alone / "results.json")}
    for size in SIZES:
        taught = arguments.folder / f"{size}-with-its-teacher"
        if not taught.exists():
            copied = shutil.copytree(alone, taught.with_suffix(".new"))
            RunDirectory(copied).discard("statistics")
            copied.rename(taught)
        distil(taught, size)
        what = f"{size} processes, with the teacher of one"
        ours, theirs = contents(taught), contents(alone)
        differing = [name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)]
        bars.add(Bar("faults.1", f"{what}: files that differ, of {len(theirs)}", len(differing), 0, "lower"))
        bars.add(Bar("faults.1", f"{what}: largest difference of statistics", moved(taught, alone), 1e-6, "lower"))
        distil(arguments.folder / str(size), size)
        results[size] = read_json(arguments.folder / str(size) / "results.json")
    for size, found in results.items():
        bars.note(f"{size} processes, everything", teacher=found["teacher"]["top1"], **students(found))
        if size > 1:
            apart = abs(found["teacher"]["top1"] - results[1]["teacher"]["top1"])
            bars.add(Bar("faults.1", f"{size} processes: teacher's top-1 apart from one's", apart, SEED_NOISE, "lower"))
            apart = abs(mean_top1(found) - mean_top1(results[1]))
            bars.add(Bar("faults.1", f"{size} processes: students' mean apart from one's", apart, SEED_NOISE, "lower"))
    if arguments.json:
        bars.write(arguments.json)


def distil(run: Path, size: int) -> None:
    """Everything that is missing in ``run``, by ``size`` processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    crew = ["-m", "torch.distributed.run", "--nproc-per-node", str(size), "--master-port", str(port)]
    command = [sys.executable, *(crew if size > 1 else []), "-m", "wmdd", "run", str(run), *SETTINGS]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def contents(run: Path) -> dict[str, str]:
    """The hash of every artifact but records, which hold times."""
    return {
        path.relative_to(run).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for stage in APART
        for path in sorted((run / "artifacts" / stage).rglob("*"))
        if path.is_file() and path.parent.name != "units"
    }


def moved(run: Path, other: Path) -> float:
    """The largest relative difference of a layer's class moments and of the features."""
    mine, theirs = (load_statistics(RunDirectory(place), range(10)) for place in (run, other))
    pairs = [(mine.features, theirs.features)] + [
        pair for name in theirs.moments for pair in zip(mine.moments[name], theirs.moments[name], strict=True)
    ]
    return max(float((found - wanted).norm() / wanted.norm()) for found, wanted in pairs)


def tops(found: dict[str, Any], method: str) -> list[float]:
    return [score["top1"] for score in found["scores"] if score["method"] == method]


def mean_top1(found: dict[str, Any]) -> float:
    mine = tops(found, "wmdd")
    return sum(mine) / len(mine)


def students(found: dict[str, Any]) -> dict[str, str]:
    return {"distilled": spread(tops(found, "wmdd")), "random": spread(tops(found, "random-real"))}


if __name__ == "__main__":
    main()
