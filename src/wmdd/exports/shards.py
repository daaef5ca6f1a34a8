"""WebDataset shards: ``train-*.tar`` of ``KEY.png``, ``KEY.cls``, ``KEY.json`` and ``KEY.logits.npy``."""

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wmdd.core.bounded import EXPORT, check_size
from wmdd.core.errors import RunError
from wmdd.core.tar_headers import SoundHeader
from wmdd.core.types import DistilledDataset
from wmdd.exports.encoded import decode_png
from wmdd.exports.sound import stacked
from wmdd.storage.atomic import write_bytes, write_text
from wmdd.storage.images import png_bytes
from wmdd.storage.json import write_json

_SAMPLES = 1000  # of a shard


def write_shards(distilled: DistilledDataset, manifest: Mapping[str, Any], folder: Path) -> None:
    """Write the set into ``folder``, which exists and is empty."""
    for shard, first in enumerate(range(0, len(distilled), _SAMPLES)):
        content = _shard(distilled, range(first, min(first + _SAMPLES, len(distilled))))
        write_bytes(folder / f"train-{shard:06d}.tar", content)
    write_text(folder / "classnames.txt", "".join(f"{' '.join(name.split())}\n" for name in distilled.class_names))
    write_json(folder / "manifest.json", manifest)


def read_shards(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Tensor]:
    """Images uint8 ``[M, C, S, S]``, labels, weights and logits of exported shards.

    Raises:
        RunError: a shard is missing or damaged.
    """
    samples: dict[str, dict[str, bytes]] = {}
    for path in sorted(folder.glob("train-*.tar")):
        for name, content in _members(path):
            key, _, ending = name.partition(".")
            samples.setdefault(key, {})[ending] = content
    if len(samples) != (count := manifest["images"]["count"]):
        raise RunError(f"{folder} has {len(samples)} of the {count!s:.20} images: export the run again.")
    keys, where = sorted(samples), str(folder)
    images = [decode_png(samples[key]["png"], f"{key}.png in {folder}") for key in keys]
    logits = [_array(samples[key]["logits.npy"], f"{key}.logits.npy in {folder}") for key in keys]
    return {
        "images": stacked(images, "images", where),
        "labels": torch.tensor([int(samples[key]["cls"]) for key in keys]),
        "weights": torch.tensor([json.loads(samples[key]["json"])["weight"] for key in keys], dtype=torch.float32),
        "logits": stacked(logits, "logits", where),
    }


def _shard(distilled: DistilledDataset, rows: range) -> bytes:
    assert distilled.logits is not None, "an export has logits"
    buffer, logits = io.BytesIO(), distilled.logits.float().numpy()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for i in rows:
            label = int(distilled.labels[i])
            facts = {"label": label, "class": distilled.class_names[label], "weight": float(distilled.weights[i])}
            _add(archive, f"{i:08d}.png", png_bytes(distilled.images[i]))
            _add(archive, f"{i:08d}.cls", str(label).encode())
            _add(archive, f"{i:08d}.json", json.dumps(facts).encode())
            _add(archive, f"{i:08d}.logits.npy", _array_bytes(logits[i]))
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)  # its time is 0: equal sets are equal files
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        check_size(path, EXPORT)
        with tarfile.open(path, "r:", tarinfo=SoundHeader) as archive:
            for member in archive:
                if member.isreg() and not member.issparse():  # a sparse one unpacks to more than its bytes
                    file = archive.extractfile(member)
                    assert file is not None, "a plain file has a content"
                    yield member.name, file.read()
    except (OSError, tarfile.TarError) as error:
        raise RunError(f"{path} is damaged ({error}): export the run again.") from error


def _array_bytes(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()


def _array(content: bytes, where: str) -> Tensor:
    try:
        return torch.from_numpy(np.load(io.BytesIO(content), allow_pickle=False))
    except Exception as error:  # NumPy parses headers as Python, and raises whatever that stumbles over
        raise RunError(f"{where} is damaged ({error}): export the run again.") from error
