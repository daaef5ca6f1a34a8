"""A hundred classes from the embedded digits: two of them side by side, as an image folder, of up to twice the images.

    python benchmarks/pairs.py FOLDER

It is there to have runs of many units in a minute: of how long they take, `scale.py` makes simulations.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from wmdd.data.digits import open_digits
from wmdd.data.source import Split
from wmdd.storage.images import write_png

SMALLEST, LARGEST, VALIDATION = 20, 40, 4  # images of a class


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    digits, random = open_digits(), np.random.default_rng(0)
    for k in range(100):
        count = int(random.integers(SMALLEST, LARGEST + 1))
        write(folder / "train" / f"{k:02d}", digits.train, k, count, random)
        write(folder / "val" / f"{k:02d}", digits.validation, k, VALIDATION, random)


def write(folder: Path, split: Split, k: int, count: int, random: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    for i in range(count):
        sides = [split.read(int(random.choice(np.flatnonzero(split.labels == digit)))) for digit in divmod(k, 10)]
        pair = np.pad(np.concatenate(sides, axis=1), ((4, 4), (0, 0), (0, 0)))  # to a square of 16 px
        write_png(folder / f"{i:03d}.png", torch.from_numpy(pair).permute(2, 0, 1))


if __name__ == "__main__":
    main()
