"""Runs that keep their labels in less space: made once, read by students, resumed; other forms stay beside."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from real_images import digit_folder

import wmdd
from wmdd.cli.main import main
from wmdd.pipeline.artifacts import load_soft_labels
from wmdd.pipeline.run_directory import RunDirectory

EPOCHS = 51  # two files of labels
SETTINGS = {
    "data.image_size": 16,
    "teacher.epochs": 8,
    "teacher.batch_size": 20,
    "synthesis.steps": 3,
    "evaluation.seeds": [0],
    "evaluation.epochs": EPOCHS,
    "runtime.threads": 1,
    "runtime.precision": "float32",
}
PROTOCOL = f"wmdd-{EPOCHS}-epochs"


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labels")
    data = digit_folder(folder / "digits", classes=4, train=20, val=10)
    wmdd.distill(data, folder / "stored", ipc=2, settings=SETTINGS)
    return folder / "stored"


@pytest.fixture(scope="module")
def compact(stored: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run, its students trained again on compact labels, beside which the first ones stay."""
    run = tmp_path_factory.mktemp("labels") / "compact"
    shutil.copytree(stored, run)
    assert main(["run", str(run), "--evaluation.labels", "compact", "--redo", "evaluation", "-q"]) == 0
    return run


def files(run: Path, stage: str = "relabel") -> dict[str, tuple[int, bytes]]:
    folder = run / "artifacts" / stage
    return {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in sorted(folder.glob("*.*")) if p.is_file()}


def test_both_forms_have_files_of_their_own(stored: Path, compact: Path) -> None:
    before, after = files(stored), files(compact)
    assert {name: content for name, (_, content) in before.items()} == {
        name: content for name, (_, content) in after.items() if "compact" not in name
    }
    assert {name for name in after if name not in before} == {
        f"{PROTOCOL}--{images}--compact-epochs-{first:04d}.safetensors"
        for images in ("wmdd", "random-real-0")
        for first in (0, 50)
    }


def test_results_count_the_form_that_students_learn_from(stored: Path, compact: Path) -> None:
    large, small = (json.loads((run / "results.json").read_text())["bytes"]["labels"] for run in (stored, compact))
    assert small < large
    sizes = [len(content) for name, (_, content) in files(compact).items() if "--wmdd--compact" in name]
    assert small == sum(sizes)


def test_students_see_the_same_views_and_nearly_the_same_labels(stored: Path, compact: Path) -> None:
    raw = load_soft_labels(RunDirectory(stored), PROTOCOL, "wmdd", EPOCHS)
    kept = load_soft_labels(RunDirectory(compact), PROTOCOL, "wmdd", EPOCHS, "compact")
    for epoch in (50, 0, 49, 1):
        exact, near = raw.read(epoch), kept.read(epoch)
        assert torch.equal(exact.box, near.box)
        assert torch.equal(exact.flip, near.flip)
        targets = [labels.logits[0].float().div(20).softmax(1) for labels in (exact, near)]
        torch.testing.assert_close(targets[0], targets[1], atol=0.02, rtol=0)
        assert not torch.equal(*targets)
    scores = [json.loads((run / "results.json").read_text())["scores"] for run in (stored, compact)]
    students = [[(score["method"], score["student"], score["seed"]) for score in found] for found in scores]
    assert students[0] == students[1]


def test_a_finished_run_does_nothing_again_and_makes_the_same_bytes(compact: Path, tmp_path: Path) -> None:
    before = files(compact) | files(compact, "evaluation")
    assert main(["run", str(compact), "-q"]) == 0
    assert files(compact) | files(compact, "evaluation") == before
    again = tmp_path / "again"
    shutil.copytree(compact, again)
    unit = f"{PROTOCOL}--wmdd--compact-epochs-0050"
    (again / "artifacts/relabel/units" / f"{unit}.json").unlink()
    (again / "artifacts/relabel" / f"{unit}.safetensors").unlink()
    assert main(["relabel", str(again), "-q"]) == 0
    assert (again / "artifacts/relabel" / f"{unit}.safetensors").read_bytes() == before[f"{unit}.safetensors"][1]


def test_another_form_is_not_slipped_under_finished_students(compact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(compact), "--evaluation.labels", "stored", "-q"]) == 2
    assert "evaluation.labels was 'compact'" in capsys.readouterr().err


def test_reused_labels_are_those_of_a_tenth_of_the_epochs(stored: Path, tmp_path: Path) -> None:
    run = shutil.copytree(stored, tmp_path / "reused")
    words = ["run", str(run), "--evaluation.labels", "reused", "-q"]
    assert main([*words, "--redo", "evaluation"]) == 0
    few = load_soft_labels(RunDirectory(run), PROTOCOL, "wmdd", 6, "reused")
    all_of_them = load_soft_labels(RunDirectory(run), PROTOCOL, "wmdd", EPOCHS)
    for epoch in range(6):
        assert torch.equal(few[epoch], all_of_them[epoch])
        assert torch.equal(few.read(epoch).box, all_of_them.read(epoch).box)
    students = files(run, "evaluation")
    assert students
    assert {name: content for name, (_, content) in students.items()} != {
        name: content for name, (_, content) in files(stored, "evaluation").items()
    }
    assert "unfinished" not in (run / "report" / "index.html").read_text()
    assert main(words) == 0
    assert files(run, "evaluation") == students
