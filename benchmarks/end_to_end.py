"""A whole run, stage by stage: the package as it is against an earlier commit of it, same settings, same machine.

    python benchmarks/end_to_end.py --before COMMIT --json FILE [--keep FOLDER] [-- settings of `wmdd run`]

Both are run from their sources by this environment, one after the other, into folders that --keep leaves behind (and
goes on from). Scores must agree within the noise of their seeds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from math import hypot
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from bars import Bar, Bars
from spread import spread

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True, help="the commit to compare with")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("settings", nargs="*", help="after --: as for `wmdd run`")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home, earlier = arguments.keep or Path(folder), Path(folder) / "earlier"
        git("worktree", "add", "--quiet", "--detach", str(earlier), arguments.before)
        try:
            sources = {"before": earlier / "src", "after": ROOT / "src"}
            found = {name: run(path, home / name, arguments.settings) for name, path in sources.items()}
        finally:
            git("worktree", "remove", "--force", str(earlier))
    bars = Bars(("torch", "timm"))
    # Folders by their names alone: where they lie concerns this machine only.
    what = " ".join(Path(word).name for word in arguments.settings) or "digits, all defaults"
    compare_seconds(bars, what, found["before"], found["after"])
    compare_scores(bars, what, found["before"], found["after"])
    bars.note("commits", before=git("rev-parse", arguments.before), after=git("rev-parse", "HEAD"))
    if arguments.json:
        bars.write(arguments.json)


def run(source: Path, folder: Path, settings: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "wmdd", "run", str(folder), *settings]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(source)}, stdout=subprocess.DEVNULL)
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def compare_seconds(bars: Bars, what: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    took = [{stage: facts["seconds"] for stage, facts in side["stages"].items()} for side in (before, after)]
    for stage in took[1]:
        was, now = took[0][stage], took[1][stage]
        bars.note(f"seconds of {stage}, {what}", before=f"{was:.1f}", after=f"{now:.1f}", ratio=f"{now / was:.2f}")
    whole = [sum(seconds.values()) for seconds in took]
    bars.note(f"seconds of all stages, {what}", before=f"{whole[0]:.1f}", after=f"{whole[1]:.1f}")
    bars.add(Bar("speed.8", f"seconds of all stages, after / before, {what}", whole[1] / whole[0], 1, "lower"))


def compare_scores(bars: Bars, what: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    bars.note(f"teacher's top-1, {what}", before=before["teacher"]["top1"], after=after["teacher"]["top1"])
    for method in dict.fromkeys(score["method"] for score in after["scores"]):
        was, now = ([s["top1"] for s in side["scores"] if s["method"] == method] for side in (before, after))
        bars.note(f"top-1 of {method}, {what}", before=spread(was), after=spread(now))
        noise = hypot(stdev(was), stdev(now)) / len(now) ** 0.5 if len(now) > 1 else float("inf")
        worse = f"top-1 of {method}, before less after in standard errors, {what}"
        bars.add(Bar("speed.8", worse, (mean(was) - mean(now)) / max(noise, 1e-9), 2, "lower"))


def git(*words: str) -> str:
    return subprocess.run(["git", "-C", str(ROOT), *words], check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
