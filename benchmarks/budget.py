"""Every shipped method within one budget of steps, as files for `wmdd compare --methods`.

    python benchmarks/budget.py FOLDER [--most-steps N] [--tuned FILE [FILE ...]]
    wmdd compare COMPARISON --data ... --methods $(ls FOLDER/*.yaml | paste -sd, -)

A file holds what the method ships with, but N steps of synthesis where that is more, and the learning rate or weight of
the statistics that `benchmarks/recipe.py --trials others --json FILE` found best on held-out training images, if it is
ahead of the shipped settings by more than two students of the same images differ. Of a method that several FILEs have,
the last one counts. Steps that are automatic stay so: 200 for images up to 64 px, of which this is made.
"""

import argparse
from pathlib import Path
from typing import Any

from wmdd.comparison.methods import METHODS
from wmdd.config.load import dump, merge, parse
from wmdd.config.presets import method_settings
from wmdd.storage.json import read_json

MOST_STEPS = 500  # what two cores have time for
Factors = dict[str, float]
"""What some settings of synthesis are multiplied by."""
AS_SHIPPED = "lr-same"
CHANGES: dict[str, Factors] = {
    "lr-third": {"lr": 1 / 3},
    AS_SHIPPED: {},
    "lr-triple": {"lr": 3.0},
    "statistics-ten": {"statistics": 10.0},
    "statistics-hundred": {"statistics": 100.0},
}
NOISE = 1.2
"""Points of top-1 by which two single students differ by chance (docs/recipe.md)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--most-steps", type=int, default=MOST_STEPS)
    parser.add_argument("--tuned", type=Path, nargs="+", default=[])
    arguments = parser.parse_args()
    best: dict[str, Factors] = {}
    for path in arguments.tuned:
        best |= best_changes(path)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for method in METHODS:
        settings = within_budget(method, arguments.most_steps, best.get(method, {}))
        (arguments.folder / f"{method}.yaml").write_text(dump(settings), encoding="utf-8")


def within_budget(method: str, most_steps: int, factors: Factors) -> dict[str, Any]:
    """The method's settings (nested), with no more than ``most_steps`` and those of ``factors`` multiplied."""
    preset = method_settings(method)
    config = parse(preset).synthesis
    own = {name: getattr(config, name) * factor for name, factor in factors.items()}
    if config.steps != "auto" and config.steps > most_steps:
        own["steps"] = most_steps
    return merge(preset, {"synthesis": own}) if own else preset


def trial(method: str, change: str) -> str:
    """What the trial of ``method`` with ``change`` is called."""
    return f"{method}-{change}"


def best_changes(path: Path) -> dict[str, Factors]:
    """By method, what was changed in the best trial of the record at ``path``: nothing, where the lead is within noise.

    Raises:
        SystemExit: the record has trials of several IPCs, which do not agree on what is best.
    """
    notes = [note for note in read_json(path)["notes"] if "top1" in note and ", IPC " in note["what"]]
    top1 = {note["what"].partition(",")[0]: note["top1"] for note in notes}
    if len(top1) < len(notes):
        raise SystemExit(f"{path} has several scores of one trial: tune with one IPC, one protocol and one student.")
    found = {}
    for method in METHODS:
        known = {change: top1[trial(method, change)] for change in CHANGES if trial(method, change) in top1}
        if known:
            best = max(known, key=lambda change: known[change])
            found[method] = CHANGES[best if known[best] > known[AS_SHIPPED] + NOISE else AS_SHIPPED]
    return found


if __name__ == "__main__":
    main()
