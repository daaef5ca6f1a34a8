"""A storm: runs that are killed with SIGKILL at random moments, and started again until they are done.

    python tests/storm/storm.py --runs 60 --pairs 20

Each run is killed a few times, at moments drawn over the time that an undisturbed run takes, so that every stage is
hit; of a pair, two processes at one run, one is killed. In the end all artifacts have the hashes of the undisturbed
run, nothing temporary is left, and no run needed anything but the same command. Prints and returns what was seen.
"""

import argparse
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

SETTINGS = [
    *("--ipc", "2", "--image-size", "16", "--teacher-epochs", "6", "--seeds", "0,1", "--steps", "60"),
    *("--teacher.batch_size", "20", "--synthesis.group_size", "1", "--evaluation.epochs", "20", "--data.workers", "1"),
    *("--runtime.threads", "1", "--runtime.precision", "float32", "-q"),
]
STAGES = ("teacher", "statistics", "barycenters", "synthesis", "relabel", "evaluation")
_MOST_KILLS = 3
_PATIENCE = 300.0


def begin(run: Path, data: Path) -> subprocess.Popen[bytes]:
    """One process at the run."""
    command = [sys.executable, "-m", "wmdd", "run", str(run), "--data", str(data), *SETTINGS]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes]) -> str:
    """Wait for a process that should end well; returns what it said on standard error."""
    _, said = process.communicate(timeout=_PATIENCE)
    if process.returncode != 0:
        raise SystemExit(f"a run ended with {process.returncode}: {said.decode()}")
    return said.decode()


def artifacts(run: Path) -> dict[str, str]:
    """The hash of all that the stages made; records tell of times, which differ."""
    return {
        path.relative_to(run).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((run / "artifacts").rglob("*"))
        if path.is_file() and path.parent.name != "units"
    }


def stage_at(run: Path) -> str:
    """The stage that is being done: the first without a finished unit after the last with one."""
    done = [stage for stage in STAGES if any((run / "artifacts" / stage / "units").glob("[!.]*.json"))]
    begun = [stage for stage in STAGES if any((run / "artifacts" / stage / "units").glob(".*.claim"))]
    if begun:
        return begun[-1]
    return "between stages" if done else "start"


def orphans(run: Path) -> list[str]:
    """Temporary files, claims and states that nobody needs any more."""
    return [str(path) for ending in ("*.tmp", "*.claim", "unfinished") for path in run.rglob(ending)]


def strike(process: subprocess.Popen[bytes], run: Path, moment: float) -> str | None:
    """Kill the process after ``moment`` seconds; the stage it was at, or None where it had ended before."""
    try:
        process.wait(timeout=moment)
    except subprocess.TimeoutExpired:
        at = stage_at(run)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return at
    finish(process)
    return None


def one_run(run: Path, data: Path, seconds: float, dice: random.Random) -> list[str]:
    """A run that is killed up to three times; the stages it was at."""
    hit = []
    for _ in range(dice.randint(1, _MOST_KILLS)):
        at = strike(begin(run, data), run, dice.uniform(0, seconds))
        if at is None:
            break
        hit.append(at)
    finish(begin(run, data))
    return hit


def one_pair(run: Path, data: Path, seconds: float, dice: random.Random) -> list[str]:
    """Two processes at one run, of which one is killed."""
    victim, survivor = begin(run, data), begin(run, data)
    at = strike(victim, run, dice.uniform(0, 2 * seconds))
    finish(survivor)
    return [at] if at else []


def storm(data: Path, runs: int, pairs: int, seed: int) -> dict[str, object]:
    """All of it; raises ``SystemExit`` with the first fault."""
    dice, hits = random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        undisturbed = Path(folder) / "undisturbed"
        start = time.monotonic()
        finish(begin(undisturbed, data))
        seconds = time.monotonic() - start
        wanted = artifacts(undisturbed)
        for number, make in enumerate([one_run] * runs + [one_pair] * pairs):
            run = Path(folder) / f"run-{number:03d}"
            hits.update(make(run, data, seconds, dice))
            if (found := artifacts(run)) != wanted:
                differ = sorted(name for name in found.keys() | wanted if found.get(name) != wanted.get(name))
                raise SystemExit(f"storm {number} (seed {seed}): not the undisturbed run's: {', '.join(differ[:5])}")
            if left := orphans(run):
                raise SystemExit(f"storm {number} (seed {seed}): left behind: {', '.join(left[:5])}")
            shutil.rmtree(run)
    return {"runs": runs, "pairs": pairs, "kills": sum(hits.values()), "at": dict(hits), "artifacts": len(wanted)}


def main() -> None:
    """Blow, and print what was hit."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
    from real_images import digit_folder

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = digit_folder(Path(folder), classes=5, train=20, val=10)
        sys.stdout.write(f"{json.dumps(storm(data, arguments.runs, arguments.pairs, arguments.seed))}\n")


if __name__ == "__main__":
    main()
