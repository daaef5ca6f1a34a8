"""Any words after ``wmdd``: done, or one sentence and exit code 2; nothing is written but where it was asked for."""

import contextlib
import io
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from amounts import inputs
from hypothesis import example, given
from hypothesis import strategies as st
from watching import watched

from wmdd.cli.main import _COMMANDS, _STAGE_COMMANDS, _module, main
from wmdd.config.load import settings

Count = Callable[[], None]

FLAGS = sorted({f"--{s.name}" for s in settings()} | {f"--{s.flag}" for s in settings() if s.flag})
OTHERS = ["--preset", "--config", "--shard", "--redo", "-q", "--quiet", "--version", "--all", "--to", "--out", "--json"]
MORE = [*OTHERS, "--methods", "--public", "--licence", "--ipc", "--seeds", "--help", "-h", "--", "-", "--page"]

# Nothing that could be begun: folders that are not there, files that are none, and no name of a set that is shipped.
WORDS = [
    *("gone", "gone/", "./gone", "empty", "file", "broken", "folder/a", "", " ", ".", "..", "/", "/dev/null"),
    *("~nobody/x", "gone.npz", "x.npz", "x.csv", "x.zip", "x.tar", "x.parquet", "x.yaml"),
    *("hf:", "hf:a/b/c", "torchvision:MNSIT", "a/b", "../../../../tmp/x", "%s", "{0}", "$HOME", "'"),
    *("0", "-1", "1e999", "nan", "1/0", "0/0", "2/1", "1,2", ",", "1,,2", "10" * 3000, "0x1F", "1_000", "²"),
    *("auto", "true", "false", "null", "[]", "wmdd", "wmdd-paper", "imagenette-ipc0", "imagenette-ipc-1"),
    *("wmdd-ipc1,x", "folder", "tensors", "hf", "webdataset", "teacher", "statistics", "evaluation", "convnet3"),
    *("torchvision:resnet18", "resnet18", "\ud800", "\udcff", "\0", "a\nb", "\x1b[2J", "é", "🙂", "x" * 5000),
    *("{", "[" * 500, "!!python/name:os.system", "&a [*a]", "2001-01-01", "a: b", "- -", "x\u2028y", "\u202e"),
]  # fmt: skip
DATA = ["gone", "empty", "file", "broken", "x.npz", "x.csv", "x.zip", "x.tar", "x.parquet", "gone.zip", "hf:"]

_word = st.one_of(st.sampled_from(WORDS), st.sampled_from(WORDS), st.text(max_size=12))
_flag = st.one_of(
    st.sampled_from(FLAGS + MORE),
    st.sampled_from(FLAGS).map(lambda flag: flag[:-1]),
    st.sampled_from(FLAGS).map(lambda flag: flag + "x"),
    st.text(max_size=6).map(lambda text: f"--{text}"),
)
_option = st.one_of(
    st.tuples(_flag, _word).map(list),
    st.tuples(_flag, _word).map(lambda pair: ["=".join(pair)]),
    _flag.map(lambda flag: [flag]),
    _word.map(lambda word: [word]),
)
_command = st.one_of(
    st.sampled_from(sorted(_COMMANDS)),
    st.sampled_from(sorted(_COMMANDS)),
    st.sampled_from(sorted(_COMMANDS)).map(lambda command: command[:-1]),
    _word,
)
_options = st.lists(_option, max_size=4).map(lambda options: [word for option in options for word in option])


def command(command: str, place: str, options: list[str], data: str) -> list[str]:
    """Words that begin nothing, as what they are to read cannot be read: what is given last counts."""
    if command in (*_STAGE_COMMANDS, "run", "plan", "compare"):
        return [command, *([] if command == "plan" else [place]), *options, "--data", data]
    if command in ("push", "pull"):  # no name of a set: the hub is not asked
        return [command, *options]
    return [command, *([place] if place else []), *options]


commands = st.builds(command, _command, st.sampled_from(["gone", "new", "file", ""]), _options, st.sampled_from(DATA))


def furnish(folder: Path) -> None:
    """Data that cannot be used, and settings that may be."""
    (folder / "empty").mkdir(parents=True)
    (folder / "folder" / "a").mkdir(parents=True)
    (folder / "broken" / "a").mkdir(parents=True)
    (folder / "broken" / "b").mkdir()
    for name in ("file", "x.npz", "x.csv", "x.zip", "x.tar", "x.parquet", "broken/a/0.png", "broken/b/0.png"):
        (folder / name).write_bytes(b"nothing")
    (folder / "x.yaml").write_text("ipc: 3\n")


def tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def try_words(words: list[str], folder: Path) -> None:
    before = tree(folder)
    out, err = io.StringIO(), io.StringIO()
    with watched(folder.parent), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(words)
        except SystemExit as error:
            code = error.code  # type: ignore[assignment]
    assert code in (0, 2), (code, err.getvalue())
    assert "Traceback" not in out.getvalue() + err.getvalue()
    if code == 2:
        lines = err.getvalue().split("\n")
        assert len(lines) == 2, lines
        assert lines[0].startswith("wmdd")
        assert lines[0].endswith(".")
        assert lines[1] == ""
    else:
        assert err.getvalue() == ""
    assert tree(folder) == before  # nothing is begun


@pytest.fixture(scope="session")
def imported() -> None:
    """What commands import on the way, some of which writes notes into the user's folder the first time."""
    for module in (
        *("wmdd.api", "wmdd.report", "wmdd.exports", "wmdd.comparison.compare", "wmdd.experiments.figures"),
        *("wmdd.pipeline.plan.plan", "wmdd.pipeline.runner", "wmdd.pipeline.stages", "wmdd.data.torchvision_sets"),
        *("timm", "datasets", "huggingface_hub", "matplotlib.pyplot", *(_module(command) for command in _COMMANDS)),
    ):
        import_module(module)


@pytest.fixture
def inside(imported: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    furnish(folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "home" / "cache")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    return folder


@pytest.mark.parametrize("command", sorted(_COMMANDS))
def test_commands_alone(command: str, inside: Path, count: Count) -> None:
    for words in (
        [command, "--help"],
        [command, "gone", "--dta", "x"],
        [command, "--data"],
        [command, "gone", "--ipc", "-1"],
    ):
        count()
        try_words(words, inside)


def test_any_words(inside: Path, count: Count) -> None:
    @inputs(120, 5000)
    @given(words=commands)
    @example(words=["run", "new", "--data", "gone", "--seed", "0x" + "f" * 30_000])
    @example(words=["run", "new", "--data", "gone", "--ipc", "1:" * 30_000 + "1"])
    def try_one(words: list[str]) -> None:
        count()
        try_words(words, inside)

    try_one()
    assert os.getcwd() == str(inside)


def test_words_that_name_no_command(inside: Path, count: Count) -> None:
    @inputs(60, 1000)
    @given(words=st.lists(st.one_of(_word, _flag), max_size=4))
    def try_one(words: list[str]) -> None:
        # A command alone may have a default, and then begins something.
        if not any(word in _COMMANDS for word in words):
            count()
            try_words(words, inside)

    try_one()
