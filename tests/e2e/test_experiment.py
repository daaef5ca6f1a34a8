"""``wmdd experiment``."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from coloured_images import Refused

from wmdd.cli.main import main
from wmdd.experiments import figure2


def figures(path: Path) -> dict[str, Any]:
    """What was written, without the seconds."""
    written: dict[str, Any] = json.loads(path.read_text())
    for shape in written["shapes"].values():
        for barycenter in shape.values():
            assert barycenter.pop("seconds") >= 0
    return written


def test_figure2_writes_the_same_figures_for_the_same_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"CELLS": 24, "WIDTH": 0.1, "EPSILON": 0.02, "STARTS": 1, "MMD_STEPS": 20, "INPUTS": 3}.items():
        monkeypatch.setattr(figure2, name, value)
    monkeypatch.chdir(tmp_path)
    assert main(["experiment", "figure2", "--seed", "3"]) == 0
    assert capsys.readouterr().out.split() == [f"runs/figure2/figure2.{kind}" for kind in ("png", "svg", "json")]
    assert main(["experiment", "figure2", "--seed", "3", "--out", "again"]) == 0
    assert main(["experiment", "figure2", "--out", "other"]) == 0
    first, again, other = (figures(tmp_path / name / "figure2.json") for name in ("runs/figure2", "again", "other"))
    assert first == again
    assert first["shapes"] != other["shapes"]
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == [
        "figure2.json",
        "figure2.png",
        "figure2.svg",
    ]
    assert (tmp_path / "again/figure2.png").read_bytes() == (tmp_path / "runs/figure2/figure2.png").read_bytes()


def test_bad_input_is_refused(tmp_path: Path, refused: Refused) -> None:
    refused(["experiment"], "Name an experiment: there is figure2")
    refused(["experiment", "figur2"], "'figur2' is not an experiment: there is figure2")
    refused(["experiment", "figure2", "--seed", "x"], "--seed: invalid int value: 'x'")
    refused(["experiment", "figure2", "--sed", "1"], "did you mean --seed?")
    refused(["experiment", "figure2", "twice"], "'twice' is one word too many")
    file = tmp_path / "file"
    file.write_text("")
    refused(["experiment", "figure2", "--out", file], file)


def test_the_list_of_experiments_needs_no_torch() -> None:
    program = "import sys; from wmdd.cli.main import main; main(['experiment']); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
