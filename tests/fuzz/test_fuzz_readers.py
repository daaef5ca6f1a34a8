"""Files of any bytes, and files that were valid once: a value or one sentence, and nothing else happens."""

import contextlib
import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import valid_files as valid
from amounts import inputs
from hypothesis import example, given
from hypothesis import strategies as st
from mutations import altered, spoilt
from watching import watched

from wmdd.comparison.file import read_comparison
from wmdd.config.data import DataConfig
from wmdd.config.load import read_yaml
from wmdd.core.errors import WmddError
from wmdd.core.hashing import digest
from wmdd.data import open_source
from wmdd.data.cifar import cifar_layout, open_cifar
from wmdd.data.decode import decode_image, to_square
from wmdd.data.inert_pickle import read_inert
from wmdd.data.lossy import LossyImageError
from wmdd.exports import FORMS, load_export
from wmdd.models import build_network, load_weights
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.report.collect import read_run
from wmdd.report.collect import read_tensors as read_named
from wmdd.report.curves import read_curves
from wmdd.storage.images import read_png
from wmdd.storage.json import read_json, read_sealed
from wmdd.storage.labels import StoredLabels
from wmdd.storage.savepoint import Savepoint
from wmdd.storage.tensors import read_entry, read_tensors

Count = Callable[[], None]

NETWORK = build_network("convnet3", valid.CLASSES, valid.SIDE, "small", 3)


def value_or_sentence(call: Callable[[], object], folder: Path) -> None:
    """``call`` returns, or raises one sentence; nothing runs, and nothing is written but in ``folder``."""
    with watched(folder):
        try:
            call()
        except WmddError as error:
            # ``wmdd`` itself joins the lines of what libraries say.
            sentence = str(error)
            assert sentence
            assert len(sentence) < 4000
            assert "Traceback" not in sentence


def all_images(source: Any) -> None:
    for split in (source.train, source.validation):
        for i in range(min(len(split), 3)):
            to_square(split.read(i), 8)


def opened(path: Path) -> None:
    """As ``wmdd check`` does."""
    all_images(open_source(DataConfig(source=str(path), memory_gb=0.2)))


def epochs(path: Path) -> None:
    stored = StoredLabels({0: path})
    for epoch in (0, 1):
        stored.read(epoch)


def batches(path: Path) -> None:
    for name in ("batches.meta", *(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        (path.parent / name).write_bytes(path.read_bytes())
    layout = cifar_layout(path.parent)
    assert layout is not None
    all_images(open_cifar(path.parent, layout))


def inert(path: Path) -> None:
    try:
        read_inert(path.read_bytes())
    except ValueError:
        return


def savepoint(path: Path) -> None:
    Savepoint(path, "k").load()


def image(path: Path) -> None:
    """Read as ``data.convert`` does where 8-bit RGB cannot hold it."""
    try:
        pixels = np.asarray(decode_image(path.read_bytes(), "x"))
    except LossyImageError as found:
        pixels = found.pixels
    to_square(pixels, 8)


# name: (name of the file, valid files, what reads it, inputs of the short form, of the long form)
READERS: dict[str, tuple[str, list[bytes], Callable[[Path], object], int, int]] = {
    "json": ("x.json", valid.JSONS, read_json, 60, 6000),
    "sealed json": ("x.json", valid.SEALED, read_sealed, 40, 3000),
    "json lines": ("x.jsonl", valid.LINES, read_curves, 40, 6000),
    "tensors": ("x.safetensors", valid.TENSORS, read_tensors, 60, 8000),
    "tensors by name": ("x.safetensors", valid.TENSORS, lambda path: read_named(path, ["a"]), 40, 4000),
    "an entry of tensors": ("x.safetensors", valid.TENSORS, lambda path: read_entry(path, 1), 40, 4000),
    "soft labels": ("x.safetensors", valid.LABELS, epochs, 60, 6000),
    "a savepoint": ("x.safetensors", valid.TENSORS, savepoint, 40, 4000),
    "a png": ("x.png", valid.PICTURES, read_png, 60, 6000),
    "an image": ("x", valid.IMAGES, image, 100, 9000),
    "settings": ("x.yaml", valid.YAMLS, read_yaml, 40, 2500),
    "a comparison": ("comparison.yaml", valid.YAMLS, lambda path: read_comparison(path.parent), 20, 1000),
    "a checkpoint": ("x.pt", valid.CHECKPOINTS, lambda path: load_weights(NETWORK, path, "convnet3"), 80, 6000),
    "a checkpoint of tensors": (
        "x.safetensors",
        valid.TENSOR_CHECKPOINTS,
        lambda path: load_weights(NETWORK, path, "convnet3"),
        40,
        3000,
    ),
    "arrays": ("x.npz", valid.ARRAYS, opened, 80, 6000),
    "a table": ("x.csv", valid.CSV, opened, 60, 4000),
    "pickles": ("x", valid.PICKLES, inert, 100, 9000),
    "a batch of CIFAR": ("x", valid.BATCHES, batches, 30, 1500),
    "a zip": ("x.zip", valid.ZIPS, opened, 60, 4000),
    "a tar": ("x.tar", valid.TARS, opened, 60, 4000),
    "a packed tar": ("x.tar.gz", valid.PACKED_TARS, opened, 40, 3000),
    "a tar packed by bzip2": ("x.tar.bz2", valid.BZIPPED_TARS, opened, 20, 1500),
    "a tar packed by xz": ("x.tar.xz", valid.XZ_TARS, opened, 20, 1500),
    "a tar in a packed tar": ("x.tgz", valid.TARS, opened, 40, 2000),
    "a shard": ("train-0.tar", valid.SHARDS, opened, 60, 4000),
    "parquet": ("x.parquet", valid.PARQUETS, opened, 8, 400),
}


@pytest.mark.parametrize("name", READERS)
def test_any_file(name: str, tmp_path: Path, count: Count, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    file, seeds, read, short, long = READERS[name]
    path = tmp_path / "data" / file
    path.parent.mkdir()
    if file.endswith(".csv"):
        for image, content in valid.FOLDER.items():
            (path.parent / image).parent.mkdir(exist_ok=True)
            (path.parent / image).write_bytes(content)
    for seed in seeds:  # what is imported on the way is not what the files do; and most of these can be read
        path.write_bytes(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                read(path)
            except WmddError:
                assert name in (
                    "a comparison",
                    "a checkpoint",
                    "a checkpoint of tensors",
                    "a batch of CIFAR",
                    "a png",
                ), name

    @inputs(short, long)
    @given(content=spoilt(seeds))
    @example(content=b"")
    def try_one(content: bytes) -> None:
        count()
        path.write_bytes(content)
        value_or_sentence(lambda: read(path), tmp_path)
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)

    try_one()


@pytest.mark.parametrize("form", FORMS)
def test_any_export(form: str, tmp_path: Path, count: Count) -> None:
    """One of its files is spoilt."""
    folder = tmp_path / "export"
    valid.write_export(form, folder)
    load_export(folder)
    read = {
        "folder": ["manifest.json", "labels.safetensors", "a/001.png"],
        "tensors": ["manifest.json", "distilled.safetensors"],
        "hf": ["manifest.json", "data/train-00000-of-00001.parquet"],
        "webdataset": ["manifest.json", "train-000000.tar"],
    }[form]
    contents = {name: (folder / name).read_bytes() for name in read}
    manifest = valid.MANIFEST | {"form": form}
    spoilt_file = st.sampled_from(read).flatmap(lambda name: st.tuples(st.just(name), spoilt([contents[name]])))
    other_manifest = st.tuples(st.just("manifest.json"), altered(manifest).map(lambda x: json.dumps(x).encode()))

    @inputs(60, 4000)
    @given(change=st.one_of(spoilt_file, other_manifest))
    def try_one(change: tuple[str, bytes]) -> None:
        count()
        name, content = change
        (folder / name).write_bytes(content)
        value_or_sentence(lambda: load_export(folder), tmp_path)
        (folder / name).write_bytes(contents[name])

    try_one()


def seal(value: dict[str, Any]) -> str:
    """What ``write_sealed`` would add; nothing where it would refuse."""
    with contextlib.suppress(UnicodeEncodeError):
        return digest(json.loads(json.dumps(value)))
    return ""


def test_any_run(tmp_path: Path, count: Count) -> None:
    """One of its settings, data and records is spoilt, or has other values below a hash that is right."""
    folder = tmp_path / "run"
    valid.write_run(folder)
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    values = {path: read_sealed(path) for path in files if path.suffix == ".json"}
    records = {stage: RunDirectory(folder).records(stage) for stage in ("teacher", "statistics")}
    bytes_of = st.sampled_from(sorted(files)).flatmap(lambda path: st.tuples(st.just(path), spoilt([files[path]])))
    values_of = st.sampled_from(sorted(values)).flatmap(lambda path: st.tuples(st.just(path), altered(values[path])))

    def read() -> None:
        run = RunDirectory(folder)
        calls = (run.config, run.data, run.verify_all, lambda: run.outputs("teacher"))
        for call in (*calls, lambda: run.outputs("statistics", [0, 1]), lambda: read_run(folder)):
            value_or_sentence(call, tmp_path)

    @inputs(60, 4000)
    @given(change=st.one_of(bytes_of, values_of, values_of))
    def try_one(change: tuple[Path, Any]) -> None:
        count()
        path, content = change
        if isinstance(content, bytes):
            path.write_bytes(content)
            for stage, whole in records.items():  # as they were, or not at all
                assert RunDirectory(folder).records(stage) in (whole, {})
        else:
            # Not by write_sealed, which refuses NaN and half a character.
            path.write_text(json.dumps({**content, "sha256_of_the_rest": seal(content)}))
        read()
        path.write_bytes(files[path])

    try_one()
