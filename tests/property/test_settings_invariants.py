"""Settings: any valid ones survive YAML, and no unknown key gets through."""

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wmdd.config import PROTOCOLS, RunConfig
from wmdd.config.load import dotted, merge, nested, parse, read_yaml, to_values, to_yaml
from wmdd.config.load import settings as all_settings
from wmdd.core.errors import SettingsError
from wmdd.storage.atomic import write_text

QUICK = settings(deadline=None, max_examples=40)
COUNTS = st.integers(1, 10**6)
NATURALS = st.integers(0, 2**40)
POSITIVES = st.floats(1e-300, 1e300)
SHARES = st.floats(1e-9, 1)
NAMES = st.text(min_size=1, max_size=12)


def several(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, min_size=1, max_size=4, unique=True)


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "ipc": COUNTS,
    "seed": NATURALS,
    "data.source": st.text(max_size=30),
    "data.image_size": st.one_of(st.just("auto"), st.integers(8, 4096)),
    "data.channels": st.one_of(st.just("auto"), st.integers(1, 16)),
    "data.validation": st.floats(0.001, 0.999),
    "data.split_seed": NATURALS,
    "data.flip": st.one_of(st.just("auto"), st.booleans()),
    "data.convert": st.booleans(),
    "data.memory_gb": st.floats(0, 1e6),
    "data.workers": st.integers(0, 256),
    "data.root": st.text(max_size=30),
    "data.download": st.booleans(),
    "teacher.arch": NAMES,
    "teacher.stem": st.sampled_from(["auto", "small", "imagenet"]),
    "teacher.checkpoint": st.one_of(st.none(), NAMES),
    "teacher.pretrained": st.booleans(),
    "teacher.epochs": COUNTS,
    "teacher.batch_size": COUNTS,
    "teacher.lr": POSITIVES,
    "teacher.momentum": st.floats(0.001, 0.999),
    "teacher.nesterov": st.booleans(),
    "teacher.weight_decay": st.floats(0, 1e300),
    "teacher.warmup": st.floats(0, 0.999),
    "teacher.min_crop": SHARES,
    "barycenters.solver": st.sampled_from(["exact", "uniform", "paper"]),
    "barycenters.restarts": COUNTS,
    "barycenters.iterations": COUNTS,
    "synthesis.init": st.sampled_from(["real", "random", "herding", "k-center", "patches", "noise"]),
    "synthesis.patch_grid": st.sampled_from(["auto", 1, 2, 3]),
    "synthesis.seed": st.one_of(st.just("auto"), NATURALS),
    "synthesis.steps": st.one_of(st.just("auto"), st.integers(0, 10**6)),
    "synthesis.lr": POSITIVES,
    "synthesis.feature": POSITIVES,
    "synthesis.feature_loss": st.sampled_from(
        ["squared", "norm", "wasserstein", "sinkhorn", "sliced", "mmd-gaussian", "mmd-energy", "mmd-linear"]
    ),
    "synthesis.statistics": st.floats(0, 1e300),
    "synthesis.statistics_per": st.sampled_from(["class", "batch"]),
    "synthesis.statistics_of": st.sampled_from(["class", "all"]),
    "synthesis.statistics_loss": st.sampled_from(["squared", "norm", "relative"]),
    "synthesis.weighted": st.booleans(),
    "synthesis.cross_entropy": st.floats(0, 1e300),
    "synthesis.min_crop": SHARES,
    "synthesis.min_crop_start": st.none() | SHARES,
    "synthesis.crop_per_image": st.booleans(),
    "synthesis.jitter": st.floats(0, 1),
    "synthesis.batch_size": COUNTS,
    "synthesis.group_size": st.one_of(st.just("auto"), COUNTS),
    "evaluation.protocols": several(st.sampled_from(sorted(PROTOCOLS))),
    "evaluation.students": several(NAMES),
    "evaluation.seeds": several(NATURALS),
    "evaluation.random_real": st.booleans(),
    "evaluation.epochs": st.one_of(st.none(), COUNTS),
    "evaluation.labels": st.sampled_from(["stored", "compact", "online"]),
    "runtime.device": NAMES,
    "runtime.precision": st.sampled_from(["auto", "float64", "float32", "bfloat16"]),
    "runtime.threads": st.one_of(st.just("auto"), st.integers(1, 1024)),
    "runtime.batch_size": COUNTS,
}
SOME = st.fixed_dictionaries({}, optional=VALUES)


def test_every_setting_is_drawn_here() -> None:
    assert list(VALUES) == [setting.name for setting in all_settings()]


@given(values=SOME)
@example(values={"data.source": "a\x85b\u2028\u2029 ünï", "runtime.device": "\x85"})
@QUICK
def test_settings_survive_yaml(tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]) -> None:
    config = parse(nested(values))
    assert {name: value for name, value in dotted(config).items() if name in values} == values
    file = tmp_path_factory.getbasetemp() / "settings.yaml"
    write_text(file, to_yaml(config))
    assert parse(read_yaml(file)) == config
    assert parse(to_values(config)) == config
    assert parse(nested(dotted(config))) == config


@given(base=SOME, changes=SOME)
@QUICK
def test_later_settings_win_and_the_others_stay(base: dict[str, Any], changes: dict[str, Any]) -> None:
    assert parse(merge(nested(base), nested(changes))) == parse(nested({**base, **changes}))


@given(
    section=st.sampled_from(["", *(field.name for field in fields(RunConfig) if field.name not in ("ipc", "seed"))]),
    key=st.text(max_size=12),
    value=st.one_of(st.none(), st.integers(), st.text(max_size=5), st.just({})),
)
@QUICK
def test_unknown_keys_are_refused_in_every_section(section: str, key: str, value: Any) -> None:
    name = f"{section}.{key}" if section else key
    known = {part for setting in all_settings() for part in (setting.name, setting.name.partition(".")[0])}
    if name in known:
        return
    with pytest.raises(SettingsError, match="is not a setting"):
        parse({section: {key: value}} if section else {key: value})
