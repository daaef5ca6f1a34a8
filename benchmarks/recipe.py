"""What makes a distilled set better? Trials of the recipe, scored on a held-out part of the training images.

    python benchmarks/recipe.py FOLDER --data TRAINING_IMAGES --preset imagenette-64px --trials default --json FILE
    python benchmarks/recipe.py FOLDER --data TRAINING_IMAGES --trials others     the same budget for every other method

One comparison (`wmdd compare`) in FOLDER: one teacher, trained without the held-out part; every trial differs from the
default, or from the preset of another method, in the settings below alone. TRAINING_IMAGES is a folder CLASS/* of
training images only, so that the validation images have no part in a choice; or `digits`, whose training part is then
written to FOLDER-images. Trials, IPC and seeds are added to what FOLDER has.
"""

import argparse
from pathlib import Path
from typing import Any

from PIL import Image

import wmdd
from bars import Bars
from budget import CHANGES, MOST_STEPS, trial, within_budget
from wmdd.config.load import nested
from wmdd.core.errors import WmddError
from wmdd.data.digits import open_digits
from wmdd.runtime.allocator import keep_freed

HELD_OUT = 0.2
TRIALS: dict[str, dict[str, Any]] = {
    "default": {},
    "no-synthesis": {"synthesis.steps": 0},
    "few-steps": {"synthesis.steps": 50},
    "many-steps": {"synthesis.steps": 400},
    "lr-0.03": {"synthesis.lr": 0.03},
    "lr-0.25": {"synthesis.lr": 0.25},
    "crop-0.08": {"synthesis.min_crop": 0.08},
    "crop-1": {"synthesis.min_crop": 1.0},
    "one-crop": {"synthesis.crop_per_image": False},
    "easy-to-hard": {"synthesis.min_crop": 0.08, "synthesis.min_crop_start": 1.0},
    "no-feature-loss": {"synthesis.feature": 0.0},
    "feature-10": {"synthesis.feature": 10.0},
    "feature-100": {"synthesis.feature": 100.0},
    "feature-squared": {"synthesis.feature_loss": "squared"},
    "feature-wasserstein": {"synthesis.feature_loss": "wasserstein"},
    "feature-sliced": {"synthesis.feature_loss": "sliced"},
    "lambda-1": {"synthesis.statistics": 1.0},
    "lambda-100": {"synthesis.statistics": 100.0},
    "statistics-squared": {"synthesis.statistics_loss": "squared", "synthesis.statistics": 1.0},
    "statistics-of-all": {"synthesis.statistics_of": "all"},
    "cross-entropy": {"synthesis.cross_entropy": 1.0},
    "cross-entropy-10": {"synthesis.cross_entropy": 10.0},
    "exact-atoms": {"barycenters.solver": "exact"},
    "exact-atoms-weighted": {"barycenters.solver": "exact", "synthesis.weighted": True},
    "from-random": {"synthesis.init": "random"},
    "from-herding": {"synthesis.init": "herding"},
    "from-patches": {"synthesis.init": "patches"},
    "from-four-patches": {"synthesis.init": "patches", "synthesis.patch_grid": 2},
    "surest-crops": {"synthesis.init": "patches", "synthesis.steps": 0},
    "from-noise": {"synthesis.init": "noise"},
    "from-noise-lr-0.25": {"synthesis.init": "noise", "synthesis.lr": 0.25},
    "from-noise-long": {"synthesis.init": "noise", "synthesis.lr": 0.25, "synthesis.steps": 1000},
}
WEIGHED = ("sre2l", "cda", "wmdd-paper")  # their weight of the statistics is that of another dataset
OTHERS = (*WEIGHED, "dm", "mmd", "wmdd-noise")


def of_others() -> dict[str, dict[str, Any]]:
    """Every other method at its own learning rate, a third of it and three times as much.

    Those whose authors weigh the statistics otherwise for other datasets (SRe2L: 0.01 for ImageNet-1K, 1 for
    Tiny-ImageNet) have ten and a hundred times that weight, too.
    """
    return {
        trial(method, change): within_budget(method, MOST_STEPS, factors)
        for method in OTHERS
        for change, factors in CHANGES.items()
        if method in WEIGHED or "statistics" not in factors
    }


def write_training_digits(folder: Path) -> Path:
    """The training part of the embedded digits as a folder CLASS/*.png, lossless."""
    source = open_digits()
    for i, label in enumerate(source.train.labels.tolist()):
        path = folder / source.class_names[label] / f"{i:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(source.train.read(i)).save(path)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--preset")
    parser.add_argument("--teacher-epochs", type=int)
    parser.add_argument(
        "--trials", default=",".join(TRIALS), help="names from the file, with commas; others: those of other methods"
    )
    parser.add_argument("--steps", type=int, help="steps of synthesis in every trial of ours that has none of its own")
    parser.add_argument("--ipc", type=int, nargs="+", default=[10])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    keep_freed()
    settings: dict[str, Any] = {
        "data.validation": HELD_OUT,
        "evaluation.labels": "online",
        "evaluation.protocols": ["wmdd"],
    }
    if arguments.teacher_epochs is not None:
        settings["teacher.epochs"] = arguments.teacher_epochs
    if str(arguments.data) == "digits":
        arguments.data = write_training_digits(Path(f"{arguments.folder}-images"))
        settings["data.flip"] = False  # a mirrored digit is none
    others = of_others()
    usual = {} if arguments.steps is None else {"synthesis.steps": arguments.steps}
    known = {name: nested(usual | changes) for name, changes in TRIALS.items()} | others
    names = list(others) if arguments.trials == "others" else arguments.trials.split(",")
    trials = {name: known[name] for name in names}
    try:
        found = wmdd.compare(
            arguments.data,
            arguments.folder,
            methods=trials,
            ipc=arguments.ipc,
            seeds=arguments.seeds,
            preset=arguments.preset,
            settings=settings,
            quiet=False,
        )
    except WmddError as error:
        raise SystemExit(str(error)) from None
    bars = Bars(("torch", "timm"))
    teacher = found["teacher"]
    bars.note("teacher, on the held-out part", arch=teacher["arch"], top1=round(teacher["top1"], 1))
    for row in found["rows"]:
        bars.note(
            f"{row['method']}, IPC {row['ipc']}, {row['protocol']}, {row['student']}",
            top1=round(row["top1"], 2),
            seeds=row["seeds"],
            less_random=None if row["gain"] is None else round(row["gain"], 2),
            seconds=round(row["seconds"], 1),
        )
    if arguments.json:
        bars.write(arguments.json)


if __name__ == "__main__":
    main()
