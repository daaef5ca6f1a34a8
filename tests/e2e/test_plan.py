"""``wmdd plan``, and runs that choose or lower their group size."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from coloured_images import TINY, TINY_TEACHER, Refused, snapshot

from wmdd.cli.main import main
from wmdd.config.load import parse, read_yaml
from wmdd.core.records import STAGES
from wmdd.pipeline import group_size
from wmdd.pipeline.plan import probe
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.stages import synthesis


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_SECONDS", 0.1)


QUICK = ["--image-size", "16", "--runtime.threads", "1", "--runtime.precision", "float32", "-q"]


def test_a_plan_of_the_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plan", "--ipc", "2", "--steps", "5", "--barycenters.restarts", "1", *QUICK]) == 0
    out, err = capsys.readouterr()
    assert all(f" {stage} " in out for stage in (*STAGES, "together"))
    assert "synthesis.group_size 10" in out
    assert err == ""
    assert not list(tmp_path.iterdir())


def test_a_plan_of_a_run_says_what_the_run_left(
    finished: Path, colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(tmp_path)
    assert main(["plan", "--config", str(finished / "config.yaml"), "--json", "-q"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert snapshot(tmp_path) == before
    assert parse(found["settings"]) == parse(read_yaml(finished / "config.yaml"))
    assert tuple(found["stages"]) == STAGES
    run = RunDirectory(finished)
    for name, stage in found["stages"].items():
        records = run.records(name).values()
        assert stage["units"] == len(records)
        assert stage["seconds"] > 0
        assert stage["peak_mb"] > 50
        left = sum(run.size(name, file) for record in records for file in record.files)
        headers = 3000 * len(records)  # the most of files as tiny as these
        assert abs(1e6 * stage["disk_mb"] - left) < 0.2 * left + headers, name


def test_a_plan_of_data_that_are_not_here_with_eight_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ["--teacher.batch_size", "20", "--runtime.batch_size", "16", "--barycenters.restarts", "1"]
    words = ["plan", "preset:imagenette-64px-ipc1", "--gpus", "8", *small, "--runtime.threads", "1", "-q"]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert not list(tmp_path.iterdir())
    assert found["workers"] == 8
    alone, shared = found["stages"], found["shared"]["stages"]
    assert tuple(shared) == STAGES
    assert {name: stage["team"] for name, stage in shared.items()} == dict.fromkeys(STAGES, 1) | {
        "teacher": 8,
        "evaluation": 4,  # ten images a batch: two teams of four for six students
    }
    for name, stage in shared.items():
        assert alone[name]["seconds"] / 8 - 0.01 <= stage["seconds"] <= alone[name]["seconds"] + 0.01, name
        assert (stage["gradients_mb"] > 0) == (stage["team"] > 1), name
    steps, parameters = 10 * 474, 4 * 11_181_642  # of ResNet-18 with ten classes
    assert shared["teacher"]["gradients_mb"] == pytest.approx(2 * 7 / 8 * steps * parameters / 1e6)
    assert shared["teacher"]["folder_mb"] > 8 * 1000  # all eight read 1 GB, and hold it
    assert found["shared"]["together"]["seconds"] == pytest.approx(sum(stage["seconds"] for stage in shared.values()))


def test_a_plan_with_gpus_says_whose_time_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "preset:digits-ipc1", "--gpus", "2", "--steps", "5", *QUICK]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "The same with 2 of them" in out
    assert "each as fast as the one measured here" in out


def test_one_gpu_takes_as_long_as_a_plan_without(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--gpus", "1", "--steps", "5", "--evaluation.epochs", "2", *QUICK, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    for name, stage in found["stages"].items():
        assert found["shared"]["stages"][name]["seconds"] == pytest.approx(stage["seconds"], abs=0.01)
        assert found["shared"]["stages"][name]["gradients_mb"] == 0


@pytest.mark.parametrize("number", ["0", "-1", "eight", "1.5", ""])
def test_a_plan_of_no_number_of_gpus(number: str, refused: Refused) -> None:
    refused(["plan", f"--gpus={number}"], f"--gpus has {number!r}, but should have whole numbers of at least 1")


def test_a_plan_of_what_is_no_preset(refused: Refused) -> None:
    refused(["plan", "preset:imagenet2k"], "there is no preset 'imagenet2k'")
    refused(["plan", "runs/birds"], "'runs/birds' is nothing to plan: give preset:NAME")
    refused(["plan", "preset:cifar10", "--preset", "wmdd-paper"], "both name presets")
    refused(["plan", "preset:cifar10", "--data", "none"], "none does not exist")


def test_a_plan_of_bad_settings(colours: Path, tmp_path: Path, refused: Refused) -> None:
    refused(["plan", "--data", colours, "--ipc", "99", *QUICK], "ipc is 99")
    refused(["plan", "--data", tmp_path / "none", *QUICK], "does not exist")
    refused(["plan", "--data", colours, "--ipc", "2", "--arch", "resnet19", *QUICK], "there is no network 'resnet19'")
    refused(["plan", "--data", colours, "--synthesis.group_size", "0", *QUICK], "synthesis.group_size is 0")
    refused(["plan", "--redo", "synthesis"], "--redo is not a flag of this command")


# --- memory that runs out ---------------------------------------------------------------------------------------------


def lack_memory(monkeypatch: pytest.MonkeyPatch, lacks: Callable[[int, int], bool]) -> list[int]:
    """Let synthesis steps fail as on a GPU where ``lacks(steps so far, images)``; returns the images of each step."""
    step = synthesis._backward
    seen: list[int] = []

    def limited(teacher: object, problem: object, pixels: torch.Tensor, *rest: object) -> dict[str, float]:
        seen.append(len(pixels))
        if lacks(len(seen), len(pixels)):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return step(teacher, problem, pixels, *rest)

    monkeypatch.setattr(synthesis, "_backward", limited)
    return seen


def images(run: Path) -> dict[str, bytes]:
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in run.glob("artifacts/synthesis/*/*/*.png")}


def size_and_units(run: Path) -> tuple[object, int]:
    directory = RunDirectory(run)
    return directory.config().synthesis.group_size, len(directory.records("synthesis"))


def test_running_out_of_memory_halves_the_group_and_redoes_what_had_another(
    colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, run = tmp_path / "one", tmp_path / "run"
    command = ["--data", str(colours), *TINY, "--synthesis.group_size"]
    assert main(["run", str(one), *command, "1"]) == 0
    seen = lack_memory(monkeypatch, lambda steps, _: steps == 3)
    assert main(["run", str(run), *command, "2"]) == 0
    # The first group of two classes is done and the second, of one, fails: then three groups of one.
    assert seen == [4, 4, 2, *6 * [2]]
    assert size_and_units(run) == (1, 3)
    assert images(run) == images(one)
    assert main(["run", str(run), *command, "2"]) == 0
    assert len(seen) == 9
    assert size_and_units(run) == (1, 3)


def test_a_single_class_that_does_not_fit_ends_in_a_sentence(
    colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    run = tmp_path / "run"
    lack_memory(monkeypatch, lambda *_: True)
    refused(
        ["run", run, "--data", colours, *TINY, "--synthesis.group_size", "3"], "there is not enough memory", begun=run
    )
    assert size_and_units(run) == (1, 0)


def test_a_run_chooses_a_group_that_fits_and_stays_with_it(
    colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["teacher", str(tmp_path / "run"), "--data", str(colours), *TINY_TEACHER]
    auto = ["run", str(tmp_path / "run"), "--steps", "2", "--evaluation.epochs", "1", "--seeds", "0", "-q"]
    with monkeypatch.context() as scarce:
        scarce.setattr(group_size, "available_bytes", lambda _: 1)
        assert main(command) == 0
    assert main([*auto, "--synthesis.group_size", "auto"]) == 0
    assert size_and_units(tmp_path / "run") == (1, 3)
    assert main(["run", str(tmp_path / "run"), "-q", "--redo", "synthesis", "--synthesis.group_size", "auto"]) == 0
    assert size_and_units(tmp_path / "run") == (3, 1)
