"""Data sets of Hugging Face's library, written by the library itself; the hub is a folder of its cache."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub.constants
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, Value
from datasets.packaged_modules.parquet.parquet import Parquet
from PIL import Image as Pillow

from wmdd.config import DataConfig
from wmdd.core.errors import DataError
from wmdd.data import ImageSource, open_source


def pixels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)


def rows(count: int, first: int = 0, label: Any = None, column: str = "label") -> Dataset:
    """Images ``first``, ``first + 1``, ... of the classes ant, bee and cat in turn."""
    label = label or ClassLabel(names=["ant", "bee", "cat"])
    named = isinstance(label, Value) and label.dtype == "string"
    labels = [("cat", "ant", "bee")[i % 3] if named else i % 3 for i in range(first, first + count)]
    images = [Pillow.fromarray(pixels(i)) for i in range(first, first + count)]
    return Dataset.from_dict({"image": images, column: labels}, features=Features({"image": Image(), column: label}))


def png(seed: int) -> bytes:
    file = BytesIO()
    Pillow.fromarray(pixels(seed)).save(file, "PNG")
    return file.getvalue()


def opened(path: Path | str, **settings: Any) -> ImageSource:
    return open_source(DataConfig(source=str(path), **settings))


def fault(path: Path | str, **settings: Any) -> str:
    with pytest.raises(DataError) as caught:
        opened(path, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the library of its own."""
    home = tmp_path / "cache"
    monkeypatch.setattr(datasets.config, "HF_CACHE_HOME", str(home))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", home / "datasets")
    return home


def test_parquet_files_of_two_splits(tmp_path: Path) -> None:
    folder = tmp_path / "birds"
    (folder / "data").mkdir(parents=True)
    rows(6).to_parquet(folder / "data" / "train-00000-of-00002.parquet")
    rows(3, first=6).to_parquet(folder / "data" / "train-00001-of-00002.parquet")
    rows(3, first=9).to_parquet(folder / "data" / "test-00000-of-00001.parquet")
    source = opened(folder)
    assert (source.name, source.class_names) == ("birds", ("ant", "bee", "cat"))
    assert source.train.labels.tolist() == [0, 1, 2] * 3
    assert source.validation.labels.tolist() == [0, 1, 2]
    for i in range(9):
        np.testing.assert_array_equal(source.train.read(i), pixels(i))
    np.testing.assert_array_equal(source.validation.read(2), pixels(11))
    assert source.train.stamps[0] == len(png(0))
    assert source.fingerprint == opened(folder).fingerprint


@pytest.mark.parametrize(
    ("label", "classes"),
    [
        (Value("int64"), ("0", "1", "2")),
        (Value("uint8"), ("0", "1", "2")),
        (Value("string"), ("ant", "bee", "cat")),
    ],
)
def test_one_file_is_split_whatever_its_labels_are(tmp_path: Path, label: Value, classes: tuple[str, ...]) -> None:
    rows(30, label=label).to_parquet(tmp_path / "birds.parquet")
    source = opened(tmp_path / "birds.parquet")
    assert (source.name, source.class_names) == ("birds", classes)
    assert (len(source.train), len(source.validation)) == (24, 6)
    for split in (source.train, source.validation):
        for i, name in enumerate(split.names):
            row = int(name.rpartition("/")[2])
            assert int(split.labels[i]) == ((row + 2) % 3 if label.dtype == "string" else row % 3)
            np.testing.assert_array_equal(split.read(i), pixels(row))


@pytest.mark.parametrize("name", ["set[1]", "[ab]", "what?", "a*b", "{a,b}", "[!a]", "x]["])
def test_letters_of_patterns_in_a_path_are_only_letters(tmp_path: Path, name: str) -> None:
    """Other files, which the pattern would match, are not read in its place."""
    for folder in (name, "set1", "a", "b", "whatx", "axb"):
        (tmp_path / folder).mkdir(exist_ok=True)
        rows(30, first=0 if folder == name else 40).to_parquet(tmp_path / folder / f"{folder}.parquet")
    for path in (tmp_path / name, tmp_path / name / f"{name}.parquet"):
        source = opened(path)
        np.testing.assert_array_equal(source.train.read(0), pixels(int(source.train.names[0].rpartition("/")[2])))
        assert len(source.train) == 24


def test_a_path_from_here_is_read_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows(30).to_parquet(tmp_path / "birds [1].parquet")
    monkeypatch.chdir(tmp_path)
    assert len(opened("birds [1].parquet").train) == 24


def test_parquet_that_the_library_has_not_written(tmp_path: Path) -> None:
    table = pyarrow.table({"img": [png(i) for i in range(8)], "fine_label": [i % 2 for i in range(8)]})
    pyarrow.parquet.write_table(table, tmp_path / "plain.parquet")
    source = opened(tmp_path / "plain.parquet")
    assert source.class_names == ("0", "1")
    np.testing.assert_array_equal(source.train.read(0), pixels(int(source.train.names[0].rpartition("/")[2])))


@pytest.mark.parametrize("above", ["", "train"])
def test_a_table_beside_image_folders_is_passed_over(tmp_path: Path, above: str) -> None:
    for name in ("ant", "bee"):
        (tmp_path / "set" / above / name).mkdir(parents=True)
        for i in range(5):
            (tmp_path / "set" / above / name / f"{i}.png").write_bytes(png(i))
    rows(6).to_parquet(tmp_path / "set" / "notes.parquet")
    source = opened(tmp_path / "set")
    assert source.class_names == ("ant", "bee")
    assert len(source.train) == 8


def test_a_folder_of_save_to_disk(tmp_path: Path) -> None:
    DatasetDict(train=rows(6), validation=rows(3, first=6)).save_to_disk(tmp_path / "two")
    rows(30).save_to_disk(tmp_path / "one")
    two, one = opened(tmp_path / "two"), opened(tmp_path / "one")
    assert (len(two.train), len(two.validation)) == (6, 3)
    assert (len(one.train), len(one.validation)) == (24, 6)
    np.testing.assert_array_equal(two.validation.read(0), pixels(6))


def test_a_set_of_the_hub_from_the_cache(cache: Path, tmp_path: Path) -> None:
    put_into_cache(cache, tmp_path)
    source = opened("hf:someone/birds")
    assert (source.name, len(source.train), len(source.validation)) == ("birds", 6, 3)
    np.testing.assert_array_equal(source.validation.read(1), pixels(7))


def put_into_cache(cache: Path, tmp_path: Path) -> None:
    """As if ``load_dataset("someone/birds")`` had fetched it before."""
    files = {"train": str(tmp_path / "train.parquet"), "test": str(tmp_path / "test.parquet")}
    rows(6).to_parquet(files["train"])
    rows(3, first=6).to_parquet(files["test"])
    Parquet(
        cache_dir=str(cache / "datasets"),
        dataset_name="birds",
        config_name="default",
        hash="0" * 40,
        data_files=files,
    ).download_and_prepare()
    (prepared,) = (cache / "datasets" / "birds").glob("default-*")
    prepared.rename(prepared.with_name("default"))
    prepared.parent.rename(cache / "datasets" / "someone___birds")


class _Counting(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_error(404)

    do_HEAD = do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A hub on this machine that has nothing; the paths that it is asked for."""
    _Counting.asked = []
    server = HTTPServer(("127.0.0.1", 0), _Counting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", address)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
    monkeypatch.setattr(
        huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
    )
    yield _Counting.asked
    server.shutdown()
    server.server_close()


def test_the_hub_is_asked_only_when_told(hub: list[str]) -> None:
    assert "--data.download true" in fault("hf:someone/absent")
    assert hub == []
    assert "check its name" in fault("hf:someone/absent", download=True)
    assert hub


def test_files_on_disk_ask_no_network(hub: list[str], tmp_path: Path) -> None:
    rows(30).to_parquet(tmp_path / "birds.parquet")
    opened(tmp_path / "birds.parquet")
    assert hub == []


def test_the_library_is_left_as_it_was(tmp_path: Path) -> None:
    rows(30).to_parquet(tmp_path / "birds.parquet")
    before = datasets.config.HF_HUB_OFFLINE, datasets.is_progress_bar_enabled()
    opened(tmp_path / "birds.parquet")
    assert (datasets.config.HF_HUB_OFFLINE, datasets.is_progress_bar_enabled()) == before


@pytest.mark.parametrize("name", ["hf:", "hf:a/b/c", "hf:a b", "hf:../x", "hf:a:b:c"])
def test_a_name_that_is_none(name: str) -> None:
    assert "should be hf:NAME" in fault(name)


def test_a_folder_is_not_taken_for_a_set_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "birds").mkdir()
    monkeypatch.chdir(tmp_path)
    assert "ambiguous" in fault("hf:birds")


def test_no_labels(tmp_path: Path) -> None:
    rows(6, column="wings").cast_column("wings", Value("int64")).to_parquet(tmp_path / "a.parquet")
    assert "no column of labels" in fault(tmp_path / "a.parquet")


def test_no_images(tmp_path: Path) -> None:
    Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]}).to_parquet(tmp_path / "a.parquet")
    assert "no column of images, but text, label" in fault(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("label", "said"),
    [(-1, "label -1"), (None, "row 5 of"), (10**6, "number"), (2**64 - 1, "the label 18446744073709551615")],
)
def test_labels_out_of_range(tmp_path: Path, label: int | None, said: str) -> None:
    kind = pyarrow.uint64() if label is not None and label > 2**62 else pyarrow.int64()
    table = pyarrow.table({"image": [png(i) for i in range(6)], "label": pyarrow.array([0, 1, 2, 0, 1, label], kind)})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    assert said in fault(tmp_path / "a.parquet")


def test_labels_that_are_no_numbers(tmp_path: Path) -> None:
    table = pyarrow.table({"image": [png(i) for i in range(2)], "label": [0.5, 1.5]})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    assert "whole numbers" in fault(tmp_path / "a.parquet")


def test_a_class_that_is_only_scored_on(tmp_path: Path) -> None:
    rows(6, label=Value("string")).to_parquet(tmp_path / "train.parquet")
    other = pyarrow.table({"image": [{"bytes": png(0), "path": None}], "label": ["dog"]})
    schema = pyarrow.parquet.read_schema(tmp_path / "train.parquet")
    pyarrow.parquet.write_table(other.cast(schema), tmp_path / "test.parquet")
    assert "'dog'" in fault(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more", b"x" * 100])
def test_a_damaged_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    assert "cannot be read" in fault(tmp_path / "a.parquet")


def test_a_damaged_image_and_none(tmp_path: Path) -> None:
    cells = [{"bytes": png(i), "path": None} for i in range(6)]
    cells[0] = {"bytes": b"no image", "path": None}
    table = pyarrow.table({"image": cells, "label": [0, 1] * 3})
    pyarrow.parquet.write_table(table, tmp_path / "train.parquet")
    pyarrow.parquet.write_table(table, tmp_path / "test.parquet")
    source = opened(tmp_path)
    with pytest.raises(DataError, match=r"row 0 of .* is not a readable"):
        source.train.read(0)


def test_paths_lead_nowhere_else(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (tmp_path / "secret.png").write_bytes(png(0))
    (folder / "mine.png").write_bytes(png(1))
    cells = [{"bytes": None, "path": path} for path in ("mine.png", str(tmp_path / "secret.png"), "../secret.png")]
    table = pyarrow.table({"image": cells * 2, "label": [0, 1, 1] * 2})
    features = Features({"image": Image(), "label": Value("int64")})
    for split in ("train", "test"):
        written = table.replace_schema_metadata(features.arrow_schema.metadata)
        pyarrow.parquet.write_table(written, folder / f"{split}.parquet")
    source = opened(folder)
    np.testing.assert_array_equal(source.train.read(0), pixels(1))
    for i in (1, 2):
        with pytest.raises(DataError, match="outside"):
            source.train.read(i)


def test_a_state_that_names_a_file_elsewhere(tmp_path: Path) -> None:
    rows(30).save_to_disk(tmp_path / "set")
    state = tmp_path / "set" / "state.json"
    state.write_text(state.read_text().replace("data-00000", "../data-00000"))
    assert "outside the folder" in fault(tmp_path / "set")


def outside(folder: Path, split: object) -> Path:
    """Two splits that ``save_to_disk`` has written, of which the second is said to be ``split``."""
    DatasetDict(train=rows(6), test=rows(3)).save_to_disk(folder / "set")
    rows(30).save_to_disk(folder / "other")
    DatasetDict(y=rows(30)).save_to_disk(folder / "set" / "x")
    (folder / "set" / "dataset_dict.json").write_text(json.dumps({"splits": ["train", split]}))
    return folder / "set"


@pytest.mark.parametrize("split", ["x/y", "../other", "/etc", "..", ".", "", "a::b", "a\\b", "\0", "a\nb", 3, None, []])
def test_a_split_that_is_no_folder_in_it(tmp_path: Path, split: object) -> None:
    assert "is no name of a split" in fault(outside(tmp_path, split))


@pytest.mark.parametrize("content", ["[]", "{}", "3", '{"splits": 3}', '{"splits": null}', "[" * 100_000, "{"])
def test_a_list_of_splits_that_is_none(tmp_path: Path, content: str) -> None:
    folder = outside(tmp_path, "test")
    (folder / "dataset_dict.json").write_text(content)
    assert "cannot be read" in fault(folder)


@pytest.mark.parametrize("name", ["dataset_dict.json", "test/state.json", "test/dataset_info.json"])
def test_what_describes_a_set_is_not_read_without_a_bound(tmp_path: Path, name: str) -> None:
    folder = outside(tmp_path, "test")
    os.truncate(folder / name, 10**8)
    assert "100,000,000 bytes" in fault(folder)


def test_a_state_of_a_split_that_names_a_file_elsewhere(tmp_path: Path) -> None:
    DatasetDict(train=rows(6), test=rows(3)).save_to_disk(tmp_path / "set")
    state = tmp_path / "set" / "test" / "state.json"
    state.write_text(state.read_text().replace("data-00000", "../train/data-00000"))
    assert "outside the folder" in fault(tmp_path / "set")


BAD = b"caf\xe9"
NOT_UTF_8 = pyarrow.Array.from_buffers(
    pyarrow.string(), 6, [None, pyarrow.py_buffer(np.arange(7, dtype=np.int32) * 4), pyarrow.py_buffer(BAD * 6)]
)


def test_a_class_whose_name_is_half_a_letter(tmp_path: Path) -> None:
    rows(6).to_parquet(tmp_path / "a.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    metadata = {"huggingface": table.schema.metadata[b"huggingface"].replace(b"bee", b"\\ud800")}
    pyarrow.parquet.write_table(table.replace_schema_metadata(metadata), tmp_path / "a.parquet")
    assert "a.parquet has a name that is not UTF-8: rename it" in fault(tmp_path / "a.parquet")


def test_a_label_that_is_not_utf_8(tmp_path: Path) -> None:
    table = pyarrow.table({"image": [png(i) for i in range(6)], "label": NOT_UTF_8})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    said = fault(tmp_path / "a.parquet")
    assert said.endswith("a.parquet has labels that are not UTF-8: write text as UTF-8")


@pytest.mark.parametrize("content", [None, png(0)])
def test_a_path_that_is_not_utf_8(tmp_path: Path, content: bytes | None) -> None:
    contents = pyarrow.array([content] * 6, pyarrow.binary())
    images = pyarrow.StructArray.from_arrays([contents, NOT_UTF_8], ["bytes", "path"])
    table = pyarrow.table({"image": images, "label": [0, 1] * 3})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    said = fault(tmp_path / "a.parquet")
    assert said.endswith("a.parquet has paths of images that are not UTF-8: write text as UTF-8")


def test_without_the_library_the_extra_is_named(tmp_path: Path) -> None:
    rows(30).to_parquet(tmp_path / "birds.parquet")
    code = "import sys; sys.modules['datasets'] = None; from wmdd.cli.main import main; sys.exit(main(sys.argv[1:]))"
    for data in (str(tmp_path / "birds.parquet"), "hf:someone/birds"):
        done = subprocess.run(
            [sys.executable, "-c", code, "check", data], capture_output=True, text=True, cwd=tmp_path, check=False
        )
        assert done.returncode == 2
        assert "pip install 'datasets" in done.stderr
        assert "Traceback" not in done.stderr
