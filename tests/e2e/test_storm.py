"""The short form of ``tests/storm/storm.py``."""

import sys
from pathlib import Path

from real_images import digit_folder

sys.path.insert(0, str(Path(__file__).parents[1] / "storm"))

from storm import storm


def test_a_short_storm(tmp_path: Path) -> None:
    seen = storm(digit_folder(tmp_path / "digits", classes=5, train=20, val=10), runs=2, pairs=1, seed=1)
    assert seen["kills"], "nothing was hit"
