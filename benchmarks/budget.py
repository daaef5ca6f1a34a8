"""Every shipped method within one budget of steps, as files for `wmdd compare --methods`.

    python benchmarks/budget.py FOLDER [--most-steps N] [--tuned FILE [FILE ...]]
    wmdd compare COMPARISON --data ... --methods $(ls FOLDER/*.yaml | paste -sd, -)

A file holds what the method ships with, but N steps of synthesis where that is more, and the learning rate that
`benchmarks/recipe.py --trials others --json FILE` found best on held-out training images, if it is ahead of the shipped
one by more than two students of the same images differ. Of a method that several FILEs have, the last one counts.
"""

import argparse
from pathlib import Path
from typing import Any

from wmdd.comparison.settings import METHODS
from wmdd.config.load import dump, merge, parse
from wmdd.config.presets import method_settings
from wmdd.storage.json import read_json

MOST_STEPS = 500  # what two cores have time for
LR_FACTORS = {"third": 1 / 3, "same": 1.0, "triple": 3.0}
NOISE = 1.2
"""Points of top-1 by which two single students differ by chance (docs/recipe.md)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--most-steps", type=int, default=MOST_STEPS)
    parser.add_argument("--tuned", type=Path, nargs="+", default=[])
    arguments = parser.parse_args()
    factors: dict[str, float] = {}
    for path in arguments.tuned:
        factors |= best_factors(path)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for method in METHODS:
        settings = within_budget(method, arguments.most_steps, factors.get(method, 1.0))
        (arguments.folder / f"{method}.yaml").write_text(dump(settings), encoding="utf-8")


def within_budget(method: str, most_steps: int, lr_factor: float = 1.0) -> dict[str, Any]:
    """The method's settings (nested), with no more than ``most_steps`` and ``lr_factor`` times its learning rate."""
    preset = method_settings(method)
    config, own = parse(preset).synthesis, {}
    if config.steps > most_steps:
        own["steps"] = most_steps
    if lr_factor != 1:
        own["lr"] = config.lr * lr_factor
    return merge(preset, {"synthesis": own}) if own else preset


def trial(method: str, name: str) -> str:
    """What the trial of ``method`` with the factor ``name`` is called."""
    return f"{method}-lr-{name}"


def best_factors(path: Path) -> dict[str, float]:
    """By method, the factor of the learning rate whose trial has the highest top-1 in the record at ``path``.

    Within the noise the method's own rate stays.
    """
    top1 = {note["what"].partition(",")[0]: note["top1"] for note in read_json(path)["notes"] if "top1" in note}
    found = {}
    for method in METHODS:
        known = {name: top1[trial(method, name)] for name in LR_FACTORS if trial(method, name) in top1}
        if known:
            best = max(known, key=lambda name: known[name])
            found[method] = LR_FACTORS[best if known[best] > known["same"] + NOISE else "same"]
    return found


if __name__ == "__main__":
    main()
