"""Runs with compact labels: made once, read by students, resumed; other forms stay beside."""

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

EPOCHS, FEW = 51, 17  # two files of labels; one where they are compact
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
    """The same run, its students trained again on the labels of few epochs, beside which the first ones stay."""
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
        for first in (0,)
    }


def test_results_count_the_form_that_students_learn_from(stored: Path, compact: Path) -> None:
    large, small = (json.loads((run / "results.json").read_text())["bytes"]["labels"] for run in (stored, compact))
    assert small < large
    sizes = [len(content) for name, (_, content) in files(compact).items() if "--wmdd--compact" in name]
    assert small == sum(sizes)


def test_labels_are_those_of_a_third_of_the_epochs(stored: Path, compact: Path) -> None:
    few = load_soft_labels(RunDirectory(compact), PROTOCOL, "wmdd", FEW, "compact")
    all_of_them = load_soft_labels(RunDirectory(stored), PROTOCOL, "wmdd", EPOCHS)
    for epoch in range(FEW):
        exact = all_of_them[epoch].float()
        half_a_step = (exact.amax(1) - exact.amin(1))[:, None] / 30
        assert ((few[epoch].float() - exact).abs() <= 1.02 * half_a_step + 0.01).all()
        assert torch.equal(few.read(epoch).box, all_of_them.read(epoch).box)
    scores = [json.loads((run / "results.json").read_text())["scores"] for run in (stored, compact)]
    students = [[(score["method"], score["student"], score["seed"]) for score in found] for found in scores]
    assert students[0] == students[1]
    assert files(stored, "evaluation") != files(compact, "evaluation")
    assert "unfinished" not in (compact / "report" / "index.html").read_text()


def test_a_finished_run_does_nothing_again_and_makes_the_same_bytes(compact: Path, tmp_path: Path) -> None:
    before = files(compact) | files(compact, "evaluation")
    assert main(["run", str(compact), "-q"]) == 0
    assert files(compact) | files(compact, "evaluation") == before
    again = tmp_path / "again"
    shutil.copytree(compact, again)
    unit = f"{PROTOCOL}--wmdd--compact-epochs-0000"
    (again / "artifacts/relabel/units" / f"{unit}.json").unlink()
    (again / "artifacts/relabel" / f"{unit}.safetensors").unlink()
    assert main(["relabel", str(again), "-q"]) == 0
    assert (again / "artifacts/relabel" / f"{unit}.safetensors").read_bytes() == before[f"{unit}.safetensors"][1]


def test_another_form_is_not_slipped_under_finished_students(compact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(compact), "--evaluation.labels", "stored", "-q"]) == 2
    assert "evaluation.labels was 'compact'" in capsys.readouterr().err
