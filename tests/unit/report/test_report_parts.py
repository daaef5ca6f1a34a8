"""Curves, scores, features, images and charts by themselves."""

import base64
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from written_runs import WrittenRun

from wmdd.config import EvaluationConfig, RunConfig
from wmdd.report import figures
from wmdd.report.collect import Barycenters, Score, read_run
from wmdd.report.curves import Curve, band, read_curves, thinned
from wmdd.report.gallery import build_gallery, png_uri, strip
from wmdd.report.page import count
from wmdd.report.plane import _principal_axes, project, spread_out
from wmdd.report.scores import comparisons
from wmdd.report.svg import chart, plain
from wmdd.storage.images import write_png


def lines(path, *values):
    path.write_text("".join(v if isinstance(v, str) else json.dumps(v) + "\n" for v in values), encoding="utf-8")
    return path


def line(step, loss, unit="u", **more):
    return {"stage": "teacher", "unit": unit, "step": step, "of": 9, "loss": loss, **more}


# --- curves -----------------------------------------------------------------------------------------------------------


def test_the_last_line_of_a_repeated_step_counts(tmp_path):
    path = lines(tmp_path / "m", line(1, 9.0), line(2, 8.0), line(2, 7.0), line(3, 6.0))
    (curve,) = read_curves(path)
    assert curve.steps.tolist() == [1, 2, 3]
    assert curve.values["loss"].tolist() == [9, 7, 6]


def test_a_unit_that_is_redone_forgets_its_earlier_life(tmp_path):
    (curve,) = read_curves(lines(tmp_path / "m", line(1, 9.0), line(4, 8.0), line(6, 7.0), line(2, 5.0), line(5, 4.0)))
    assert curve.steps.tolist() == [1, 2, 5]
    assert curve.values["loss"].tolist() == [9, 5, 4]


def test_a_stage_that_was_discarded_is_forgotten(tmp_path):
    gone = {"stage": "teacher", "discarded": True}
    (curve,) = read_curves(lines(tmp_path / "m", line(1, 9.0, "old"), line(5, 8.0), gone, line(1, 2.0), line(2, 1.0)))
    assert (curve.unit, curve.values["loss"].tolist()) == ("u", [2, 1])


def test_torn_and_foreign_lines_are_passed_over(tmp_path):
    path = lines(
        tmp_path / "m",
        line(1, 9.0),
        '{"stage": "teac\n',
        "12\n",
        '{"stage": "x"}\n',
        line(2, "?"),
        line(3, 5.0),
        '{"st',
    )
    (curve,) = read_curves(path)
    assert curve.steps.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(curve.values["loss"], [9, np.nan, 5])


def test_units_are_apart_and_values_may_be_lacking(tmp_path):
    first, second = read_curves(lines(tmp_path / "m", line(1, 9.0), line(1, 2.0, "v"), line(2, 8.0, accuracy=50.0)))
    assert (first.unit, second.unit) == ("u", "v")
    np.testing.assert_array_equal(first.values["accuracy"], [np.nan, 50])
    assert read_curves(tmp_path / "absent") == []


def test_long_curves_are_averaged():
    steps = np.arange(1000.0)
    thin_steps, thin = thinned(steps, 2 * steps, points=10)
    assert len(thin) == 10
    np.testing.assert_allclose(thin, 2 * thin_steps)
    np.testing.assert_allclose(thin.mean(), 2 * steps.mean())


def test_a_band_is_mean_and_range():
    one, two = (Curve("s", "u", np.array([1.0, 2.0, 3.0]), {"loss": np.array(v)}) for v in ([1.0, 2, 3], [3.0, 4, 5]))
    short = Curve("s", "u", np.array([1.0]), {"loss": np.array([2.0])})
    found = band([one, two, short, Curve("s", "u", np.array([1.0]), {})], "loss")
    np.testing.assert_allclose(found.mean, [2, 3, 4])
    np.testing.assert_allclose(found.low, [1, 2, 3])
    np.testing.assert_allclose(found.high, [3, 4, 5])


def test_a_band_goes_as_far_as_the_curve_that_came_farthest():
    slow = Curve("s", "u", np.arange(1.0, 6), {"loss": np.full(5, 4.0)})  # more lines, fewer steps
    done = Curve("s", "u", np.array([1.0, 5.0, 10.0]), {"loss": np.array([2.0, 2.0, 1.0])})
    found = band([slow, done], "loss")
    np.testing.assert_allclose(found.steps, [1, 5, 10])
    np.testing.assert_allclose(found.mean, [3, 3, 1])


# --- scores -----------------------------------------------------------------------------------------------------------


def score(method, seed, top1, student="convnet3", protocol="wmdd"):
    return Score(protocol, method, student, seed, top1, 100.0, (top1, top1 - 2), {})


def test_pairs_are_of_the_same_seed():
    (group,) = comparisons(
        [score("wmdd", 0, 80.0), score("wmdd", 1, 84.0), score("random-real", 1, 80.0), score("random-real", 0, 78.0)],
        RunConfig(),
        2,
    )
    assert group.methods == ["wmdd", "random-real"]
    assert group.differences == {0: 2.0, 1: 4.0}
    assert group.gain is not None
    assert group.gain.mean == pytest.approx(3)
    assert group.gain.error == pytest.approx(1)
    assert group.per_class("wmdd") == [82, 80]


def test_groups_that_the_settings_do_not_name_come_last():
    groups = comparisons(
        [
            score("other", 0, 1.0, protocol="old"),
            score("wmdd", 0, 1.0, "auto", "wmdd-5-epochs"),
            score("other", 0, 1.0),
        ],
        RunConfig(),
        2,
    )
    assert [(g.protocol, g.student) for g in groups] == [
        ("wmdd", "convnet3"),
        ("wmdd-5-epochs", "auto"),
        ("old", "convnet3"),
    ]
    assert groups[-1].gain is None
    assert groups[-1].methods == ["other"]


def test_another_number_of_epochs_than_is_asked_for_comes_after_it():
    scores = [score("wmdd", 0, 1.0, protocol=name) for name in ("wmdd", "wmdd-5-epochs", "wmdd-1000-epochs")]
    config = RunConfig(evaluation=EvaluationConfig(epochs=1000))
    groups = comparisons(scores, config, 2)
    assert [group.protocol for group in groups] == ["wmdd-1000-epochs", "wmdd", "wmdd-5-epochs"]


# --- features and images ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 5, 15])
def test_few_points_in_a_wide_space_have_the_same_axes(count):
    points = np.random.default_rng(0).normal(size=(count, 64)) * np.linspace(1, 3, 64)
    centred = points - points.mean(axis=0)
    spread, axes = _principal_axes(centred)
    wanted, their_axes = np.linalg.eigh(np.cov(centred, rowvar=False))
    assert spread[:2] == pytest.approx(wanted[:-3:-1], abs=1e-9)
    assert abs(axes[:, 0] @ their_axes[:, -1]) == pytest.approx(1)
    assert axes[:, :2].T @ axes[:, :2] == pytest.approx(np.eye(2), abs=1e-9)


def test_the_plane_keeps_distances_of_plane_points(tmp_path):
    run = WrittenRun(tmp_path / "run", ["a", "b", "c"])
    run.statistics(width=2)
    run.barycenters(width=2)
    run.synthesis(width=2)
    plane = project(read_run(run.path))
    assert plane is not None
    assert sum(plane.explained) == pytest.approx(1)
    assert plane.explained[0] >= plane.explained[1]
    assert [points.k for points in plane.classes] == [0, 1, 2]
    real = np.concatenate([points.real for points in plane.classes])
    assert real.shape == (21, 2)
    np.testing.assert_allclose(real.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(np.cov(real, rowvar=False)[0, 1], 0, atol=1e-9)
    assert plane.classes[1].atoms.shape == plane.classes[1].synthetic.shape == (3, 2)


def test_classes_are_spread_out():
    assert spread_out([1, 2, 3], 5) == [1, 2, 3]
    assert spread_out(list(range(100)), 10) == [0, 11, 22, 33, 44, 55, 66, 77, 88, 99]


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_a_strip_has_one_image_of_ten_classes_whatever_their_channels(channels, tmp_path):
    assert strip(tmp_path) is None
    for k in range(12):
        folder = tmp_path / "artifacts" / "synthesis" / "group-0" / f"class-{k:03d}"
        folder.mkdir(parents=True)
        for i in (0, 1):
            write_png(folder / f"{i:03d}.png", torch.full((channels, 120, 120), 10 * k + i, dtype=torch.uint8))
    found = strip(tmp_path)  # every second class, 96 px each
    assert found.shape == (96, 6 * 96, 3)
    assert found[0, ::96, 0].tolist() == [0, 20, 40, 60, 80, 100]


@pytest.mark.parametrize("grey", [False, True])
def test_a_sheet_holds_the_images_themselves(tmp_path, grey):
    run = WrittenRun(tmp_path / "run", ["a", "b"])
    run.teacher()
    run.synthesis(grey=grey)
    gallery = build_gallery(read_run(run.path))
    assert gallery is not None
    assert gallery.look == "small pixels narrow"
    assert (gallery.shown, gallery.total) == (6, 6)
    with Image.open(io.BytesIO(base64.b64decode(gallery.sheets[1].uri.split(",", 1)[1]))) as sheet:
        assert sheet.mode == ("L" if grey else "RGB")
        pixels = np.asarray(sheet.convert("RGB"))
    assert pixels.shape == (16, 24, 3)
    for j in range(3):
        with Image.open(run.path / f"artifacts/synthesis/group-000/class-0001/{j:03d}.png") as image:
            np.testing.assert_array_equal(pixels[:8, 8 * j : 8 * j + 8], np.asarray(image))
            np.testing.assert_array_equal(pixels[8:, 8 * j : 8 * j + 8], np.asarray(image))


def test_pixels_survive():
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    with Image.open(io.BytesIO(base64.b64decode(png_uri(pixels).split(",", 1)[1]))) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)


# --- charts -----------------------------------------------------------------------------------------------------------


def test_a_chart_is_one_element_without_foreign_addresses():
    svg = chart("a <chart>", lambda axes: axes.set_title("x < $y$ & \x00z".replace("\x00", "")) and None)
    assert svg.startswith("<svg ")
    assert "http" not in svg
    assert "a &lt;chart&gt;" in svg
    assert "x &lt; $y$ &amp; z" in svg
    assert "font-family" not in svg


def test_names_in_charts_are_short_and_printable():
    assert plain("a\x00b") == "a\ufffdb"
    assert plain("a" * 30, 10) == "a" * 9 + "…"


def barycenters_of(count, histories, curve_cost):
    return Barycenters(
        tuple(range(count)),
        np.linspace(1, 2, count),
        np.ones(count),
        np.ones(count, dtype=bool),
        np.ones((count, 2)) / 2,
        tuple(map(np.array, histories)),
        np.array([1, 2, 5])[: curve_cost.shape[1]],
        curve_cost,
        "exact",
    )


def test_many_classes_become_distributions():
    count, rng = 60, np.random.default_rng(0)
    names = [f"kind {k}" for k in range(count)]
    found = barycenters_of(count, rng.random((count, 4)), np.array([[4.0, 2.0, 1.0]] * count))
    for chart_of in (figures.ipc_chart, figures.history_chart):
        svg = chart_of(found, names) or ""
        assert "kind" not in svg
        assert ">median class<" in svg
        assert "% of the class's variance" in svg
    assert "kind" not in figures.cost_chart(found, names)
    assert "kind" not in figures.classes_chart([("teacher", "teacher", rng.random(count))], names)


def test_few_classes_are_named_beside_what_is_left_of_their_variance():
    found = barycenters_of(2, [[5.0, 1.0], [2.0]], np.array([[4.0, 2.0, np.nan], [8.0, 2.0, np.nan]]))
    np.testing.assert_allclose(found.left, [25, 25])
    assert found.ipc == 2
    svg = figures.ipc_chart(found, ["ant", "bee"]) or ""
    for text in (">ant<", ">bee<", ">this run: 2<", ">images per class<", ">100<"):
        assert text in svg
    assert ">5<" not in svg  # no class is so large
    assert ">125<" not in svg
    assert ">120<" in (figures.history_chart(found, ["ant", "bee"]) or "")


def test_what_is_not_known_is_not_drawn():
    found = barycenters_of(1, [[]], np.zeros((1, 2)))
    assert np.isnan(found.left).all()
    assert figures.ipc_chart(found, ["ant"]) is None
    assert figures.history_chart(found, ["ant"]) is None
    alike = barycenters_of(2, [[3.0, 1.0], [0.0]], np.array([[4.0, 2.0], [0.0, 0.0]]))
    np.testing.assert_array_equal(alike.left, [25, np.nan])
    assert ">ant<" in (figures.ipc_chart(alike, ["ant", "bee"]) or "")
    assert ">cost<" in (figures.history_chart(alike, ["ant", "bee"]) or "")


def test_curves_without_measurements_have_no_chart():
    curve = Curve("s", "wmdd/wmdd/convnet3/seed-0", np.array([1.0]), {"loss": np.array([np.nan])})
    assert figures.teacher_charts(curve) == []
    assert figures.synthesis_charts([curve]) == []
    (group,) = comparisons([score("wmdd", 0, 80.0)], RunConfig(), 2)
    assert figures.students_charts(group, [curve]) == []


def test_losses_over_several_magnitudes_are_drawn_on_a_logarithmic_axis():
    curve = Curve("s", "wmdd/wmdd/convnet3/seed-0", np.arange(4.0), {"loss": 10.0 ** -np.arange(4.0)})
    ((_, svg),) = figures.teacher_charts(curve)
    assert ">0.01</text>" in svg
    assert "mathdefault" not in svg


def test_chance_is_drawn_where_scores_come_near_it():
    (group,) = comparisons([score("wmdd", 0, 14.0), score("random-real", 0, 12.0), score("x", 0, 11.0)], RunConfig(), 2)
    assert ">chance<" in figures.seeds_chart([group], 20.0, 10.0)
    assert ">chance<" not in figures.seeds_chart(comparisons([score("wmdd", 0, 94.0)], RunConfig(), 2), 97.0, 10.0)


# --- words ------------------------------------------------------------------------------------------------------------


def test_numbers_for_people():
    assert count(1234567) == "1\u202f234\u202f567"
