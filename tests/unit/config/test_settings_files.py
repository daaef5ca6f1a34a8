"""Settings files and presets: misspelt keys and wrong values are refused in one sentence, presets resolve."""

import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from wmdd.config import PROTOCOLS, EvaluationConfig, RunConfig
from wmdd.config.data import DataConfig, default_folder
from wmdd.config.load import (
    Setting,
    dotted,
    merge,
    nested,
    parse,
    read_yaml,
    settings,
    to_values,
    to_yaml,
)
from wmdd.config.presets import presets, read_preset
from wmdd.core.errors import SettingsError
from wmdd.data import ImageSource, open_source
from wmdd.models import build_network
from wmdd.pipeline.resolve import resolve

ALL = list(settings())


@pytest.fixture(scope="module")
def digits() -> ImageSource:
    return open_source(DataConfig())


def test_the_defaults_are_those_of_no_settings() -> None:
    assert parse({}) == RunConfig()
    assert parse(read_preset("wmdd")) == RunConfig()


@pytest.mark.parametrize("name", presets())
def test_every_preset_parses_and_resolves(name: str, digits: ImageSource) -> None:
    values = read_preset(name)
    config = parse(values, name)
    given = {key: value for key, value in dotted(config).items() if key in _flat(values)}
    assert given == _flat(values)
    resolved = resolve(config, digits)
    assert "auto" not in [value for value in dotted(resolved).values() if isinstance(value, str)]
    assert "auto" not in resolved.evaluation.students
    assert resolve(resolved, digits) == resolved
    assert parse(to_values(resolved)) == resolved
    size, stem = resolved.data.image_size, resolved.teacher.stem
    assert isinstance(size, int)
    assert stem != "auto"
    build_network(resolved.teacher.arch, 10, size, stem)  # there is such a network, of such images


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: entry
        for section, below in values.items()
        for name, entry in (
            {f"{section}.{key}": entry for key, entry in below.items()} if isinstance(below, dict) else {section: below}
        ).items()
    }


def test_the_papers_preset_says_what_the_paper_says() -> None:
    config = parse(read_preset("wmdd-paper"))
    assert (config.synthesis.steps, config.synthesis.lr, config.synthesis.init) == (2000, 0.25, "noise")
    assert config.synthesis.weighted
    # lambda weighs the mean over the classes of a batch: ten of ten images, two of fifty, no more than there are
    weights = [config.synthesis.per_class(*of).statistics for of in ((10, 1), (10, 10), (10, 50), (200, 1), (200, 200))]
    assert weights == [1.0, 1.0, 5.0, 0.1, 10.0]
    # beside a cross-entropy, a mean over the batch as well, it stays what it is
    alone = replace(config.synthesis, feature=0.0, cross_entropy=1.0).per_class(10, 10)
    assert alone.statistics / alone.cross_entropy == pytest.approx(10)
    assert (config.barycenters.solver, config.barycenters.iterations) == ("paper", 10)
    assert (config.teacher.epochs, config.teacher.lr, config.teacher.batch_size) == (50, 0.025, 32)
    (protocol,) = config.evaluation.chosen_protocols(100)
    assert (protocol.epochs, protocol.batch_size, protocol.temperature, protocol.lr) == (300, 100, 20, 1e-3)
    assert protocol.cutmix
    assert protocol.weighted


@pytest.mark.parametrize(
    ("source", "name"),
    [("digits", "digits"), ("~/birds/", "birds"), ("hf:who/birds:small", "birds-small"), ("python:set-1a", "set-1a")],
)  # fmt: skip
def test_a_run_is_called_after_its_data(source: str, name: str) -> None:
    assert default_folder(source) == Path("runs") / name


def test_auto_follows_the_size_and_the_source(digits: ImageSource) -> None:
    small = resolve(RunConfig(), digits)
    assert (small.data.image_size, small.data.flip) == (32, False)
    assert (small.teacher.arch, small.teacher.stem, small.evaluation.students) == ("convnet3", "small", ("convnet3",))
    assert small.synthesis.group_size == 10  # ten classes of ten images fill a batch of 100
    large = resolve(
        parse(nested({"data.image_size": 96, "ipc": 50, "evaluation.students": ["auto", "resnet18"]})), digits
    )
    assert (large.teacher.arch, large.teacher.stem) == ("resnet18", "imagenet")
    assert large.evaluation.students == ("resnet18",)
    assert large.synthesis.group_size == 2


@pytest.mark.parametrize(("size", "grid"), [(64, 1), (65, 2)])
def test_small_images_are_one_patch(digits: ImageSource, size: int, grid: int) -> None:
    def resolved(**own: Any) -> Any:
        return resolve(parse({"data": {"image_size": size}, "synthesis": own}), digits).synthesis.patch_grid

    assert resolved(init="patches") == grid
    assert resolved(init="patches", patch_grid=3) == 3


@pytest.mark.parametrize(("size", "steps"), [(64, 200), (65, 1000)])
def test_larger_images_have_more_steps(digits: ImageSource, size: int, steps: int) -> None:
    def resolved(**own: Any) -> Any:
        return resolve(parse({"data": {"image_size": size}, "synthesis": own}), digits).synthesis.num_steps

    assert resolved() == steps
    assert resolved(steps=7) == 7
    assert resolved(steps=0) == 0


def test_more_images_than_a_class_has_are_refused(digits: ImageSource) -> None:
    fewest = int(digits.train.labels.bincount().min())
    resolve(parse({"ipc": fewest}), digits)
    with pytest.raises(SettingsError, match=f"ipc is {fewest + 1}, but class '.' has only {fewest} training images"):
        resolve(parse({"ipc": fewest + 1}), digits)


def test_no_preset_of_that_name() -> None:
    with pytest.raises(SettingsError, match=r"there is no preset 'wmd'.*wmdd-paper"):
        read_preset("wmd")


@pytest.mark.parametrize("setting", ALL, ids=lambda setting: setting.name)
def test_a_misspelt_key_is_refused_with_the_right_one(setting: Setting) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(nested({setting.name + setting.name[-1]: setting.default}), "here.yaml")
    assert str(caught.value) == (
        f"here.yaml: {setting.name}{setting.name[-1]} is not a setting; did you mean {setting.name}?"
    )


@pytest.mark.parametrize("section", [field.name for field in fields(RunConfig) if field.name not in ("ipc", "seed")])
def test_a_misspelt_section_is_refused_with_the_right_one(section: str) -> None:
    with pytest.raises(SettingsError, match=f"did you mean {section}"):
        parse({section[:-1]: {}})
    with pytest.raises(SettingsError, match=f"{section} must be a mapping"):
        parse({section: 3})
    with pytest.raises(SettingsError, match=f"{section}.zzz is not a setting; known here are"):
        parse({section: {"zzz": 1}})


@pytest.mark.parametrize("setting", ALL, ids=lambda setting: setting.name)
def test_a_value_of_the_wrong_kind_is_refused_by_name(setting: Setting) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(nested({setting.name: {"a": [1]}}))
    assert setting.name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ipc", 0),
        ("seed", -1),
        ("data.image_size", 4),
        ("data.validation", 1.0),
        ("teacher.lr", 0),
        ("teacher.momentum", 1),
        ("teacher.min_crop", 0),
        ("teacher.min_crop", 1.01),
        ("teacher.weight_decay", float("nan")),
        ("teacher.lr", float("inf")),
        ("synthesis.steps", -1),
        ("synthesis.jitter", 1.5),
        ("synthesis.init", "zeros"),
        ("barycenters.solver", "sinkhorn"),
        ("evaluation.protocols", ["imagenet"]),
        ("evaluation.protocols", []),
        ("evaluation.seeds", [1, 1]),
        ("evaluation.students", []),
        ("runtime.precision", "float16"),
        ("runtime.threads", 0),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=name):
        parse(nested({name: value}))


def test_contradicting_settings_are_refused() -> None:
    with pytest.raises(SettingsError, match="nesterov needs a"):
        parse(nested({"teacher.momentum": 0}))
    assert not parse(nested({"teacher.momentum": 0, "teacher.nesterov": False})).teacher.nesterov


def test_a_settings_file_comes_back(tmp_path: Path) -> None:
    config = parse(nested({"ipc": 3, "evaluation.seeds": [5, 6], "teacher.checkpoint": "run #3: ä/w.pt"}))
    (tmp_path / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
    assert parse(read_yaml(tmp_path / "config.yaml")) == config
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert read_yaml(tmp_path / "empty.yaml") == {}


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "cannot be read"), (b"a: [", "not YAML"), (b"\xff\xfe\x00", "not UTF-8"), (b"- 1\n", "mapping")],
)
def test_a_file_that_is_no_settings_file(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "config.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=says) as caught:
        read_yaml(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_merging_replaces_lists_and_joins_sections() -> None:
    base = {"ipc": 1, "evaluation": {"seeds": [0, 1], "epochs": 3}}
    merged = merge(base, {"evaluation": {"seeds": [7]}, "data": {"source": "x"}})
    assert merged == {"ipc": 1, "evaluation": {"seeds": [7], "epochs": 3}, "data": {"source": "x"}}
    assert base == {"ipc": 1, "evaluation": {"seeds": [0, 1], "epochs": 3}}


def test_the_recipe_from_noise_keeps_no_real_pixels() -> None:
    assert parse(read_preset("wmdd")).synthesis.real_pixels
    assert not parse(read_preset("wmdd-noise")).synthesis.real_pixels


def test_another_number_of_epochs_is_part_of_the_protocols_name() -> None:
    (named,) = EvaluationConfig(epochs=7).chosen_protocols(100)
    assert (named.name, named.epochs) == ("wmdd-7-epochs", 7)
    (same,) = EvaluationConfig(epochs=100).chosen_protocols(100)
    assert same == PROTOCOLS["wmdd"]


@pytest.mark.parametrize(("images", "epochs"), [(1, 500), (10, 500), (50, 167), (99, 100), (100, 100), (5000, 100)])
def test_few_images_are_shown_more_often(images: int, epochs: int) -> None:
    """A student under our protocol makes 500 steps at least; published numbers of epochs stay what they are."""
    ours, published = EvaluationConfig(protocols=("wmdd", "wmdd-paper")).chosen_protocols(images)
    assert (ours.name, ours.epochs) == ("wmdd", epochs)
    assert epochs * math.ceil(images / ours.batch_size) >= 500
    assert published == PROTOCOLS["wmdd-paper"]
