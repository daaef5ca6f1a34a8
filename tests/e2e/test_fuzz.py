"""Hostile bytes and words: a value or one sentence, no traceback, no code run, no write outside the folder.

``WMDD_FUZZ=100 pytest tests/e2e/test_fuzz.py`` tries 100 times as many: 5,000 settings files and command lines each,
and over 100,000 damaged files.
"""

import io
import os
import pickle
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save

from wmdd.cli.main import main
from wmdd.config import DataConfig, RunConfig
from wmdd.config.load import dotted, parse, read_yaml
from wmdd.core.errors import WmddError
from wmdd.core.records import UnitRecord
from wmdd.core.types import SoftLabels
from wmdd.data import open_source
from wmdd.data.inert_pickle import read_inert
from wmdd.models import build_network, load_weights
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.storage.images import read_png
from wmdd.storage.json import read_json, read_lines, read_sealed
from wmdd.storage.labels import StoredLabels, write_soft_labels
from wmdd.storage.savepoint import Savepoint
from wmdd.storage.tensors import read_entry, read_tensors

TIMES = int(os.environ.get("WMDD_FUZZ", "1"))


def often(count: int) -> settings:
    """So many examples in CI, ``TIMES`` as many in the long form."""
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=count * TIMES, deadline=20_000, suppress_health_check=checks, database=None)


# --- what code would do that ran --------------------------------------------------------------------------------------

_watched: list[Path] = []
_seen: list[str] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watched:
        return
    if event in ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "socket.connect"):
        _seen.append(event)
    if event == "open" and isinstance(arguments[0], str) and isinstance(arguments[2], int):
        writes = arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        where = Path(os.path.realpath(arguments[0]))
        allowed = where.is_relative_to(_watched[0]) or str(where).startswith(("/dev/", "/proc/"))
        if writes and not allowed and "__pycache__" not in where.parts:
            _seen.append(f"open {where} to write")


sys.addaudithook(_watch)


@contextmanager
def harmless(folder: Path) -> Iterator[None]:
    """Nothing may be started, and nothing written outside ``folder``."""
    _watched.append(folder.resolve())
    try:
        yield
    finally:
        _watched.clear()
    found, _seen[:] = list(_seen), []
    assert not found


# --- settings and command lines ---------------------------------------------------------------------------------------

NAMES = sorted({*dotted(RunConfig()), *(name.partition(".")[0] for name in dotted(RunConfig()))})
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-3, 3),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["auto", "1e400", "0x10", "nan", "../..", "/etc/passwd", "", "~", "hf:", "torchvision:", "\x00"]),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
keys = st.sampled_from([name.rpartition(".")[2] for name in NAMES]) | st.sampled_from(NAMES) | st.text(max_size=12)
HOSTILE = [
    "!!python/object/apply:os.system ['touch hacked']",
    "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\nipc: *d",
    "ipc: &i [*i]",
    "[" * 5000,
    "ipc: 1\nipc: 2",
    "? [1, 2]\n: 3",
    "ipc: 2026-13-45",
    "%YAML 9.9\n---\nipc: 1",
    "ipc: 1\n---\nipc: 2",
]
trees = st.dictionaries(keys, values | st.dictionaries(keys, values, max_size=4), max_size=5)
texts = st.one_of(
    trees.map(lambda tree: yaml.safe_dump(tree, allow_unicode=True).encode()),
    st.sampled_from(HOSTILE).map(str.encode),
    st.binary(max_size=200),
)


@often(50)
@given(content=texts)
def test_settings_files(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_bytes(content)
    with harmless(tmp_path):
        try:
            found = parse(read_yaml(path), str(path))
        except WmddError as error:
            said = str(error)
            assert said
            assert len(said) < 2000
        else:
            assert isinstance(found, RunConfig)


FLAGS = [
    "--ipc",
    "--data",
    "--steps",
    "--seeds",
    "--shard",
    "--redo",
    "--config",
    "--preset",
    "--image-size",
    "--to",
    "-q",
]
VERBS = ["run", "plan", "check", "info", "teacher", "synthesize", "evaluate", "compare", "report", "export", "rum", ""]
words = st.one_of(
    st.sampled_from(FLAGS),
    st.sampled_from([f"--{name}" for name in NAMES]),
    st.sampled_from(["none", "0/0", "1/0", "-1", "1e9", "nan", "auto", "../../x", "a,b", "0", "=", "--", "'"]),
    st.text(max_size=10),
)
# Quick answers are no fault, but this is about bad input: never the embedded data, which would be distilled.
ALWAYS = ["--data", "nowhere"]


@often(50)
@given(verb=st.sampled_from(VERBS), rest=st.lists(words, max_size=6))
def test_command_lines(verb: str, rest: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said, shown = io.StringIO(), io.StringIO()
    line = [verb, *rest, *(ALWAYS if verb in ("run", "plan", "teacher", "compare") else [])]
    with harmless(tmp_path), redirect_stderr(said), redirect_stdout(shown):
        try:
            code = main(line)
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
    assert code in (0, 2), said.getvalue()
    if code == 2:
        assert said.getvalue().startswith("wmdd")
        assert said.getvalue().count("\n") == 1
    assert not (tmp_path / "runs").exists()


# --- readers ----------------------------------------------------------------------------------------------------------


def _picture(kind: str) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (9, 9, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, kind)
    return buffer.getvalue()


def _members() -> dict[str, bytes]:
    return {f"{name}/{i}.png": _picture("PNG") for name in "ab" for i in range(2)}


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _members().items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _tar(members: dict[str, bytes], mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _npz() -> bytes:
    buffer = io.BytesIO()
    images = np.zeros((6, 4, 4, 3), dtype=np.uint8)
    np.savez_compressed(buffer, images=images, labels=np.array([0, 1, 0, 1, 0, 1]))
    return buffer.getvalue()


def _pt() -> bytes:
    buffer = io.BytesIO()
    torch.save(build_network("convnet3", 2, 8, "network", 3).state_dict(), buffer)
    return buffer.getvalue()


def _written(write: Callable[[Path], None], folder: Path) -> bytes:
    write(folder / "seed")
    return (folder / "seed").read_bytes()


def _labels(path: Path) -> None:
    box = torch.zeros(2, 3, 4, dtype=torch.int16)
    write_soft_labels(path, SoftLabels(torch.zeros(2, 3, 2).half(), box, torch.zeros(2, 3, dtype=torch.bool)))


def _record(path: Path) -> None:
    run = RunDirectory(path.parent / "run")
    run.path.mkdir(exist_ok=True)
    run.record("teacher", UnitRecord("teacher", "k", {}, {"artifacts/a": "0" * 64}, 1.0, 1.0, "m"))
    path.write_bytes((run.path / "artifacts/teacher/units/teacher.json").read_bytes())


def _read_record(path: Path) -> None:
    run = RunDirectory(path.parent / "run")
    place = run.path / "artifacts/teacher/units/teacher.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(path.read_bytes())
    found = run.records("teacher")
    assert not found or found["teacher"].key == "k"  # as it was, or not at all


def _read_config(path: Path) -> None:
    run = RunDirectory(path.parent / "settings")
    run.path.mkdir(exist_ok=True)
    (run.path / "config.yaml").write_bytes(path.read_bytes())
    run.config()


def _config(path: Path) -> None:
    run = RunDirectory(path.parent / "settings")
    run.write_config(RunConfig())
    path.write_bytes((run.path / "config.yaml").read_bytes())


def _read_images(path: Path) -> None:
    found = open_source(DataConfig(source=str(path)))
    found.train.read(0)
    found.validation.read(0)


def _read_weights(path: Path) -> None:
    load_weights(build_network("convnet3", 2, 8, "network", 3), path, "convnet3")


def _read_pickle(path: Path) -> None:
    with suppress(ValueError):
        read_inert(path.read_bytes())


def _csv(folder: Path) -> bytes:
    for i in range(4):
        (folder / f"{i}.png").write_bytes(_picture("PNG"))
    return b"path,label,split\n0.png,a,train\n1.png,b,train\n2.png,a,val\n3.png,b,val\n"


TENSORS = {"x": torch.arange(6.0).reshape(2, 3), "y": torch.zeros(2, dtype=torch.int64)}
SAMPLES = {
    f"{i}.{kind}": value for i in range(4) for kind, value in (("png", _picture("PNG")), ("cls", b"%d" % (i % 2)))
}
READERS: dict[str, tuple[str, Callable[[Path], bytes], Callable[[Path], object]]] = {
    "json": ("x.json", lambda _: b'{"a": [1, 2.5, "x"], "b": null}', read_json),
    "sealed": ("x.json", lambda _: b'{"a": 1, "sha256_of_the_rest": "0"}', read_sealed),
    "lines": ("x.jsonl", lambda _: b'{"a": 1}\n{"b": 2}\n', read_lines),
    "record": ("x.json", lambda folder: _written(_record, folder), _read_record),
    "settings": ("x.yaml", lambda folder: _written(_config, folder), _read_config),
    "tensors": ("x.safetensors", lambda _: save(TENSORS), read_tensors),
    "entry": ("x.safetensors", lambda _: save(TENSORS), lambda path: read_entry(path, 1)),
    "savepoint": ("x.safetensors", lambda _: save(TENSORS, {"key": "k"}), lambda path: Savepoint(path, "k").load()),
    "labels": ("x.safetensors", lambda f: _written(_labels, f), lambda path: StoredLabels({0: path})[1]),
    "png": ("x.png", lambda _: _picture("PNG"), read_png),
    "weights": (
        "x.safetensors",
        lambda _: save(build_network("convnet3", 2, 8, "network", 3).state_dict()),
        _read_weights,
    ),
    "plain weights": ("x.pt", lambda _: _pt(), _read_weights),
    "pickle": ("x", lambda _: pickle.dumps({b"data": np.zeros((2, 3), np.uint8), b"labels": [1, 2]}), _read_pickle),
    "zip": ("x.zip", lambda _: _zip(), _read_images),
    "tar": ("x.tar", lambda _: _tar(_members(), "w"), _read_images),
    "tar.gz": ("x.tar.gz", lambda _: _tar(_members(), "w:gz"), _read_images),
    "shard": ("x.tar", lambda _: _tar(SAMPLES, "w"), _read_images),
    "npz": ("x.npz", lambda _: _npz(), _read_images),
    "csv": ("x.csv", _csv, _read_images),
}


@st.composite
def damages(draw: st.DrawFn) -> list[tuple[str, float, bytes]]:
    """Some changes: at a share of the length, overwrite, insert, cut, repeat; or all anew."""
    how = st.sampled_from(["overwrite", "insert", "cut", "drop", "repeat", "flip", "anew"])
    return draw(st.lists(st.tuples(how, st.floats(0, 1), st.binary(min_size=1, max_size=8)), min_size=1, max_size=4))


def damaged(content: bytes, changes: list[tuple[str, float, bytes]]) -> bytes:
    for how, place, new in changes:
        at = int(place * len(content))
        kept, rest = content[:at], content[at:]
        content = {
            "overwrite": kept + new + rest[len(new) :],
            "insert": kept + new + rest,
            "cut": kept,
            "drop": kept + rest[len(new) :],
            "repeat": kept + rest[:50] + rest,
            "flip": kept + bytes([rest[0] ^ (1 << new[0] % 8)]) + rest[1:] if rest else kept,
            "anew": new * (1 + at % 7),
        }[how]
    return content


@pytest.mark.parametrize("name", READERS)
@often(60)
@given(changes=damages())
def test_damaged_files(name: str, changes: list[tuple[str, float, bytes]], tmp_path: Path) -> None:
    file, make, read = READERS[name]
    seed = tmp_path / "valid"
    if not seed.exists():
        seed.write_bytes(make(tmp_path))
        (tmp_path / file).write_bytes(seed.read_bytes())
        if name != "sealed":
            read(tmp_path / file)  # what is not damaged is read
    (tmp_path / file).write_bytes(damaged(seed.read_bytes(), changes))
    with harmless(tmp_path), suppress(WmddError):
        read(tmp_path / file)
