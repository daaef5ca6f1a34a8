"""A byte flipped, a file cut or deleted, anywhere in a finished run: noticed and made again, or refused, never used.

``WMDD_DAMAGES=200 pytest tests/e2e/test_damage.py`` does it 200 times.
"""

import os
import random
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from coloured_images import snapshot

import wmdd
from wmdd.cli.main import main

COUNT = int(os.environ.get("WMDD_DAMAGES", "20"))
DERIVED = ("report/", "metrics.jsonl")  # the page is drawn anew every time; a torn line of metrics is passed over


def lasting(run: Path) -> dict[str, bytes | str]:
    """All files of the run but the page and its curves; of records only that they are there, as they tell of times."""
    found = snapshot(run)
    for name in list(found):
        if name.startswith(DERIVED):
            del found[name]
        elif "/units/" in name or name in ("manifest.json", "results.json"):
            found[name] = "there"
    return found


def damage(path: Path, dice: random.Random) -> str:
    content = bytearray(path.read_bytes())
    how = dice.choice(["flip", "cut", "delete"]) if content else "delete"
    place = dice.randrange(len(content)) if content else 0
    if how == "delete":
        path.unlink()
    elif how == "cut":
        path.write_bytes(content[:place])
    else:
        content[place] ^= 1 << dice.randrange(8)
        path.write_bytes(content)
    return f"{how} at {place} of {len(content)}"


@pytest.mark.parametrize("seed", range(COUNT))
def test_damage(seed: int, pristine_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dice, run = random.Random(seed), shutil.copytree(pristine_run, tmp_path / "run")
    wanted, images = lasting(pristine_run), wmdd.load(pristine_run).images
    files = sorted(name for name in wanted if (run / name).is_file())
    name = dice.choice(files)
    how = f"{name}: {damage(run / name, dice)}"
    with suppress(wmdd.WmddError):  # by a reader that mends nothing
        assert wmdd.load(run).images.equal(images), how
    code = main(["run", str(run)])
    said = capsys.readouterr().err
    assert "Traceback" not in said
    if code == 0:
        assert lasting(run) == wanted, how
    else:
        assert code == 2, how
        assert name.rpartition("/")[2] in said or str(run) in said, how
        assert name == "config.yaml", f"{how}: {said}"  # all others can be made again
