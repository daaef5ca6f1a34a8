"""The library and the verbs, as a user calls them, on real images."""

import json
from pathlib import Path

import pytest
import torch
from real_images import IMAGENETTE, digit_folder, imagenette_folder
from torch.utils.data import DataLoader

import wmdd
from wmdd.cli.main import main
from wmdd.comparison.methods import METHODS
from wmdd.config.load import parse
from wmdd.config.presets import method_settings

EPOCHS = 60
SETTINGS = {
    "data.image_size": 16,
    "teacher.epochs": 8,
    "teacher.batch_size": 20,
    "synthesis.steps": 10,
    "evaluation.seeds": [0, 1],
    "evaluation.epochs": EPOCHS,
    "runtime.threads": 1,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    data = digit_folder(folder / "my digits", classes=4, train=30, val=15)
    wmdd.distill(data, folder / "run", ipc=5, settings=SETTINGS)
    return folder / "run"


def test_a_distilled_set_is_a_torch_dataset(run: Path) -> None:
    distilled = wmdd.load(run)
    x, y = next(iter(DataLoader(distilled, batch_size=20)))
    assert x.shape == (20, 3, 16, 16)
    assert x.dtype == torch.float32
    assert y.tolist() == [k for k in range(4) for _ in range(5)]
    assert distilled.images.dtype == torch.uint8
    assert distilled.weights.view(4, 5).sum(dim=1).tolist() == pytest.approx([1, 1, 1, 1])
    assert distilled.class_names == ("digit 0", "digit 1", "digit 2", "digit 3")
    assert "20 images, 4 classes, 16 px" in repr(distilled)


def test_a_run_in_the_users_home(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(run.parent))
    assert torch.equal(wmdd.load("~/run").images, wmdd.load(run).images)


def test_results_hold_every_score_beside_its_baselines(run: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    assert {(score["method"], score["seed"]) for score in results["scores"]} == {
        (method, seed) for method in ("wmdd", "random-real") for seed in (0, 1)
    }
    assert results["chance"] == 25
    assert results["teacher"]["top1"] > 60
    assert set(results["stages"]) == {
        "teacher", "statistics", "barycenters", "synthesis", "relabel", "evaluation",
    }  # fmt: skip
    assert all(stage["seconds"] > 0 and stage["peak_mb"] > 0 for stage in results["stages"].values())
    assert results["bytes"]["images"] == sum(path.stat().st_size for path in run.rglob("*/synthesis/**/*.png"))
    # fp16 logits, views and mixes of 20 images in all epochs, and little else.
    assert EPOCHS * 20 * (2 * 4 + 8 + 1 + 4 + 8) <= results["bytes"]["labels"] < EPOCHS * 20 * 29 + 2000


def test_students_learn_from_the_distilled_set(run: Path) -> None:
    (row,) = [row for row in wmdd.evaluate(run) if row.method == "wmdd"]
    assert row.seeds == 2
    assert row.top1 > 50 > 25


def test_evaluate_adds_students_seeds_and_protocols_without_redoing(run: Path) -> None:
    before = set((run / "artifacts/evaluation").glob("*.json"))
    students = ["convnet3", "mobilenetv3_small_050"]
    rows = wmdd.evaluate(run, students=students, seeds=[0], protocols=["wmdd", "hard-label"])
    assert {(row.student, row.protocol) for row in rows} >= {
        (student, protocol)
        for student in students
        for protocol in (f"wmdd-{EPOCHS}-epochs", f"hard-label-{EPOCHS}-epochs")
    }
    assert before < set((run / "artifacts/evaluation").glob("*.json"))
    # The run keeps what it was last asked for, and the first scores are still in the table.
    assert any(row.seeds == 2 for row in rows)


def test_labels_made_online_score_like_stored_ones(run: Path, tmp_path: Path) -> None:
    online = tmp_path / "online"
    settings = {**SETTINGS, "evaluation.labels": "online", "evaluation.seeds": [0]}
    wmdd.distill(run.parent / "my digits", online, ipc=5, settings=settings)
    assert not (online / "artifacts/relabel").exists()
    assert json.loads((online / "results.json").read_text())["bytes"]["labels"] == 0
    assert torch.equal(wmdd.load(online).images, wmdd.load(run).images)
    stored, made = (
        {tuple(score[name] for name in ("method", "protocol", "student", "seed")): score["top1"] for score in scores}
        for scores in (json.loads((path / "results.json").read_text())["scores"] for path in (run, online))
    )
    assert len(made) == 2
    for student, top1 in made.items():  # of 60 images: labels differ by the rounding of what is stored
        assert top1 == pytest.approx(stored[student], abs=10), student


def test_verbs_one_by_one_and_info(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = str(tmp_path / "own")
    data = str(run.parent / "my digits")
    assert main(["teacher", own, "--data", data, "--image-size", "16", "--teacher-epochs", "8",
                 "--teacher.batch_size", "20", "--ipc", "2", "--runtime.threads", "1", "-q"]) == 0  # fmt: skip
    assert "top-1" in capsys.readouterr().out
    assert main(["info", own]) == 0
    assert "0 of 1" in capsys.readouterr().out
    for verb, extra in {
        "statistics": [],
        "barycenters": ["--solver", "exact"],
        "synthesize": ["--steps", "3", "--synthesis.init", "noise", "--synthesis.cross_entropy", "1",
                       "--synthesis.weighted", "true", "--synthesis.jitter", "0.1"],
        "relabel": ["--evaluation.epochs", "2", "--seeds", "0"],
        "evaluate": [],
        "report": [],
    }.items():  # fmt: skip
        assert main([verb, own, *extra, *([] if verb == "report" else ["-q"])]) == 0, verb
    output = capsys.readouterr().out
    assert "solver exact, IPC 2: 4 of 4 classes converged, mean cost " in output
    assert "% of the variance" in output
    assert "s a class)" in output
    assert "variance left" in output
    assert all(f"digit {k} " in output for k in range(4))
    assert "random-real" in output
    assert (tmp_path / "own/report/index.html").is_file()
    assert main(["info", own]) == 0
    assert "0 of" not in capsys.readouterr().out


def test_every_method_makes_a_set(run: Path, tmp_path: Path) -> None:
    """All in one comparison, with two steps where there are more."""
    methods = {name: method_settings(name) for name in METHODS}
    for own in methods.values():
        if parse(own).synthesis.steps:
            own.setdefault("synthesis", {})["steps"] = 2
    settings = {name: SETTINGS[name] for name in ("data.image_size", "teacher.batch_size", "runtime.threads")}
    settings |= {"teacher.epochs": 4, "evaluation.epochs": 2, "evaluation.protocols": ["hard-label"]}
    found = wmdd.compare(run.parent / "my digits", tmp_path, methods=methods, ipc=[2], seeds=1, settings=settings)
    assert {row["method"] for row in found["rows"]} == set(METHODS)
    sets = {name: wmdd.load(tmp_path / "sets" / name / "ipc-002" / "seed-0").images for name in METHODS}
    assert {images.shape for images in sets.values()} == {(8, 3, 16, 16)}
    assert all(not torch.equal(images, sets["random"]) for name, images in sets.items() if name != "random")
    assert (tmp_path / "report/index.html").is_file()


@pytest.mark.skipif(not IMAGENETTE.is_file(), reason="needs imagenette128.zip beside the project")
def test_a_folder_of_photographs_with_a_resnet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = imagenette_folder(tmp_path, classes=3, train=40, val=40)
    words = ["--data", str(data), "--ipc", "2", "--image-size", "32", "--arch", "resnet18",
             "--teacher.stem", "imagenet", "--teacher-epochs", "10",
             "--teacher.batch_size", "12", "--teacher.lr", "0.02", "--steps", "3",
             "--evaluation.epochs", "2", "--seeds", "0", "--protocols", "wmdd,hard-label"]  # fmt: skip
    assert main(["run", str(tmp_path / "run"), *words, "-q"]) == 0
    output = capsys.readouterr().out
    assert "hard-label-2-epochs" in output
    facts = json.loads((tmp_path / "run/artifacts/teacher/teacher.json").read_text())
    assert facts["stem_is"].startswith("7x7")
