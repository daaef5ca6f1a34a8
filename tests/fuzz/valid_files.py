"""Small valid files of every kind that the package reads, as bytes."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import torch
from PIL import Image
from safetensors.torch import save

from wmdd.config import RunConfig
from wmdd.config.load import to_yaml
from wmdd.core.records import UnitRecord
from wmdd.core.types import DistilledDataset, Preprocessing, SoftLabels
from wmdd.exports import FORMS
from wmdd.models import build_network
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.storage.json import write_sealed
from wmdd.storage.labels import write_soft_labels

DRAW = np.random.default_rng(0)
SIDE, CLASSES = 8, 2


def picture(format: str = "PNG", mode: str = "RGB", side: int = SIDE, **options: Any) -> bytes:
    pixels = DRAW.integers(0, 256, (side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, format, **options)
    return file.getvalue()


PICTURES = [picture(), picture(mode="L"), picture(mode="P"), picture(mode="RGBA"), picture(mode="I;16")]
IMAGES = [
    *PICTURES,
    *(picture("JPEG"), picture("JPEG", "L"), picture("JPEG", "CMYK"), picture("JPEG", progressive=True)),
    *(picture("WEBP"), picture("WEBP", lossless=True), picture("BMP"), picture("BMP", "P"), picture("BMP", "1")),
]  # fmt: skip
EIGHT = [picture() for _ in range(8)]


def written(make: Callable[[Path], object], name: str = "x") -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder) / name)
        return (Path(folder) / name).read_bytes()


def zipped(names: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, content in names.items():
            archive.writestr(name, content)
    return file.getvalue()


def tarred(names: dict[str, bytes], format: int = tarfile.GNU_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format) as archive:
        for name, content in names.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


FOLDER = {f"{kind}/{i}.png": EIGHT[i + 2 * (kind == "b")] for kind in "ab" for i in range(2)}
SAMPLES = {f"{i}.{end}": EIGHT[i] if end == "png" else str(i % 2).encode() for i in range(4) for end in ("png", "cls")}
LONG = {"a" * 120 + "/" + name: content for name, content in FOLDER.items()}

ZIPS = [zipped(FOLDER), zipped(FOLDER, zipfile.ZIP_STORED), zipped({f"set/{k}": v for k, v in FOLDER.items()})]
TARS = [tarred(FOLDER), tarred(LONG), tarred({**FOLDER, "é.txt": b""} | LONG, tarfile.PAX_FORMAT)]
PACKED_TARS = [gzip.compress(tar, 1) for tar in TARS]
BZIPPED_TARS = [bz2.compress(tar, 1) for tar in TARS]
XZ_TARS = [lzma.compress(tar, preset=0) for tar in TARS]
SHARDS = [tarred(SAMPLES), tarred({k.replace("cls", "json"): v for k, v in SAMPLES.items()} | {"9.cls": b"1"})]

JSONS = [b'{"a": [1, 2.5, null, "x"], "b": {"c": true}}\n', b"[]", json.dumps({"x": list(range(40))}).encode()]
SEALED = [written(lambda path: write_sealed(path, {"a": [1, 2.5, None, "é"], "b": {"c": True}}))]
LINES = [b'{"stage": "teacher", "unit": "t", "step": 1, "loss": 2.5}\n' * 4, b'{"step": 1}\n{"ste']
CSV = [
    b"path,label\n" + b"".join(f"{name},{name[0]}\n".encode() for name in FOLDER),
    b'path,label,split\na/0.png,"a b",train\nb/0.png,b,train\na/1.png,"a b",val\nb/1.png,b,val\n',
]
YAMLS = [
    to_yaml(RunConfig()).encode(),
    b"ipc: 3\nsynthesis: {steps: 4, lr: 0.1}\nteacher:\n  arch: &a resnet18\n"
    b"evaluation: {students: [*a], seeds: [0, 1]}\n",
    b"# x\nseed: 0x10\ndata:\n  source: |\n    a b\n  memory_gb: 1.5e+1\n  flip: auto\n",
]

TENSORS = [
    save({"a": torch.arange(6.0).view(2, 3), "b": torch.zeros(2, dtype=torch.int64)}, {"key": "k", "method": "exact"}),
    save({"a": torch.zeros(0, 3).half(), "b": torch.ones(2, 2, dtype=torch.bool)}),
]


def _labels(in_four_bits: bool) -> bytes:
    boxes = torch.zeros(2, 3, 4).short()
    flips, partners = torch.zeros(2, 3, dtype=torch.bool), torch.zeros(2, 3).int()
    labels = SoftLabels(torch.randn(2, 3, 4).half(), boxes, flips, partners, boxes)
    return written(lambda path: write_soft_labels(path, labels, in_four_bits=in_four_bits))


LABELS = [_labels(False), _labels(True)]


def _arrays(**arrays: Any) -> bytes:
    return written(lambda path: np.savez_compressed(path, **arrays), "x.npz")


_PIXELS, _HALVES = DRAW.integers(0, 256, (8, 4, 4, 3), dtype=np.uint8), np.arange(8) % 2
ARRAYS = [
    _arrays(images=_PIXELS, labels=_HALVES, class_names=np.array(["ant", "bee"])),
    _arrays(x_train=_PIXELS[..., 0], y_train=_HALVES[:, None], x_test=_PIXELS[..., 0], y_test=_HALVES[:, None]),
    written(lambda path: np.savez(path, images=_PIXELS, labels=_HALVES), "x.npz"),
]


def _batch(labels: str, protocol: int) -> bytes:
    return pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), labels.encode(): [0, 1]}, protocol)


BATCHES = [_batch(labels, protocol) for labels in ("labels", "fine_labels") for protocol in (0, 2, 4)]
PICKLES = [
    *BATCHES,
    *(
        pickle.dumps({"label_names": ["a", "b"], "fine_label_names": ["a", "b"], "x": (1, 2.5, None)}, p)
        for p in (0, 2, 4)
    ),
]


def _state() -> dict[str, torch.Tensor]:
    """A little of each tensor, so that files are small."""
    network = build_network("convnet3", CLASSES, SIDE, "small", 3)
    return {name: tensor.flatten()[:4].clone() for name, tensor in network.state_dict().items()}


def _saved(value: object, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


CHECKPOINTS = [
    _saved(_state()),
    _saved({"state_dict": _state(), "epoch": 3}),
    _saved(_state(), _use_new_zipfile_serialization=False),
    _saved(
        {
            "a": torch.zeros(2).to_sparse(),
            "b": torch.zeros(2, dtype=torch.complex64),
            "c": torch.nn.Parameter(torch.ones(1)),
        }
    ),
]
TENSOR_CHECKPOINTS = [save(_state())]


def _table(**columns: Any) -> bytes:
    return written(lambda path: pyarrow.parquet.write_table(pyarrow.table(columns), path))


PARQUETS = [
    _table(image=EIGHT, label=[0, 1] * 4),
    _table(image=[{"bytes": data, "path": None} for data in EIGHT], label=["ant", "bee"] * 4),
]

_LOGITS = torch.randn(4, CLASSES)
MANIFEST: dict[str, Any] = {
    "format": "wmdd-export/1",
    "wmdd": "0.1.0",
    "classes": [{"index": k, "name": name, "folder": name} for k, name in enumerate("ab")],
    "images": {"count": 4, "per_class": 2, "size": SIDE, "real_pixels": True},
    "preprocessing": {"mean": [0.5] * 3, "std": [0.2] * 3},
    "source": {"name": "x", "fingerprint": "f", "train": 8, "validation": 2, "licence": None},
    "teacher": {"arch": "convnet3", "stem": "small", "top1": 90.0, "top5": 100.0, "sha256": "s"},
    "recipe": {"seed": 0, "synthesis": {"init": "real", "steps": 200}},
    "scores": [],
}


def write_export(form: str, folder: Path) -> None:
    """A set of four images as ``form``."""
    distilled = DistilledDataset(
        images=torch.randint(0, 256, (4, 3, SIDE, SIDE), dtype=torch.uint8),
        labels=torch.tensor([0, 0, 1, 1]),
        weights=torch.full((4,), 0.5),
        class_names=("a", "b"),
        preprocessing=Preprocessing(SIDE),
        provenance={},
        logits=_LOGITS,
    )
    folder.mkdir(parents=True)
    FORMS[form].write(distilled, MANIFEST | {"form": form}, folder)


RECORD = UnitRecord(
    "classes-0-1",
    "k" * 8,
    {"classes": [0, 1]},
    {"artifacts/teacher/t.json": "0" * 64},
    1.5,
    30.0,
    "machine",
    {"torch": "2"},
)


def write_run(folder: Path) -> None:
    """Settings, data and a unit of each stage; the units' files are not there."""
    run = RunDirectory(folder)
    run.write_config(RunConfig())
    run.record("teacher", RECORD)
    run.record("statistics", RECORD)
    run.write_manifest({"source": "x", "classes": {"a": 0, "b": 1}, "fingerprint": "f", "train": 8, "validation": 2})
