"""Exports: what other tools read is what the run made, to the bit, and what is not an export is refused."""

import gc
import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow.parquet
import pytest
import torch
import webdataset
import yaml
from coloured_images import snapshot
from PIL import Image
from real_images import digit_folder
from safetensors.torch import load_file
from torchvision.datasets import ImageFolder

import wmdd
from wmdd.cli.main import main
from wmdd.config import DataConfig
from wmdd.data import open_source
from wmdd.exports import FORMS
from wmdd.pipeline.artifacts import load_teacher
from wmdd.pipeline.run_directory import RunDirectory

SETTINGS = {
    "data.image_size": 16,
    "teacher.epochs": 8,
    "teacher.batch_size": 20,
    "synthesis.steps": 5,
    "evaluation.seeds": [0],
    "evaluation.epochs": 2,
    "runtime.threads": 1,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    data = digit_folder(folder / "my digits", classes=4, train=30, val=15)
    wmdd.distill(data, folder / "run", ipc=3, settings=SETTINGS)
    return folder / "run"


@pytest.mark.parametrize("form", FORMS)
def test_what_was_exported_comes_back(run: Path, tmp_path: Path, form: str) -> None:
    made, back = wmdd.load(run), wmdd.load(wmdd.export(run, form, tmp_path / "out"))
    assert torch.equal(back.images, made.images)
    assert torch.equal(back.labels, made.labels)
    assert torch.equal(back.weights, made.weights)
    assert back.class_names == made.class_names
    assert back.preprocessing == made.preprocessing
    assert torch.equal(back[4][0], made[4][0])
    assert back.logits is not None
    with torch.no_grad():
        expected = load_teacher(RunDirectory(run)).logits(made.preprocessing.normalize(made.images))
    assert torch.equal(back.logits, expected)


@pytest.mark.parametrize(("form", "limit"), [("hf", "parquet._ROWS"), ("webdataset", "shards._SAMPLES")])
def test_sets_of_several_files(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, limit: str
) -> None:
    monkeypatch.setattr(f"wmdd.exports.{limit}", 5)
    made, out = wmdd.load(run), wmdd.export(run, form, tmp_path / "out")
    back = wmdd.load(out)
    assert len([*out.glob("*.tar"), *out.glob("data/*")]) == 3
    assert torch.equal(back.images, made.images)
    assert torch.equal(back.labels, made.labels)
    assert torch.equal(back.weights, made.weights)


def test_metadata_of_several_files(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wmdd.exports.parquet._ROWS", 5)
    out = wmdd.export(run, "hf", tmp_path / "out")
    labels = datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache"))["label"]
    assert list(labels) == wmdd.load(run).labels.tolist()
    described = json.loads((out / "croissant.json").read_text())
    files = {entry["@id"] for entry in described["distribution"]}
    used = {field["source"]["fileObject"]["@id"] for records in described["recordSet"] for field in records["field"]}
    assert files == used == {path.name for path in out.glob("data/*")}


def test_the_folder_is_an_image_folder(run: Path, tmp_path: Path) -> None:
    made, read = wmdd.load(run), ImageFolder(str(wmdd.export(run, "folder", tmp_path / "out")))
    assert read.classes == list(made.class_names)
    assert read.targets == made.labels.tolist()
    for i, (image, label) in enumerate(read):
        assert np.array_equal(np.asarray(image).transpose(2, 0, 1), made.images[i].numpy())
        assert label == made.labels[i]


def test_the_tensors_are_plain(run: Path, tmp_path: Path) -> None:
    made, out = wmdd.load(run), wmdd.export(run, "tensors", tmp_path / "out")
    kept = load_file(out / "distilled.safetensors")
    plain = torch.load(out / "distilled.pt", weights_only=True)
    assert kept.keys() == plain.keys() == {"images", "labels", "weights", "logits"}
    assert all(torch.equal(kept[name], plain[name]) for name in kept)
    assert torch.equal(kept["images"], made.images)
    assert kept["logits"].shape == (12, 4)


def test_hugging_faces_library_loads_the_parquet(
    run: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made, out = wmdd.load(run), wmdd.export(run, "hf", tmp_path / "out", licence="CC BY 4.0")
    read = datasets.load_dataset(str(out), cache_dir=str(tmp_path_factory.mktemp("cache")))
    assert list(read) == ["train"]
    assert read["train"].features["label"].names == list(made.class_names)
    assert read["train"]["label"] == made.labels.tolist()
    assert read["train"]["weight"] == pytest.approx(made.weights.tolist(), abs=0)
    logits = wmdd.load(out).logits
    assert logits is not None
    assert torch.equal(torch.tensor(read["train"]["logits"]), logits)
    for i, row in enumerate(read["train"]):
        assert np.array_equal(np.asarray(row["image"]).transpose(2, 0, 1), made.images[i].numpy())


def test_the_card_and_the_metadata(run: Path, tmp_path: Path) -> None:
    out = wmdd.export(run, "hf", tmp_path / "out", licence="CC BY 4.0")
    _, header, text = (out / "README.md").read_text().split("---\n", 2)
    facts = yaml.safe_load(header)
    assert facts["license_name"] == "cc-by-4.0"
    assert facts["size_categories"] == ["n<1K"]
    assert "| wmdd | 3 | wmdd-" in text
    assert "| random-real | 3 | wmdd-" in text
    assert "CC BY 4.0" in text
    with Image.open(out / "images.png") as picture:
        assert picture.size == (48, 64)
    described = json.loads((out / "croissant.json").read_text())
    (parquet,) = (out / "data").glob("*.parquet")
    (file,) = [entry for entry in described["distribution"] if entry["@type"] == "cr:FileObject"]
    assert file["sha256"] == hashlib.sha256(parquet.read_bytes()).hexdigest()
    assert file["contentUrl"] == f"data/{parquet.name}"
    columns = pyarrow.parquet.read_schema(parquet).names
    assert [field["source"]["extract"]["column"] for field in described["recordSet"][0]["field"]] == columns


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves the file open
def test_webdataset_reads_the_shards(run: Path, tmp_path: Path) -> None:
    made, out = wmdd.load(run), wmdd.export(run, "webdataset", tmp_path / "out")
    rows = list(webdataset.WebDataset(str(out / "train-000000.tar"), shardshuffle=False).decode("rgb8"))
    gc.collect()  # what it leaves open, before another test is blamed
    assert [row["cls"] for row in rows] == made.labels.tolist()
    assert [row["json"]["weight"] for row in rows] == made.weights.tolist()
    logits = wmdd.load(out).logits
    for i, row in enumerate(rows):
        assert np.array_equal(row["png"].transpose(2, 0, 1), made.images[i].numpy())
        assert logits is not None
        assert np.array_equal(row["logits.npy"], logits[i].numpy())


@pytest.mark.parametrize("form", ["hf", "webdataset"])
def test_an_export_is_data(run: Path, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    source = open_source(DataConfig(source=str(wmdd.export(run, form, tmp_path / "out"))))
    assert source.class_names == wmdd.load(run).class_names
    assert len(source.train) + len(source.validation) == 12


@pytest.mark.parametrize("form", FORMS)
def test_equal_exports_are_equal_files(run: Path, tmp_path: Path, form: str) -> None:
    one, two = (snapshot(wmdd.export(run, form, tmp_path / name)) for name in ("one", "two"))
    assert one == two


@pytest.mark.parametrize("form", ["hf", "webdataset"])
def test_damaged_files_of_rows_are_refused(run: Path, tmp_path: Path, form: str) -> None:
    out = wmdd.export(run, form, tmp_path / "out")
    (file,) = [*out.glob("*.tar"), *out.glob("data/*")]
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(wmdd.WmddError, match=r"(is damaged|of the 12 images)"):
        wmdd.load(out)
    file.unlink()
    with pytest.raises(wmdd.WmddError, match="has 0 of the 12 images"):
        wmdd.load(out)


def test_without_pyarrow_the_extra_is_named(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    words = ["export", str(run), "--to", "hf", "--out", str(tmp_path / "out")]
    assert "pip install 'pyarrow" in refused(words, capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", FORMS)
def test_the_manifest_says_what_it_is(run: Path, tmp_path: Path, form: str) -> None:
    out = wmdd.export(run, form, tmp_path / "out", licence="CC0-1.0")
    text = (out / "manifest.json").read_text()
    manifest = json.loads(text)
    assert [entry["name"] for entry in manifest["classes"]] == [f"digit {k}" for k in range(4)]
    assert manifest["images"] == {"count": 12, "per_class": 3, "size": 16, "real_pixels": True}
    assert manifest["source"]["licence"] == "CC0-1.0"
    assert manifest["source"]["train"] == 120
    assert manifest["recipe"]["synthesis"]["steps"] == 5
    assert {row["method"] for row in manifest["scores"]} == {"wmdd", "random-real"}
    assert manifest["teacher"]["sha256"] == wmdd.load(run).provenance["teacher"]
    assert str(tmp_path.anchor) + "tmp" not in text
    assert str(run.parent) not in text


def test_the_command(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(run), "--to", "tensors"]) == 0
    assert capsys.readouterr().out == f"export: {run / 'export' / 'tensors'}\n"
    assert len(wmdd.load(run / "export" / "tensors")) == 12
    assert main(["info", str(run)]) == 0


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_what_is_there_stays(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    assert "out is there already" in refused(["export", str(run), "--out", str(tmp_path / "out")], capsys)
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine.txt"]


def test_forms_and_runs_that_are_none(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--to is 'floder', but should be folder or tensors or hf or webdataset" in refused(
        ["export", str(run), "--to", "floder", "--out", str(tmp_path / "out")], capsys
    )
    assert "there is no run in" in refused(["export", str(tmp_path / "none")], capsys)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_an_export_that_fails(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import wmdd.exports.folder as module

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_tensors", full)
    assert "out cannot be written: No space left" in refused(
        ["export", str(run), "--out", str(tmp_path / "out")], capsys
    )
    assert list(tmp_path.iterdir()) == []


def changed(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def spoil(out: Path) -> None:
        manifest = json.loads((out / "manifest.json").read_text())
        change(manifest)
        (out / "manifest.json").write_text(json.dumps(manifest))

    return spoil


SPOILT = {
    "another format": (changed(lambda m: m.update(format="other/1")), "is not the manifest of an export"),
    "a list": (lambda out: (out / "manifest.json").write_text("[]"), "is not the manifest of an export"),
    "no JSON": (lambda out: (out / "manifest.json").write_text("{"), "is missing or damaged"),
    "a folder outside": (changed(lambda m: m["classes"][0].update(folder="../x")), "which is none inside it"),
    "an absolute folder": (changed(lambda m: m["classes"][0].update(folder="/etc")), "which is none inside it"),
    "a class that is no table": (changed(lambda m: m.update(classes=[1])), "which is none inside it"),
    "no sizes": (changed(lambda m: m.pop("images")), "is damaged"),
    "another form": (changed(lambda m: m.update(form="zarr")), "is damaged"),
    "more images": (changed(lambda m: m["images"].update(per_class=4)), "003.png is missing"),
    "a missing image": (lambda out: (out / "digit 1" / "001.png").unlink(), "001.png is missing"),
    "a cut image": (lambda out: (out / "digit 1" / "001.png").write_bytes(b"\x89PNG"), "001.png is missing or damaged"),
    "cut labels": (lambda out: (out / "labels.safetensors").write_bytes(b"123"), "labels.safetensors is missing or"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_damaged_exports_are_refused(run: Path, tmp_path: Path, name: str) -> None:
    spoil, sentence = SPOILT[name]
    out = wmdd.export(run, "folder", tmp_path / "out")
    spoil(out)
    with pytest.raises(wmdd.WmddError, match=sentence):
        wmdd.load(out)


def test_a_run_without_its_manifest_is_no_traceback(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = shutil.copytree(run, tmp_path / "bare")
    (bare / "manifest.json").unlink()
    assert main(["export", str(bare), "--out", str(tmp_path / "out")]) == 2
    assert "manifest.json is missing: `wmdd run" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
