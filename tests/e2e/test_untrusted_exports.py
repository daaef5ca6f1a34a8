"""Exports of other people, or that lost a part: refused in one sentence, with nothing executed and no memory filled."""

import io
import json
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import wmdd

Spoil = Callable[[Path], object]
ROWS = 6  # of the tiny run


def png(mode: str, side: int) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (side, side)).save(buffer, "PNG")
    return buffer.getvalue()


def bomb() -> bytes:
    """A PNG of a few bytes that claims 60,000 pixels a side."""
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"0")),
        (b"IEND", b""),
    ]
    chunks = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def npy(values: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=True)
    return buffer.getvalue()


def member(ending: str, content: bytes | None) -> Spoil:
    """One sample's member of that ending is replaced, or left out."""

    def spoil(out: Path) -> None:
        shard, buffer = out / "train-000000.tar", io.BytesIO()
        with tarfile.open(shard) as old, tarfile.open(fileobj=buffer, mode="w") as new:
            for entry in old:
                file = old.extractfile(entry)
                assert file is not None
                kept = content if entry.name == f"00000003.{ending}" else file.read()
                if kept is not None:
                    changed = tarfile.TarInfo(entry.name)
                    changed.size = len(kept)
                    new.addfile(changed, io.BytesIO(kept))
        shard.write_bytes(buffer.getvalue())

    return spoil


def column(name: str, values: list[Any], kind: pyarrow.DataType | None = None) -> Spoil:
    """The table's column is replaced."""

    def spoil(out: Path) -> None:
        (file,) = out.glob("data/*")
        table = pyarrow.parquet.read_table(file)
        changed = table.set_column(table.schema.get_field_index(name), name, pyarrow.array(values, kind))
        pyarrow.parquet.write_table(changed, file)

    return spoil


def no_weights(out: Path) -> None:
    (file,) = out.glob("data/*")
    pyarrow.parquet.write_table(pyarrow.parquet.read_table(file).drop(["weight"]), file)


def tensor(name: str, values: torch.Tensor) -> Spoil:
    return lambda out: save_file(
        load_file(out / "distilled.safetensors") | {name: values}, out / "distilled.safetensors"
    )


def manifest(change: Callable[[dict[str, Any]], object]) -> Spoil:
    def spoil(out: Path) -> None:
        facts = json.loads((out / "manifest.json").read_text())
        change(facts)
        (out / "manifest.json").write_text(json.dumps(facts))

    return spoil


def pictures(content: bytes | None) -> list[Any]:
    return [{"bytes": content, "path": "/etc/passwd"}] * ROWS


SPOILT: dict[str, tuple[str, Spoil, str]] = {
    "a bomb in a shard": ("webdataset", member("png", bomb()), "00000003.png .* is damaged"),
    "a smaller image in a shard": ("webdataset", member("png", png("RGB", 8)), "images of several sizes"),
    "a grey image in a shard": ("webdataset", member("png", png("L", 16)), "images of several sizes"),
    "a transparent image in a shard": ("webdataset", member("png", png("RGBA", 16)), "mode RGBA"),
    "no image in a shard": ("webdataset", member("png", None), "is damaged"),
    "empty logits": ("webdataset", member("logits.npy", b""), "00000003.logits.npy .* is damaged"),
    "pickled logits": ("webdataset", member("logits.npy", npy(np.array([{}]))), "00000003.logits.npy .* is damaged"),
    "text as logits": ("webdataset", member("logits.npy", npy(np.array(["x"]))), "00000003.logits.npy .* is damaged"),
    "fewer logits": ("webdataset", member("logits.npy", npy(np.zeros(2, np.float32))), "logits of several sizes"),
    "endless logits": (
        "webdataset",
        member("logits.npy", npy(np.zeros(1)).replace(b"(1,)", b"(99999999999999,)")),
        "00000003.logits.npy .* is damaged",
    ),
    "a label beyond the classes": ("webdataset", member("cls", b"3"), "labels should be from 0 to 2"),
    "a label below the classes": ("webdataset", member("cls", b"-1"), "labels should be from 0 to 2"),
    "a word as label": ("webdataset", member("cls", b"cat"), "is damaged"),
    "no label": ("webdataset", member("cls", None), "is damaged"),
    "a nested record": ("webdataset", member("json", b"[" * 100_000), "is damaged"),
    "a record without weight": ("webdataset", member("json", b"{}"), "is damaged"),
    "a bomb in a table": ("hf", column("image", pictures(bomb())), "image 0 of .* is damaged"),
    "a path in place of an image": ("hf", column("image", pictures(None)), "image 0 of .* is damaged"),
    "numbers as images": ("hf", column("image", list(range(ROWS))), "is damaged"),
    "words as labels": ("hf", column("label", ["cat"] * ROWS), "is damaged"),
    "labels beyond the classes": ("hf", column("label", [3] * ROWS), "labels should be from 0 to 2"),
    "weights that are none": ("hf", column("weight", [float("nan")] * ROWS), "weights should be numbers"),
    "no weights": ("hf", no_weights, "is damaged"),
    "no logits": ("hf", column("logits", [None] * ROWS, pyarrow.list_(pyarrow.float32())), "is damaged"),
    "ragged logits": ("hf", column("logits", [[0.0] * (1 + i) for i in range(ROWS)]), "is damaged"),
    "logits of one class": ("hf", column("logits", [[0.0]] * ROWS), r"logits are float32 \[6, 1\], but should be"),
    "images that are none": ("tensors", tensor("images", torch.zeros(3)), r"images are float32 \[3\], but should be"),
    "half of the labels": ("tensors", tensor("labels", torch.zeros(3, dtype=torch.int64)), r"labels are int64 \[3\]"),
    "another size": ("tensors", manifest(lambda m: m["images"].update(size=7)), r"should be uint8 \[6, 3, 7, 7\]"),
    "fewer means": ("tensors", manifest(lambda m: m["preprocessing"].update(mean=[0.5])), "1 means and 3 standard"),
    "a word as mean": ("tensors", manifest(lambda m: m["preprocessing"].update(mean="abc")), "is damaged"),
    "a list as form": ("tensors", manifest(lambda m: m.update(form=[])), "is damaged"),
    "fewer classes": ("folder", manifest(lambda m: m["classes"].pop()), "should be"),
    "no classes": ("folder", manifest(lambda m: m.update(classes=None)), "has no list of classes"),
    "a class without name": ("folder", manifest(lambda m: m["classes"][0].pop("name")), "which is no text"),
    "no images": ("folder", manifest(lambda m: m["images"].update(per_class=0)), "has images of no size"),
    "endless images": ("folder", manifest(lambda m: m["images"].update(per_class=10**15)), "00000.png is missing"),
    "a nested manifest": ("folder", lambda out: (out / "manifest.json").write_text("[" * 100_000), "is missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT)
def test_what_does_not_fit_together_is_refused(pristine_run: Path, tmp_path: Path, name: str) -> None:
    form, spoil, sentence = SPOILT[name]
    out = wmdd.export(pristine_run, form, tmp_path / "out")
    spoil(out)
    with pytest.raises(wmdd.WmddError, match=sentence) as caught:
        wmdd.load(out)
    assert len(str(caught.value).splitlines()) == 1
