"""The page as a whole."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from statistics import mean, stdev

import pytest
from written_runs import WrittenRun

from wmdd.config import PROTOCOLS
from wmdd.core.errors import RunError, SettingsError
from wmdd.report import write_report
from wmdd.report.collect import read_run

NAMES = ["cat", "dog", "<script>alert(1)</script>", "a $\\frac{ name & 'another' that is long", "鳥\x07", "fish"]
VOID = {"meta", "input", "br", "link", "img", "hr"}


class Parsed(HTMLParser):
    """Checks that tags balance; keeps text and attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def page_of(run: WrittenRun) -> tuple[str, Parsed]:
    path = write_report(run.path)
    assert path == run.path / "report" / "index.html"
    html = path.read_text(encoding="utf-8")
    return html, Parsed(html)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> WrittenRun:
    return WrittenRun(tmp_path_factory.mktemp("runs") / "a <b>run", NAMES).finish()


@pytest.fixture(scope="module")
def page(finished: WrittenRun) -> tuple[str, Parsed]:
    return page_of(finished)


def test_it_needs_nothing_from_outside(page):
    html, parsed = page
    assert "://" not in html
    for tag, name, value in parsed.attributes:
        assert name != "src"
        if name in ("href", "xlink:href"):
            assert value.startswith("#"), (tag, value)
        assert not name.startswith("on")
    assert all(target.startswith(("data:image/png;base64,", "#")) for target in re.findall(r"url\(([^)]*)\)", html))
    assert "@import" not in html
    assert "script" not in parsed.tags


def test_ids_are_unique_and_every_reference_has_its_target(page):
    html, parsed = page
    ids = [value for _, name, value in parsed.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    targets = {value[1:] for _, name, value in parsed.attributes if name == "href"}
    targets |= set(re.findall(r"url\(#([^)]*)\)", html))
    assert targets <= set(ids)


def test_charts_take_their_colours_from_the_page(page):
    html, _ = page
    assert html.count("<svg") >= 10
    assert not re.findall(r"#01[0-9a-f]{2}fe", html)
    used = set(re.findall(r"var\(--(\w+)\)", html))
    defined = set(re.findall(r"--(\w+):", html))
    assert used <= defined


def test_names_are_text_and_never_markup(page):
    html, parsed = page
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script>alert(1)</script>" in parsed.text
    assert "a <b>run" in parsed.text
    assert "b" not in parsed.tags


@pytest.mark.parametrize("method", ["wmdd", "random-real"])
def test_numbers_are_those_of_the_scores(page, finished, method):
    offset = {"wmdd": 80.0, "random-real": 70.0}[method]
    top1 = [round(offset + 1.7 * seed + (seed % 2), 4) for seed in (0, 1, 2)]
    _, parsed = page
    assert parsed.text.replace("\xa0", " ").count(f"{mean(top1):.1f} ± {stdev(top1):.1f}") == 3
    top5 = [value + 15 for value in top1]
    assert f"{mean(top5):.1f} ± {stdev(top5):.1f}" in parsed.text


def test_it_says_what_was_done(page):
    _, parsed = page
    for text in (
        "6 classes · 1\u202f437 real training images → 18 synthetic images of 8 × 8 pixels",
        "79.8 times fewer",
        "The validation images were used only for scoring. The two students of each seed",
        "+10.0 (0.0)",
        "mean ± standard deviation over seeds; protocol wmdd",
        "Mean ± standard deviation over seeds (n − 1 in the denominator).",
        "Diamonds are means with their standard errors.",
        "soft labels, KL divergence at temperature 20, 500 epochs with batch size 20, AdamW with learning rate 0.002 "
        "and weight decay 0.01, warm-up over 10 % of the steps, cosine decay to 0, "
        "crops of at least 8 % of the area, CutMix.",
        "These images start from real training images and stay close to them.",
        "6 of 6 classes converged, mean cost 1.5 (on average 37.5\xa0% of the class's variance).",
        "Cost by images per class",
        "Diamonds are this run: 3 images per class, solver uniform .",
        "Each iteration solves for an exact transport plan, then updates the atoms.",
        "f" * 64,
        "a" * 64,
        "wmdd run RUN --config",
        "python\xa03.11.7, wmdd\xa00.1.0",
        "a machine",
        "1.2 GB",
        "1 min 15 s",
        "97.8",
        "10.3",
    ):
        assert " ".join(text.split()) in parsed.text, text
    assert "unfinished" not in parsed.text


def test_settings_are_marked(page):
    html, _ = page
    assert re.search(r'<tr class="changed"><td><code>ipc</code></td><td>3', html)
    assert re.search(r"<tr><td><code>teacher.arch</code></td><td>convnet3</td>\s*<td>auto</td>", html)
    assert re.search(r"<tr><td><code>seed</code></td><td>0", html)


def test_the_page_is_replaced_and_the_same_again(finished, page):
    assert page_of(finished)[0] == page[0]
    assert [path.name for path in (finished.path / "report").iterdir()] == ["index.html"]


# --- other runs -------------------------------------------------------------------------------------------------------


def test_a_run_that_has_only_begun(tmp_path):
    _, parsed = page_of(WrittenRun(tmp_path / "run", ["a", "b"]))
    assert "This run is unfinished. Still to do: teacher (0 of 1 network), statistics (0 of 2 classes)" in parsed.text
    assert "resumes it" in parsed.text


def test_a_run_without_a_manifest(tmp_path):
    run = WrittenRun(tmp_path / "run", ["a", "b"])
    (run.path / "manifest.json").unlink()
    _, parsed = page_of(run)
    assert "3 synthetic images per class of 8 × 8 pixels" in parsed.text


def test_a_run_with_a_teacher(tmp_path):
    run = WrittenRun(tmp_path / "run", ["a", "b"])
    run.teacher(trained=False)
    _, parsed = page_of(run)
    assert "97.8" in parsed.text
    assert "teacher, pretrained weights" in parsed.text
    assert "evaluation (0 of 6 students)" in parsed.text


def test_a_run_stopped_after_statistics(tmp_path):
    run = WrittenRun(tmp_path / "run", ["a", "b"])
    run.teacher()
    run.statistics()
    html, parsed = page_of(run)
    assert "Feature space" in parsed.text
    assert "synthesis (0 of 2 classes)" in parsed.text
    assert 'id="images"' not in html


def test_a_run_stopped_amid_synthesis(tmp_path):
    run = WrittenRun(tmp_path / "run", ["a", "b", "c", "d"], per_group=2, **{"synthesis.init": "noise"})
    run.teacher()
    run.statistics()
    run.barycenters()
    run.synthesis(groups=1)
    html, parsed = page_of(run)
    assert html.count("--sheet:url(") == 2
    assert "synthesis (2 of 4 classes)" in parsed.text
    assert "start from noise and contain no real pixels" in parsed.text
    assert "none not generated" in parsed.text
    assert "1 437 → 12 120 times fewer" in parsed.text


def test_classes_whose_images_are_alike_have_no_curve(tmp_path):
    run = WrittenRun(tmp_path / "run", ["a", "b"], per_group=1)
    run.teacher()
    run.statistics()
    run.barycenters(alike=True)
    _, parsed = page_of(run)
    assert "2 of 2 classes converged, mean cost 1." in parsed.text
    assert "Cost by iteration" in parsed.text
    assert "variance" not in parsed.text.partition("Barycenters Solver")[2].partition("Time and memory")[0]


def test_a_single_seed_has_no_standard_deviation(tmp_path):
    run = WrittenRun(tmp_path / "run", ["a", "b"], **{"evaluation.seeds": [4], "evaluation.labels": "online"})
    run.teacher()
    run.statistics()
    run.barycenters()
    run.synthesis()
    run.evaluation()
    _, parsed = page_of(run)
    assert "6 images, 1 seed " in parsed.text
    assert "±" not in parsed.text
    assert "standard deviation" not in parsed.text
    assert "standard error" not in parsed.text
    assert "over seeds" not in parsed.text
    assert "Diamonds are means." in parsed.text
    assert "generated on the fly by the teacher" in parsed.text
    assert "not needed" in parsed.text
    assert "Top-5 accuracy is meaningless" in parsed.text
    assert "unfinished" not in parsed.text


def test_the_kept_labels_are_told_by_their_form(tmp_path):
    _, parsed = page_of(WrittenRun(tmp_path / "stored", ["a", "b"]).finish())
    assert "every view, all protocols" in parsed.text
    _, parsed = page_of(WrittenRun(tmp_path / "compact", ["a", "b"], **{"evaluation.labels": "compact"}).finish())
    assert "a third of the views, four bits per class, all protocols" in parsed.text


def test_only_random_real_images_scored_so_far(tmp_path):
    run = WrittenRun(tmp_path / "run", ["a", "b"])
    run.teacher()
    run.student(PROTOCOLS["wmdd"], "random-real", "convnet3", 0, 70.0)
    html, parsed = page_of(run)
    assert "distilled minus random real" not in parsed.text
    assert 'class="result"' not in html


def test_several_protocols_and_students(tmp_path):
    chosen = {"evaluation.protocols": ["hard-label", "wmdd"], "evaluation.students": ["resnet18", "convnet3"]}
    run = WrittenRun(tmp_path / "run", ["a", "b"], **chosen, **{"evaluation.epochs": 5, "synthesis.steps": 0}).finish()
    _, parsed = page_of(run)
    groups = re.findall(r"([\w-]+-5-epochs) , student (\w+)", parsed.text)
    wanted = [(f"{p}-5-epochs", s) for p in ("hard-label", "wmdd") for s in ("resnet18", "convnet3")]
    assert groups[: 1 + len(wanted)] == [wanted[0], *wanted]  # first below the headline
    assert "hard labels, cross-entropy, 5 epochs with batch size 100" in parsed.text
    assert "These images are real training images:" in parsed.text


def test_a_run_whose_teacher_is_gone(tmp_path):
    run = WrittenRun(tmp_path / "run", ["a", "b"]).finish()
    (run.path / "artifacts/teacher/units/teacher.json").unlink()  # as after a kill amid a discard
    html, parsed = page_of(run)
    assert "Still to do: teacher (0 of 1 network)." in parsed.text
    assert "Feature space" in parsed.text
    assert not any(f'id="{part}"' in html for part in ("scores", "images", "classes"))
    assert 'class="result"' not in html
    (run.path / "manifest.json").unlink()
    with pytest.raises(RunError, match="covers class 1, but names only 0 classes: `wmdd run"):
        write_report(run.path)


def test_a_run_whose_images_are_gone_counts_those_that_students_had(tmp_path):
    run = WrittenRun(tmp_path / "run", ["a", "b"]).finish()
    (run.path / "artifacts/synthesis/units/group-000.json").unlink()
    _, parsed = page_of(run)
    assert "trained on 6 distilled images" in parsed.text
    assert "6 images, 3 seeds" in parsed.text


def test_only_what_is_still_wanted_counts_as_done(tmp_path):
    run = WrittenRun(tmp_path / "run", ["a", "b"]).finish()
    run.configure(**{"evaluation.random_real": False, "evaluation.seeds": [0, 1, 2, 3, 4, 5]})
    _, parsed = page_of(run)
    assert "Still to do: evaluation (3 of 6 students)." in parsed.text
    progress = {stage.stage: (stage.done, stage.expected) for stage in read_run(run.path).progress}
    assert progress["relabel"] == (500, 500)
    run.configure(**{"evaluation.seeds": [1, 2, 3]})
    progress = {stage.stage: (stage.done, stage.expected) for stage in read_run(run.path).progress}
    assert progress["relabel"] == (1500, 2000)
    assert progress["evaluation"] == (4, 6)


def test_the_headline_is_of_the_protocol_that_is_asked_for(tmp_path):
    run = WrittenRun(tmp_path / "run", ["a", "b"], **{"evaluation.seeds": [0]}).finish()
    run.configure(**{"evaluation.seeds": [0], "evaluation.epochs": 1000})
    (longer,) = run.protocols()
    run.student(longer, "wmdd", "convnet3", 0, 91.2)
    html, parsed = page_of(run)
    assert "distilled images reaches 91.2" in parsed.text.replace("\xa0", " ")
    assert "protocol wmdd-1000-epochs , student convnet3" in parsed.text
    assert html.index("wmdd-1000-epochs</code>, student") < html.index("<code>wmdd</code>, student")


@pytest.mark.parametrize(
    ("settings", "by_barycenters"),
    [
        ({}, True),
        ({"synthesis.init": "noise", "synthesis.feature": 0.0}, False),
        ({"synthesis.init": "random", "synthesis.steps": 0}, False),
    ],
)
def test_only_runs_that_follow_atoms_are_by_barycenters(tmp_path, settings, by_barycenters):
    _, parsed = page_of(WrittenRun(tmp_path / "run", ["a", "b"], **settings))
    assert "Dataset distillation" in parsed.text
    assert ("by Wasserstein barycenters" in parsed.text) == by_barycenters


@pytest.mark.parametrize(
    ("grid", "steps", "says"),
    [
        (1, 0, "These images are crops of real training images: there were no"),
        (2, 0, "These images are mosaics stitched from crops of real training images: there were no"),
        (2, 9, "These images start from mosaics stitched from crops of real training images and stay"),
    ],
)
def test_stitched_images_are_called_so(tmp_path, grid, steps, says):
    settings = {"synthesis.init": "patches", "synthesis.patch_grid": grid, "synthesis.steps": steps}
    run = WrittenRun(tmp_path / "run", ["a", "b"], **settings)
    run.teacher()
    run.synthesis()
    _, parsed = page_of(run)
    assert says in parsed.text


def test_twelve_classes(tmp_path):
    _, parsed = page_of(WrittenRun(tmp_path / "run", [f"kind {k}" for k in range(12)], per_group=5).finish())
    assert "Showing 10 of 12 classes, evenly spaced." in parsed.text
    assert "kind 11" in parsed.text


def test_many_classes_of_incompressible_images_stay_small(tmp_path):
    run = WrittenRun(tmp_path / "run", [f"kind {k}" for k in range(60)], side=96, ipc=10)
    html, parsed = page_of(run.finish())
    assert len(html.encode()) < 15_000_000
    assert html.count("--sheet:url(") == 60
    assert "Showing 240 of 600 images, from 60 of 60 classes." in parsed.text
    assert "scaled down from 96 to 72 pixels" in parsed.text


@pytest.mark.parametrize("make", ["absent", "empty", "foreign", "file"])
def test_what_is_not_a_run_is_refused(tmp_path, make):
    path = tmp_path / "place"
    if make == "file":
        path.write_text("x")
    elif make != "absent":
        path.mkdir()
    if make == "foreign":
        (path / "notes.txt").write_text("x")
    with pytest.raises(RunError, match="there is no run in"):
        write_report(path)
    assert not (path / "report").exists()


def test_damaged_files_are_named(tmp_path):
    run = WrittenRun(tmp_path / "run", ["a", "b"]).finish()
    score = next((run.path / "artifacts/evaluation").glob("*.json"))
    statistics = run.path / "artifacts/statistics/group-000.safetensors"
    image = run.path / "artifacts/synthesis/group-000/class-0001/002.png"
    record = run.path / "artifacts/statistics/units/group-000.json"
    for path, content in (
        (score, "{}"),
        (statistics, "torn"),
        (image, "torn"),
        (record, '{"name": "group-000"}'),
        (record, "[1"),
    ):
        kept = path.read_bytes()
        path.write_text(content)
        with pytest.raises(RunError, match=re.escape(str(path))):
            write_report(run.path)
        path.write_bytes(kept)
    facts = run.path / "artifacts/teacher/teacher.json"
    kept = facts.read_text()
    facts.write_text(kept.replace("stem_is", "stem_was"))
    with pytest.raises(RunError, match=f"{re.escape(str(facts))} does not say the teacher's stem_is"):
        write_report(run.path)
    facts.write_text(kept)
    (run.path / "config.yaml").write_text("ipcc: 3")
    with pytest.raises(SettingsError, match="ipc"):
        write_report(run.path)


def test_records_that_name_files_outside_are_refused(tmp_path):
    run = WrittenRun(tmp_path / "run", ["a", "b"])
    run.record("evaluation", "bad", ["../../../secret.json"], {})
    with pytest.raises(RunError, match="outside itself"):
        write_report(run.path)


def test_torch_is_not_imported(finished):
    code = (
        "import sys; from pathlib import Path; from wmdd.report import write_report; "
        "write_report(Path(sys.argv[1])); sys.exit('torch' in sys.modules or 'matplotlib.pyplot' in sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code, str(finished.path)], check=True, timeout=120)
