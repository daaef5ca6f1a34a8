"""Settings files of any text: settings or one sentence, in no time."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from amounts import inputs
from hypothesis import example, given
from hypothesis import strategies as st
from mutations import HOSTILE, spoilt
from valid_files import YAMLS
from watching import watched

from wmdd.comparison.methods import read_methods
from wmdd.config import RunConfig
from wmdd.config.load import dotted, parse, read_value, read_yaml, settings, to_yaml
from wmdd.core.errors import WmddError

Count = Callable[[], None]

NAMES = [setting.name for setting in settings()]
SECTIONS = sorted({name.partition(".")[0] for name in NAMES if "." in name})


def laughs(depth: int, each: int, merging: bool) -> bytes:
    """A billion laughs: each line is several of the one before."""
    lines = ["a0: &a0 {ipc: 1, seed: 2}" if merging else "a0: &a0 [1, 1, 1]"]
    for i in range(1, depth):
        several = ", ".join([f"*a{i - 1}"] * each)
        lines.append(f"a{i}: &a{i} " + (f"{{<<: [{several}]}}" if merging else f"[{several}]"))
    return "\n".join([*lines, f"ipc: *a{depth - 1}"]).encode()


NASTY = [
    laughs(12, 9, merging=True),
    laughs(12, 9, merging=False),
    b"evaluation: {seeds: &a [*a, *a]}\n",
    b"data: &a {<<: *a, source: x}\n",
    b"teacher: &a\n  arch: *a\n",
    b"ipc: " + b"1:" * 30_000 + b"1\n",
    b"seed: 0x" + b"f" * 60_000 + b"\n",
    b"seed: 1" + b"0" * 10_000 + b"\n",
    b"ipc: " + b"[" * 50_000,
    b"ipc: " + b"{a: " * 50_000,
    b"- " * 50_000,
    b"".join(b" " * i + b"a:\n" for i in range(600)),
    b"? " * 20_000,
    b"'" * 60_000,
    b"&a " * 20_000,
    b"a: " + b"x" * 200_000,
    b"x" * 200_000 + b": 1",
    b"evaluation:\n  students: [" + b"resnet18, " * 20_000 + b"]\n",
    b"evaluation:\n  seeds: [" + b"0, " * 30_000 + b"]\n",
    b"ipc: !!python/object/apply:os.system ['touch /tmp/ran-7f3a91']\n",
    b"ipc: !!python/name:os.system\n",
    b"!!python/object/new:type {args: ['x', !!python/tuple [], {}]}\n",
    b"ipc: !!binary aGk=\n",
    b"seed: !!set {1, 2}\n",
    b"data: !!omap [source: x]\n",
    b"ipc: 2001-02-30\n",
    b"ipc: 9999-12-31T23:59:59.999999999+99:99\n",
    b"ipc: 1\nipc: 2\n",
    b"data: {source: a}\ndata: {source: b}\n",
    b"? [1, 2]\n: 3\n",
    b"{[1]: 2}",
    b"{{}: {}}",
    b"null: 1\n",
    b"1: 2\n",
    b"true: 1\n",
    b".nan: 1\n",
    b"ipc: .nan\n",
    b"teacher: {lr: .inf}\n",
    b"--- 1\n--- 2\n",
    b"%YAML 9.9\n---\nipc: 1\n",
    b"%TAG ! tag:yaml.org,2002:python/\n---\nipc: !object:os.system {}\n",
    "ipc: 1".encode("utf-16"),
    "ipc: 1".encode("utf-32"),
    b"\xef\xbb\xbfipc: 1\n",
    b"ipc: \xff\xfe\n",
    b'data: {source: "\\ud800"}\n',
    b'data: {source: "\\0"}\n',
    b'"\\ud800": 1\n',
    b"\0",
    b"ipc: \x1b[2J\n",
    b"\t",
]  # fmt: skip

_number = st.one_of(st.integers(), st.floats(), st.integers(10**9, 10**40), st.integers(-(10**40), 0))
_word = st.one_of(st.text(max_size=20), st.sampled_from(["auto", "exact", "wmdd", "resnet18", "soft", "~", "yes"]))
_value = st.one_of(HOSTILE, _number, _word, st.lists(st.one_of(_number, _word, st.none()), max_size=4))
_key = st.one_of(st.sampled_from(NAMES + SECTIONS), st.text(max_size=6), st.sampled_from(NAMES).map(lambda x: x[:-1]))


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """Dotted names as sections, as far as they do not stand in one another's way."""
    found: dict[str, Any] = {}
    for name, value in flat.items():
        section, dot, key = name.partition(".")
        if dot and isinstance(found.setdefault(section, {}), dict):
            found[section][key] = value
        elif not dot:
            found[name] = value
    return found


values = st.dictionaries(_key, _value, min_size=1, max_size=4).map(nested)


def is_one_sentence(error: WmddError) -> None:
    sentence = str(error)
    assert sentence.strip()
    assert len(sentence) < 4000
    assert "Traceback" not in sentence


def check(config: RunConfig) -> None:
    """What was taken for settings can be written down, and is what a run can be begun with."""
    for value in dotted(config).values():
        assert not isinstance(value, float) or math.isfinite(value)
    assert parse(yaml.safe_load(to_yaml(config))) == config


def try_file(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with watched(path.parent):
        try:
            found = parse(read_yaml(path), str(path))
        except WmddError as error:
            is_one_sentence(error)
            return
    check(found)


@pytest.mark.parametrize("content", NASTY, ids=range(len(NASTY)))
def test_nasty_settings(content: bytes, tmp_path: Path, count: Count) -> None:
    count()
    try_file(tmp_path / "x.yaml", content)
    with watched(tmp_path):
        try:
            read_methods([str(tmp_path / "x.yaml")])
        except WmddError as error:
            is_one_sentence(error)
    assert not Path("/tmp/ran-7f3a91").exists()


def test_any_text_of_settings(tmp_path: Path, count: Count) -> None:
    @inputs(60, 3000)
    @given(content=spoilt([*YAMLS, *(text for text in NASTY if len(text) < 300)]))
    @example(content=b"")
    def try_one(content: bytes) -> None:
        count()
        try_file(tmp_path / "x.yaml", content)

    try_one()


def test_any_values_of_settings(tmp_path: Path, count: Count) -> None:
    """Known and unknown names with values that they may not have, as a mapping and as a file."""

    @inputs(120, 3000)
    @given(chosen=values)
    def try_one(chosen: dict[str, Any]) -> None:
        count()
        with watched(tmp_path):
            try:
                config = parse(chosen)
            except WmddError as error:
                is_one_sentence(error)
            else:
                check(config)
        try_file(tmp_path / "x.yaml", yaml.safe_dump(chosen, allow_unicode=True).encode(errors="surrogatepass"))

    try_one()


def test_any_word_as_a_value(tmp_path: Path, count: Count) -> None:
    """What a flag is given."""

    @inputs(60, 1000)
    @given(text=st.one_of(st.text(max_size=30), spoilt(NASTY).map(lambda content: content.decode(errors="replace"))))
    def try_one(text: str) -> None:
        count()
        with watched(tmp_path):
            found = read_value(text)
        assert found is None or isinstance(found, int | float | str)

    try_one()
