"""Settings from the command line: every one has a flag, which says the same as YAML would."""

from pathlib import Path

import pytest

from wmdd.cli.arguments import Parser, add_run, add_settings, given_settings
from wmdd.config import RunConfig
from wmdd.config.load import Setting, dotted, nested, parse, settings
from wmdd.core.errors import SettingsError

ALL = list(settings())
SECTIONS = ("", "data", "teacher", "barycenters", "synthesis", "evaluation", "runtime")


def parser() -> Parser:
    made = Parser(prog="wmdd run")
    add_run(made, optional=True)
    add_settings(made, sections=SECTIONS)
    return made


def config_of(*words: str) -> RunConfig:
    return parse(given_settings(parser().parse_args(words)))


def flag(setting: Setting) -> str:
    return f"--{setting.flag or setting.name}"


def as_word(value: object) -> str:
    if isinstance(value, tuple | list):
        return ",".join(map(as_word, value))
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def test_no_flags_are_the_defaults() -> None:
    assert config_of() == RunConfig()


@pytest.mark.parametrize("setting", ALL, ids=lambda setting: setting.name)
def test_every_default_can_be_typed(setting: Setting) -> None:
    word = as_word(setting.default)
    assert given_settings(parser().parse_args([flag(setting), word])) != {}
    assert config_of(flag(setting), word) == RunConfig()


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--ipc", "5"], "ipc", 5),
        (["--seed=7"], "seed", 7),
        (["--data", "7"], "data.source", "7"),
        (["--data", "my photos #2: ä"], "data.source", "my photos #2: ä"),
        (["--image-size", "64"], "data.image_size", 64),
        (["--data.flip", "true"], "data.flip", True),
        (["--data.flip", "no"], "data.flip", False),
        (["--arch", "resnet18"], "teacher.arch", "resnet18"),
        (["--teacher-epochs", "3"], "teacher.epochs", 3),
        (["--teacher.lr", "1e-3"], "teacher.lr", 0.001),
        (["--teacher.checkpoint", "runs/a b/w.pt"], "teacher.checkpoint", "runs/a b/w.pt"),
        (["--teacher.checkpoint", "runs/run #3/w.pt"], "teacher.checkpoint", "runs/run #3/w.pt"),
        (["--solver", "exact"], "barycenters.solver", "exact"),
        (["--steps", "0"], "synthesis.steps", 0),
        (["--synthesis.weighted", "true"], "synthesis.weighted", True),
        (["--students", "resnet18, convnet3"], "evaluation.students", ["resnet18", "convnet3"]),
        (["--seeds", "4"], "evaluation.seeds", [4]),
        (["--seeds", "4,5"], "evaluation.seeds", [4, 5]),
        (["--protocols", "wmdd,hard-label"], "evaluation.protocols", ["wmdd", "hard-label"]),
        (["--evaluation.epochs", "2"], "evaluation.epochs", 2),
        (["--device", "cuda:1"], "runtime.device", "cuda:1"),
        (["--runtime.threads", "2"], "runtime.threads", 2),
    ],
)
def test_flags_are_read_as_yaml_would(words: list[str], name: str, value: object) -> None:
    config = config_of(*words)
    changed = {key: entry for key, entry in dotted(config).items() if entry != dotted(RunConfig())[key]}
    assert changed == {name: value}


def test_flags_win_over_the_file_and_the_file_over_the_preset(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("synthesis:\n  steps: 7\n  lr: 0.5\n")
    config = config_of("--preset", "wmdd-paper", "--config", str(tmp_path / "mine.yaml"), "--steps", "9")
    assert (config.synthesis.steps, config.synthesis.lr, config.synthesis.init) == (9, 0.5, "noise")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["--ipc", "many"], "ipc"),
        (["--ipc", "1.5"], "ipc"),
        (["--seeds", "1,,2"], "evaluation.seeds"),
        (["--students", "18"], "evaluation.students"),
        (["--teacher.nesterov", "perhaps"], "teacher.nesterov"),
        (["--solver", "sinkhorn"], "barycenters.solver"),
    ],
)
def test_a_wrong_value_is_refused_by_the_settings_name(words: list[str], name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        config_of(*words)


@pytest.mark.parametrize("words", [["--ip", "5"], ["--synthesis.stepss", "5"], ["--teacher.arch", "x"], ["--steps"]])
def test_unknown_and_abbreviated_flags_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parser().parse_args(words)
    assert caught.value.code == 2
    message = capsys.readouterr().err
    assert message.startswith("wmdd run: ")
    assert message.count("\n") == 1


def test_a_section_has_only_its_own_flags() -> None:
    made = Parser(prog="wmdd synthesize")
    add_settings(made, sections=("synthesis", "runtime"))
    arguments = made.parse_args(["--steps", "5", "--synthesis.lr", "0.2"])
    assert given_settings(arguments) == nested({"synthesis.steps": 5, "synthesis.lr": 0.2})
    with pytest.raises(SystemExit):
        made.parse_args(["--ipc", "5"])


def test_help_describes_every_setting() -> None:
    text = " ".join(parser().format_help().split())
    for setting in ALL:
        assert flag(setting) in text
        assert " ".join(setting.help.split()) in text
