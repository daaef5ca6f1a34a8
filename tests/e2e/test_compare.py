"""``wmdd compare``: one teacher for all, nothing made twice, and what the table says."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
import torch
from coloured_images import Refused, snapshot
from safetensors import safe_open
from safetensors.torch import load_file

from wmdd.cli.main import main
from wmdd.comparison import compare
from wmdd.comparison.asked import asked_for
from wmdd.comparison.file import read_comparison
from wmdd.comparison.table import write_table
from wmdd.config import PROTOCOLS, SynthesisConfig
from wmdd.config.presets import shared_settings
from wmdd.core.errors import SettingsError
from wmdd.pipeline.run_directory import RunDirectory

QUICK = [
    *("--image-size", "16", "--data.workers", "1", "--teacher-epochs", "2", "--evaluation.epochs", "2"),
    *("--runtime.precision", "float32", "--runtime.threads", "1", "--protocols", "wmdd,hard-label", "-q"),
]


def compared(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "comparison.json").read_text())
    return found


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("methods") / "mine.yaml"
    path.write_text("synthesis:\n  init: noise\n  steps: 2\n")
    return path


@pytest.fixture(scope="module")
def begun(pristine_colours: Path, mine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("comparison") / "who"
    words = ["--data", str(pristine_colours), "--methods", f"herding,{mine}", "--ipc", "1,2", "--seeds", "2"]
    assert main(["compare", str(folder), *words, *QUICK]) == 0
    return folder


def test_the_table_says_what_the_runs_found(begun: Path) -> None:
    found = compared(begun)
    teacher = json.loads((begun / "teacher" / "results.json").read_text())["teacher"]
    assert found["teacher"]["top1"] == teacher["top1"]
    rows = {(row["method"], row["ipc"], row["protocol"].partition("-")[0]): row for row in found["rows"]}
    assert len(rows) == len(found["rows"]) == 3 * 2 * 2
    for (method, ipc, protocol), row in rows.items():
        folders = [begun / "sets" / method / f"ipc-{ipc:03d}" / f"seed-{seed}" for seed in (0, 1)]
        results = [json.loads((folder / "results.json").read_text()) for folder in folders]
        top1 = [s["top1"] for r in results for s in r["scores"] if s["protocol"] == row["protocol"]]
        assert all(score["method"] == "wmdd" for r in results for score in r["scores"])
        assert row["seeds"] == len(top1) == 2
        assert row["top1"] == pytest.approx(mean(top1))
        assert row["top1_std"] == pytest.approx(stdev(top1))
        pngs = [list(folder.rglob("artifacts/synthesis/**/*.png")) for folder in folders]
        assert [len(files) for files in pngs] == [3 * ipc] * 2
        assert row["image_bytes"] == mean(sum(png.stat().st_size for png in files) for files in pngs)
        assert row["real_pixels"] == (method != "mine")
        assert (row["hard_label_recovery"] is not None) == (protocol == "hard")
        if protocol == "hard":
            assert row["hard_label_recovery"] == pytest.approx(teacher["top1"] - row["top1"])
        assert (row["gain"] is None) == (method == "random")
        if method != "random":
            assert row["gain"] == pytest.approx(row["top1"] - rows["random", ipc, protocol]["top1"])


def test_all_sets_have_the_teacher_of_one_training(begun: Path) -> None:
    weights = list(begun.rglob("teacher.safetensors"))
    assert len(weights) == 1 + 3 * 2 * 2
    assert len({path.stat().st_ino for path in weights}) == 1
    images = [path.read_bytes() for path in begun.glob("sets/random/ipc-001/*/artifacts/synthesis/*/*/*.png")]
    assert len(set(images)) > 3  # another seed draws other images


def test_every_seed_draws_its_own_atoms_and_views(begun: Path) -> None:
    for seed in (0, 1):
        (path,) = begun.glob(f"sets/herding/ipc-002/seed-{seed}/artifacts/barycenters/*.safetensors")
        with safe_open(path, "pt") as file:
            assert file.metadata()["seed"] == str(seed)
    boxes = [
        load_file(path)["box"]
        for path in sorted(begun.glob("sets/herding/ipc-002/seed-*/artifacts/relabel/wmdd-2-*.safetensors"))
    ]
    assert len(boxes) == 2
    assert not boxes[0].equal(boxes[1])


def test_the_same_again_makes_nothing_and_prints_the_table(begun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {name: content for name, content in snapshot(begun).items() if "artifacts" in name}
    assert main(["compare", str(begun), "-q"]) == 0
    assert {name: content for name, content in snapshot(begun).items() if "artifacts" in name} == before
    out = capsys.readouterr().out
    page = (begun / "report" / "index.html").read_text()
    for method in ("herding", "mine", "random"):
        assert f"Images of {method}" in page
    assert "Hard-label recovery" in page
    assert page.count("<svg") == 4
    for word in ("herding", "mine", "random", "wmdd", "hard-label", "-2-epochs", "minus random real", "recovery"):
        assert word in out


def test_methods_seeds_and_ipc_can_be_added(
    colours: Path, tmp_path: Path, mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "who"
    start = ["--data", str(colours), "--methods", "random", "--ipc", "1", *QUICK, "--protocols", "wmdd"]
    assert main(["compare", str(folder), *start, "--seeds", "1"]) == 0
    (row,) = compared(folder)["rows"]
    assert row["top1_std"] is row["gain"] is None
    first = {path: path.stat().st_mtime_ns for path in folder.rglob("artifacts/**/*") if path.is_file()}
    assert main(["compare", str(folder), "--methods", str(mine), "--ipc", "2", "--seeds", "2", "-q"]) == 0
    assert {path: path.stat().st_mtime_ns for path in first} == first
    rows = [(row["method"], row["ipc"], row["seeds"]) for row in compared(folder)["rows"]]
    assert sorted(rows) == [(method, ipc, 2) for method in ("mine", "random") for ipc in (1, 2)]


def test_what_cannot_be_compared_is_refused(
    begun: Path, colours: Path, tmp_path: Path, mine: Path, refused: Refused
) -> None:
    new = ["compare", tmp_path / "who", "--data", colours, "-q"]
    refused([*new, "--methods", "herdin"], "no method 'herdin'", "herding")
    refused([*new, "--methods", "a,,b"], "--methods", "commas")
    refused([*new, "--methods", tmp_path / "none.yaml"], "none.yaml")
    refused([*new, "--ipc", "1,x"], "--ipc", "'x'")
    refused([*new, "--ipc", "0"], "--ipc", "at least 1")
    refused([*new, "--seeds", "-1"], "--seeds", "at least 1")
    (tmp_path / "all.yaml").write_text("teacher:\n  epochs: 3\n")
    refused([*new, "--methods", tmp_path / "all.yaml"], "all.yaml sets teacher", "barycenters and synthesis")
    (tmp_path / "all.yaml").write_text("synthesis:\n  seed: 7\n")
    refused([*new, "--methods", tmp_path / "all.yaml"], "all.yaml sets synthesis.seed", "each set's own")
    (tmp_path / "a b.yaml").write_text("synthesis:\n  steps: 3\n")
    refused([*new, "--methods", tmp_path / "a b.yaml"], "'a b'", "letters")
    (tmp_path / "mine.yaml").write_text("synthesis:\n  steps: 3\n")
    refused(["compare", begun, "--methods", tmp_path / "mine.yaml"], "another method 'mine'")
    refused(["compare", begun, "--teacher-epochs", "3"], "teacher.epochs was 2", "is 3 now", "new folder")
    refused(["compare", colours, "--methods", "random"], "something else than a comparison")


def test_what_one_set_cannot_be_is_refused_before_any_is_made(colours: Path, tmp_path: Path, refused: Refused) -> None:
    refused(["compare", tmp_path / "who", "--data", colours, "--ipc", "1,500", "-q"], "ipc is 500", "only 5")
    settings = tmp_path / "settings.yaml"
    settings.write_text("ipc: 3\n")
    refused(["compare", tmp_path / "who", "--data", colours, "--config", settings], "ipc is each set's own")


def test_two_methods_of_one_name_are_refused(colours: Path, tmp_path: Path, refused: Refused) -> None:
    for folder, steps in (("a", 1), ("b", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.yaml").write_text(f"synthesis:\n  steps: {steps}\n")
    words = ["compare", tmp_path / "who", "--data", colours, "--methods"]
    refused([*words, f"{tmp_path}/a/mine.yaml,{tmp_path}/b/mine.yaml"], "b/mine.yaml", "another name")
    (tmp_path / "random.yaml").write_text("synthesis:\n  steps: 1\n")
    refused([*words, tmp_path / "random.yaml"], "not the only method 'random'")


def test_killed_at_the_very_beginning_it_goes_on(colours: Path, tmp_path: Path) -> None:
    folder = tmp_path / "who"
    words = ["--data", str(colours), "--methods", "random", "--ipc", "1", "--seeds", "1", *QUICK]
    assert main(["compare", str(folder), *words, "--protocols", "wmdd"]) == 0
    (folder / "comparison.yaml").rename(folder / ".comparison.yaml.1.tmp")
    shutil.rmtree(folder / "sets")
    shutil.rmtree(folder / "report")
    (folder / "comparison.json").unlink()
    assert main(["compare", str(folder), *words, "--protocols", "wmdd"]) == 0
    assert len(compared(folder)["rows"]) == 1


def test_sets_of_another_teacher_are_refused_and_interrupted_ones_made_again(begun: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(begun, tmp_path / "who")
    lost = folder / "sets" / "herding" / "ipc-002" / "seed-0"
    shutil.rmtree(lost / "artifacts" / "synthesis")  # as an interrupted --redo synthesis leaves it
    for stage in ("relabel", "evaluation"):
        shutil.rmtree(lost / "artifacts" / stage)
    assert main(["compare", str(folder), "-q"]) == 0
    assert compared(folder)["scores"] == compared(begun)["scores"]
    assert main(["teacher", str(folder / "teacher"), "--redo", "teacher", "--teacher.lr", "0.01", "-q"]) == 0
    facts = json.loads((folder / "teacher" / "artifacts" / "teacher" / "teacher.json").read_text())
    assert (
        facts["sha256"]
        != json.loads((begun / "teacher" / "artifacts" / "teacher" / "teacher.json").read_text())["sha256"]
    )
    assert main(["compare", str(folder), "-q"]) == 2
    begun_with = read_comparison(folder)
    assert begun_with is not None
    write_table(folder, begun_with)
    assert compared(folder)["scores"] == []  # none is of the teacher that the table names


def test_a_damaged_comparison_is_refused(tmp_path: Path, refused: Refused) -> None:
    folder = tmp_path / "who"
    folder.mkdir()
    outside = "settings: {}\nmethods: {../x: {}}\nipc: [1]\nseeds: 1\n"
    zero = "settings: {}\nmethods: {random: {}}\nipc: [1]\nseeds: 0\n"
    for text in (
        "",
        "[",
        "[" * 9999,
        outside,
        zero,
        "settings: {}\n",
        "settings: {}\nmethods: {a: 3}\nipc: [1]\nseeds: 1\n",
    ):
        (folder / "comparison.yaml").write_text(text)
        refused(["compare", folder], "comparison.yaml is damaged")
    (folder / "comparison.yaml").write_text(
        "settings: {ipc: 1, evaluation: {size: 3}}\nmethods: {random: {}}\nipc: [1]\nseeds: 1\n"
    )
    refused(["compare", folder], "comparison.yaml", "another version of wmdd", "evaluation.size is not a setting")


def test_what_methods_have_for_themselves_is_not_shared(colours: Path, tmp_path: Path, refused: Refused) -> None:
    new = ["compare", tmp_path / "who", "--data", colours, "-q"]
    refused([*new, "--synthesis.lr", "0.05"], "synthesis.lr is method sre2l's own (0.25)", "0.05 would have no effect")
    # a value that is the default says no less what is wanted
    refused([*new, "--steps", "200", "--methods", "sre2l"], "synthesis.steps is method sre2l's own (4000)")
    refused([*new, "--synthesis.patch_grid", "2", "--methods", "wmdd"], "synthesis.patch_grid has no effect")
    refused([*new, "--steps", "9", "--methods", "herding"], "synthesis.steps has no effect on random, herding")
    refused([*new, "--solver", "exact", "--methods", "dm,mmd"], "barycenters.solver has no effect on random, dm, mmd")
    refused([*new, "--preset", "wmdd-noise"], "preset wmdd-noise says only how a set is made: name it among --methods")
    refused([*new, "--preset", "wmdd"], "preset wmdd says only how a set is made")
    refused(
        [*new, "--preset", "digits-ipc5"],
        "preset digits-ipc5 is digits with 5 images per class: give digits, and --ipc 5",
    )
    assert not (tmp_path / "who").exists()


def test_a_preset_of_a_method_lends_its_teacher_and_protocol_alone(tmp_path: Path) -> None:
    comparison = asked_for(tmp_path / "who", shared_settings("imagenette,wmdd-paper"), ["wmdd", "wmdd-paper"])
    configs = {member.method: comparison.config_of(member) for member in comparison.members()}
    assert configs["wmdd"].synthesis == SynthesisConfig(seed=2)
    assert (configs["wmdd-paper"].synthesis.init, configs["wmdd-paper"].barycenters.solver) == ("noise", "paper")
    assert {config.teacher.lr for config in configs.values()} == {0.025}
    assert comparison.shared.evaluation.protocols == ("wmdd-paper",)


def test_a_flag_of_the_methods_that_heed_it(tmp_path: Path) -> None:
    comparison = asked_for(tmp_path / "who", {"synthesis": {"patch_grid": 2}}, ["rded", "wmdd"])
    assert {comparison.config_of(member).synthesis.patch_grid for member in comparison.members()} == {2}


def test_the_baseline_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="'random' is what all are compared with"):
        asked_for(tmp_path / "who", {}, {"random": {"synthesis": {"steps": 3}}})


def test_a_new_comparison_has_every_protocol(tmp_path: Path) -> None:
    assert asked_for(tmp_path / "who", {}).shared.evaluation.protocols == tuple(PROTOCOLS)


def test_paths_mean_the_same_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    changes = {"data": {"source": "images", "root": "sets"}, "teacher": {"checkpoint": "best.pt"}}
    shared = asked_for(tmp_path / "who", changes).shared
    found = (shared.data.source, shared.data.root, shared.teacher.checkpoint)
    assert found == tuple(str(tmp_path.resolve() / name) for name in ("images", "sets", "best.pt"))


def test_a_set_that_cannot_be_made_keeps_no_other_from_being_made(
    colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "afar.yaml").write_text(
        "synthesis:\n  steps: 2\n  init: noise\n  feature: 1.0e+38\n  feature_loss: squared\n"
    )
    (tmp_path / "near.yaml").write_text("synthesis:\n  steps: 2\n")
    folder, methods = tmp_path / "who", f"{tmp_path}/afar.yaml,{tmp_path}/near.yaml"
    words = ["compare", str(folder), "--data", str(colours), "--methods", methods, "--ipc", "1", "--seeds", "1", *QUICK]
    for _ in range(2):
        assert main(words) == 2
        said = capsys.readouterr().err.splitlines()[-1]
        assert said.startswith(
            f"wmdd: 1 of 3 sets in {folder} could not be made, the others are done: sets/afar/ipc-001/"
        )
        assert said.endswith("To make one anew, remove its folder, and the same command goes on.")
        assert {row["method"] for row in compared(folder)["rows"]} == {"random", "near"}


def test_a_comparison_goes_on_where_another_precision_is_usual(
    colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "who"
    quick = [word for word in QUICK if word not in ("--runtime.precision", "float32")]
    monkeypatch.setattr("wmdd.pipeline.resolve.default_precision", lambda _: "float32")
    words = [
        "compare",
        str(folder),
        "--data",
        str(colours),
        "--methods",
        "random",
        "--ipc",
        "1",
        "--seeds",
        "1",
        *quick,
    ]
    assert main(words) == 0
    monkeypatch.setattr("wmdd.pipeline.resolve.default_precision", lambda _: "bfloat16")
    before = snapshot(folder / "teacher")
    for more in ([], ["--runtime.precision", "float32"]):
        assert main([*words[: -len(quick)], *quick, "--seeds", "2", *more]) == 0
    assert snapshot(folder / "teacher") == before
    assert compared(folder)["rows"][0]["seeds"] == 2


def test_memory_that_does_not_do_for_one_set_keeps_no_other_from_being_made(
    begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    folder, make = shutil.copytree(begun, tmp_path / "who"), compare._make

    def fail(run: RunDirectory, *more: Any) -> bool:
        if "herding/ipc-001/seed-0" in str(run.path):
            torch.empty(2**62, dtype=torch.uint8)  # torch has no type of its own for this
        return make(run, *more)

    monkeypatch.setattr(compare, "_make", fail)
    refused(["compare", folder, "-q"], "1 of 12 sets", "sets/herding/ipc-001/seed-0 (there was not enough memory")


def test_a_damaged_set_is_no_fault_of_those_made_before_its_turn(begun: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(begun, tmp_path / "who")
    shutil.rmtree(folder / "sets/random/ipc-001/seed-0")  # made first, when the table of all cannot be gathered
    next((folder / "sets/mine/ipc-002/seed-1/artifacts/relabel").glob("wmdd-*.safetensors")).unlink()
    assert main(["compare", str(folder), "-q"]) == 0
    assert compared(folder)["scores"] == compared(begun)["scores"]


def test_students_of_other_seeds_are_not_in_the_table(begun: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(begun, tmp_path / "who")
    assert main(["evaluate", str(folder / "sets/mine/ipc-001/seed-0"), "--seeds", "0,1", "-q"]) == 0
    assert main(["compare", str(folder), "-q"]) == 0
    assert compared(folder)["scores"] == compared(begun)["scores"]


def test_a_damaged_table_of_scores_is_gathered_again(begun: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(begun, tmp_path / "who")
    scores = folder / "sets" / "mine" / "ipc-002" / "seed-1" / "results.json"
    scores.write_text(scores.read_text()[:-40])
    assert main(["compare", str(folder), "-q"]) == 0
    assert compared(folder)["scores"] == compared(begun)["scores"]


def start(*words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "wmdd", "compare", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_methods_that_another_process_adds_meanwhile_stay(
    begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, make = shutil.copytree(begun, tmp_path / "who"), compare._make
    others = list[subprocess.Popen[str]]()

    def add(run: RunDirectory, *more: Any) -> bool:
        if not others:
            others.append(start(folder, "--methods", "k-center", "-q"))
            while "k-center" not in (folder / "comparison.yaml").read_text():
                assert others[0].poll() is None
                time.sleep(0.1)
        return make(run, *more)

    monkeypatch.setattr(compare, "_make", add)
    assert main(["compare", str(folder), "-q"]) == 0
    _, said = others[0].communicate(timeout=300)
    assert others[0].returncode == 0, said
    assert {row["method"] for row in compared(folder)["rows"]} == {"herding", "k-center", "mine", "random"}
    assert "k-center" in (folder / "comparison.yaml").read_text()


def test_processes_at_one_comparison_make_different_sets(
    begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, make = shutil.copytree(begun, tmp_path / "who"), compare._make
    shutil.rmtree(folder / "sets")
    others = list[subprocess.Popen[str]]()

    def make_second(run: RunDirectory, *more: Any) -> bool:
        """While this process is at its first set, the other one makes a set."""
        if not others:
            others.append(start(folder))
            while not list(folder.glob("sets/*/*/*/results.json")):
                assert others[0].poll() is None
                time.sleep(0.1)
        return make(run, *more)

    monkeypatch.setattr(compare, "_make", make_second)
    assert main(["compare", str(folder)]) == 0
    said = capsys.readouterr().err, others[0].communicate(timeout=300)[1]
    assert others[0].returncode == 0, said
    made = [text.count("synthesis: 1 of 1 unit(s) made") for text in said]
    assert min(made) > 0
    assert sum(made) == 3 * 2 * 2
    assert compared(folder)["scores"] == compared(begun)["scores"]
    assert not list(folder.rglob(".*"))


def test_a_comparison_that_vanishes_meanwhile_is_not_begun_anew(
    begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, make = shutil.copytree(begun, tmp_path / "who"), compare._make

    def vanish(run: RunDirectory, *more: Any) -> bool:
        made = make(run, *more)
        folder.rename(tmp_path / "elsewhere")
        return made

    monkeypatch.setattr(compare, "_make", vanish)
    assert main(["compare", str(folder), "-q"]) == 2
    assert f"{folder / 'teacher'} has vanished" in capsys.readouterr().err
    assert not folder.exists()
