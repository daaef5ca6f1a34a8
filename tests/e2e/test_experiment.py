"""``wmdd experiment``."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from coloured_images import Refused

from wmdd.cli.main import main
from wmdd.comparison.asked import asked_for
from wmdd.config import SynthesisConfig
from wmdd.experiments import STUDIES, figure2, studies


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
    refused(["experiment", "figure2", "--seed", "x"], "--seed is 'x'")
    refused(["experiment", "figure2", "--sed", "1"], "did you mean --seed?")
    refused(["experiment", "figure2", "twice"], "'twice' is one word too many")
    file = tmp_path / "file"
    file.write_text("")
    refused(["experiment", "figure2", "--out", file], file)


def test_the_list_of_experiments_needs_no_torch() -> None:
    program = "import sys; from wmdd.cli.main import main; main(['experiment']); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


QUICK = [
    *("--arch", "convnet3", "--image-size", "16", "--data.workers", "1"),
    *("--teacher-epochs", "2", "--evaluation.epochs", "2"),
    *("--runtime.precision", "float32", "--runtime.threads", "1", "--students", "auto", "--ipc", "2", "--seeds", "1"),
]


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studies, "_SMALL_STEPS", 2)


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("name", STUDIES)
def test_an_experiment_writes_its_table_beside_the_published_one(
    name: str, pristine_colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["experiment", name, "--out", str(tmp_path / "out"), "--data", str(pristine_colours), *QUICK, "-q"]
    if name == "main":
        words += ["--ipc", "1,2"]  # its figure has a line for each method, where there are several
    assert main(words) == 0
    files = [tmp_path / "out" / f"{name}.{kind}" for kind in ("json", "md", "png", "svg")]
    assert capsys.readouterr().out.split()[-4:] == list(map(str, files))
    found = json.loads(files[0].read_text())
    compared = json.loads((tmp_path / "out/comparison.json").read_text())
    assert [row["top1"] for row in found["measured"]] == [row["top1"] for row in compared["rows"]]
    assert found["scores"] == compared["scores"]
    assert found["machines"]
    assert {row["method"] for row in found["measured"]} == {"random", *STUDIES[name].methods}
    assert all(row["source"] == "arXiv 2311.18531" for row in found["published"])
    assert all((row["top1"] is None) != (row["seconds"] is None) for row in found["published"])
    table = files[1].read_text()
    assert all(f"| {method} |" in table for method in STUDIES[name].methods)
    for row in found["published"]:
        assert f"published: {row['data']}" in table
        assert str(row["seconds"] if row["top1"] is None else row["top1"]) in table
    for file in files[2:]:
        assert file.stat().st_size > 5000
    before = {file: file.read_bytes() for file in files}
    assert main(words) == 0
    assert {file: file.read_bytes() for file in files} == before


@pytest.mark.usefixtures("hurry")
def test_several_protocols_and_students_are_told_apart(pristine_colours: Path, tmp_path: Path) -> None:
    words = ["experiment", "ablation", "--out", str(tmp_path), "--data", str(pristine_colours), *QUICK, "-q"]
    assert main([*words, "--protocols", "hard-label"]) == 0
    assert "(" not in (tmp_path / "ablation.md").read_text().partition("Measured")[0]
    figure = (tmp_path / "ablation.png").read_bytes()
    assert main([*words, "--protocols", "hard-label,wmdd", "--students", "auto,resnet18"]) == 0
    table = (tmp_path / "ablation.md").read_text()
    for protocol in ("hard-label", "wmdd"):
        for student in ("convnet3", "resnet18"):
            assert table.count(f"({protocol}-2-epochs, {student})") == 5  # random and the four of the ablation
    assert (tmp_path / "ablation.png").read_bytes() == figure  # of the first protocol and student, as it was


def test_an_experiments_settings_are_checked(tmp_path: Path, refused: Refused) -> None:
    refused(["experiment", "ablation", "--scale", "large"], "--scale is 'large', but should be one of small, paper")
    refused(["experiment", "ablation", "--ipc", "0"], "--ipc has '0'")
    refused(["experiment", "ablation", "--stepz", "2"], "did you mean --steps?")
    refused(["experiment", "figure2", "--ipc", "2"], "figure2 has a --seed and no other settings")
    refused(["experiment", "figure2", "--steps", "2"], "figure2 has a --seed and no other settings")
    file = tmp_path / "file"
    file.write_text("")
    refused(["experiment", "ablation", "--out", file], file)


def test_digits_are_compared_where_methods_differ() -> None:
    assert STUDIES["main"].ipc_at("small") == (1, 10)
    assert STUDIES["ablation"].ipc_at("small") == (1,)
    assert STUDIES["ablation"].ipc_at("paper") == (10,)


def test_the_papers_scale_has_the_papers_settings() -> None:
    values = studies.SETTINGS["paper"]
    assert values["data"]["image_size"] == 224
    assert values["teacher"]["epochs"] == 50
    methods = STUDIES["ablation"].methods_at("paper")
    assert {settings["synthesis"]["steps"] for settings in methods.values()} == {2000}
    sweep = STUDIES["lambda"].methods_at("paper")
    assert [settings["synthesis"]["statistics"] for settings in sweep.values()] == [0.1, 1.0, 10.0, 100.0, 1000.0]
    assert {settings["synthesis"]["statistics_per"] for settings in sweep.values()} == {"batch"}


def test_at_the_papers_size_every_method_keeps_its_own_settings(tmp_path: Path) -> None:
    comparison = asked_for(tmp_path / "main", studies.SETTINGS["paper"], STUDIES["main"].methods_at("paper"))
    configs = {member.method: comparison.config_of(member) for member in comparison.members()}
    ours, published = configs["wmdd"].synthesis, configs["wmdd-paper"].synthesis
    assert replace(ours, seed="auto") == SynthesisConfig()
    assert (published.init, published.steps) == ("noise", 2000)
    assert (published.statistics, published.statistics_per) == (10, "batch")
    assert (configs["dm"].synthesis.lr, configs["sre2l"].synthesis.lr) == (0.1, 0.25)
    assert {config.teacher.epochs for config in configs.values()} == {50}


def test_a_flag_that_methods_would_not_heed_is_refused(tmp_path: Path, refused: Refused) -> None:
    def words(name: str, *flags: str) -> list[object]:
        return ["experiment", name, "--out", tmp_path / "out", *flags]

    refused(
        words("ablation", "--synthesis.min_crop", "0.5"),
        "synthesis.min_crop is method wasserstein-class's own (0.08)",
        "0.5 would have no effect",
    )
    for name in ("lambda", "mmd"):
        refused(
            words(name, "--synthesis.statistics", "3"), f"synthesis.statistics has no effect on the methods of {name}"
        )
    refused(words("main", "--synthesis.statistics", "much"), "synthesis.statistics", "'much'")


def test_what_is_published_for_other_data_is_of_the_papers_own_settings_alone() -> None:
    def values(name: str, key: str) -> list[float | None]:
        methods = STUDIES[name].methods_at("paper", published={"statistics": 300, "lr": 0.1})
        return [settings.get("synthesis", {}).get(key) for settings in methods.values()]

    def weights(name: str) -> list[float | None]:
        return values(name, "statistics")

    assert values("main", "lr") == [None, None, 0.25, 0.25, 0.1, None]
    assert weights("main") == [None, 0.0, 0.01, 0.01, 300, None]
    assert weights("ablation") == [300] * 4
    assert weights("mmd") == [0.0, 0.0]
    assert weights("lambda") == [0.1, 1.0, 10.0, 100.0, 1000.0]
