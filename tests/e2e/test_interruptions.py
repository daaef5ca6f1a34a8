"""Signals, and losses that are not finite."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from coloured_images import TINY

from wmdd.cli.main import main
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.pipeline.stages import synthesis
from wmdd.stages import synthesis as stage
from wmdd.stages.pixels import Pixels
from wmdd.storage.savepoint import Savepoint


def started(run: Path, data: Path, *more: str) -> tuple[list[str], subprocess.Popen[str]]:
    """A run that has begun with a synthesis that would take days."""
    words = ["run", str(run), "--data", str(data), *TINY, "--steps", "1000000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "wmdd", *words, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Without what measures coverage: a signal while its tracer holds its lock leaves the process waiting for it.
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")},
        # What a shell starts in the background ignores interruptions, and so would all that it starts in turn.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while not any((run / "artifacts" / "synthesis" / "unfinished").glob("*.safetensors")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return words, process


@pytest.mark.parametrize(
    ("number", "redo"),
    [(signal.SIGINT, []), (signal.SIGTERM, ["--redo", "synthesis"]), (signal.SIGTERM, ["--redo=synthesis"])],
)
def test_a_signal_stops_cleanly_and_names_the_command(
    number: int, redo: list[str], pristine_colours: Path, tmp_path: Path
) -> None:
    words, process = started(tmp_path / "run", pristine_colours, *redo)  # and again --redo would discard what there is
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (128 + number, "")
    assert err == f"wmdd: interrupted; `{shlex.join(['wmdd', *words])}` resumes from here.\n"
    assert not [*tmp_path.rglob("*.tmp"), *tmp_path.rglob("*.claim")]
    assert list((tmp_path / "run/artifacts/synthesis/unfinished").iterdir())


def test_ignored_signals_stay_ignored(pristine_run: Path) -> None:
    code = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); from wmdd.cli.interrupts import *\n"
        "with interruptible(): os.kill(os.getpid(), signal.SIGINT); print('on')\n"
        "with interruptible():\n  try: os.kill(os.getpid(), signal.SIGTERM)\n  except Interrupted as e: print(e.code)\n"
        "  os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    done = subprocess.run([sys.executable, "-u", "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "on\n143\n"
    assert done.returncode == -signal.SIGTERM  # the second one is at once


def test_a_teacher_whose_loss_is_not_finite(
    pristine_colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(["run", str(run), "--data", str(pristine_colours), *TINY, "--teacher.lr", "1e30"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("wmdd: 1 of 1 unit(s) of teacher could not be made")
    assert "the loss was not finite at step " in said
    assert not RunDirectory(run).records("teacher")
    assert not list(run.rglob("*.claim"))
    assert main(["run", str(run), "--data", str(pristine_colours), *TINY, "--teacher.lr", "0.01", "-q"]) == 0


@pytest.fixture
def spoiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """From step 3 on, the loss of class 1 is not finite in the precisions of this list."""
    precisions, losses, synthesize = ["bfloat16"], stage._losses, stage.synthesize
    now = {"precision": "", "step": 0}

    def spoil(seen: Any, problem: Any, *rest: Any) -> dict[str, torch.Tensor]:
        now["step"] += 1
        found = losses(seen, problem, *rest)
        bad = torch.tensor([k == 1 for k in problem.classes])
        spoils = now["step"] >= 3 and now["precision"] in precisions
        return {name: torch.where(bad & spoils, torch.nan, term) for name, term in found.items()}

    def begin(teacher: Any, problem: Any, config: Any, machine: Any, *rest: Any, **more: Any) -> torch.Tensor:
        now.update(precision=machine.precision, step=0)
        return synthesize(teacher, problem, config, machine, *rest, **more)

    monkeypatch.setattr(stage, "_losses", spoil)
    monkeypatch.setattr("wmdd.pipeline.stages.synthesis.synthesize", begin)
    return precisions


GROUPS = ["--synthesis.group_size", "1", "--steps", "5"]


def test_a_loss_that_is_finite_in_float32_only(
    spoiled: list[str], pristine_colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    words = ["run", str(run), "--data", str(pristine_colours), *TINY, *GROUPS, "--runtime.precision", "bfloat16"]
    assert main([word for word in words if word != "-q"]) == 0
    said = "synthesis group-001: the loss of class 'green' was not finite at step 3 of 5; once more in float32"
    assert said in capsys.readouterr().err
    records = RunDirectory(run).records("synthesis")
    assert [record.precision for record in records.values()] == ["", "float32", ""]


def test_what_was_tried_in_float32_goes_on_there(
    spoiled: list[str], pristine_colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, run, tries = tmp_path / "whole", tmp_path / "run", list[str]()
    words = ["--data", str(pristine_colours), *TINY, *GROUPS, "--runtime.precision", "bfloat16"]
    assert main(["run", str(whole), *words]) == 0
    tried, step = synthesis.synthesize, Pixels.step

    def note(teacher: Any, problem: Any, config: Any, machine: Any, *rest: Any, **more: Any) -> torch.Tensor:
        tries.append(f"{machine.precision} {problem.classes}")
        return tried(teacher, problem, config, machine, *rest, **more)

    def die(pixels: Pixels, lr: float) -> None:
        step(pixels, lr)
        if tries[-1:] == ["float32 (1,)"] and tries.count("float32 (1,)") == 1 and lr < 0.05:
            raise RuntimeError("as if killed")

    monkeypatch.setattr(synthesis, "synthesize", note)
    monkeypatch.setattr(Pixels, "step", die)
    monkeypatch.setattr("wmdd.pipeline.workspace.Savepoint", partial(Savepoint, seconds=0))
    with pytest.raises(RuntimeError, match="as if killed"):
        main(["run", str(run), *words])
    tries.append("again")
    assert main(["run", str(run), *words]) == 0
    assert tries[tries.index("again") + 1] == "float32 (1,)"
    images = [
        [path.read_bytes() for path in sorted(folder.glob("artifacts/synthesis/*/*/*.png"))] for folder in (whole, run)
    ]
    assert images[0] == images[1] != []


def test_a_loss_that_is_never_finite_leaves_the_other_classes(
    spoiled: list[str], pristine_colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoiled.append("float32")
    run = tmp_path / "run"
    words = ["run", str(run), "--data", str(pristine_colours), *TINY, *GROUPS]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("wmdd: 1 of 3 unit(s) of synthesis could not be made, the others are done: group-001: the ")
    assert "was not finite at step 3 of 5" in said
    assert said.count("\n") == 1
    assert list(RunDirectory(run).records("synthesis")) == ["group-000", "group-002"]
    spoiled.clear()
    assert main(words) == 0
    assert json.loads((run / "results.json").read_text())["scores"]
