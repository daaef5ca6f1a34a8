"""A Hugging Face data set: ``data/train-*.parquet``, a card, Croissant metadata and ``manifest.json``."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wmdd.core.bounded import EXPORT, check_size
from wmdd.core.errors import RunError, SettingsError
from wmdd.core.types import DistilledDataset
from wmdd.exports.card import PICTURE, card, picture
from wmdd.exports.croissant import croissant
from wmdd.exports.encoded import decode_png
from wmdd.exports.sound import stacked
from wmdd.storage.atomic import write_bytes, write_text
from wmdd.storage.images import png_bytes
from wmdd.storage.json import write_json

_ROWS = 4096  # of a file: some 400 MB at 224 px
_GROUP = 100  # rows that are read together


def write_parquet(distilled: DistilledDataset, manifest: Mapping[str, Any], folder: Path) -> None:
    """Write the set into ``folder``, which exists and is empty.

    Raises:
        SettingsError: pyarrow is not installed.
    """
    files = -(-len(distilled) // _ROWS)
    for number in range(files):
        rows = slice(number * _ROWS, (number + 1) * _ROWS)
        write_bytes(folder / "data" / f"train-{number:05d}-of-{files:05d}.parquet", _file(distilled, rows))
    write_bytes(folder / PICTURE, picture(distilled))
    write_text(folder / "README.md", card(manifest))
    write_json(folder / "croissant.json", croissant(manifest, sorted(folder.glob("data/*.parquet"))))
    write_json(folder / "manifest.json", manifest)


def read_parquet(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Tensor]:
    """Images uint8 ``[M, C, S, S]``, labels, weights and logits of an exported data set.

    Raises:
        RunError: a file is missing or damaged.
    """
    pyarrow = _library()
    tables = []
    for path in sorted(folder.glob("data/train-*.parquet")):
        try:
            check_size(path, EXPORT)
            tables.append(_table(pyarrow, path))
        except (OSError, ValueError) as error:
            raise RunError(f"{path} is damaged ({_first_line(error)}): export the run again.") from error
    found = sum(len(table) for table in tables)
    if found != manifest["images"]["count"]:
        raise RunError(
            f"{folder / 'data'} has {found} of the {manifest['images']['count']} images: export the run again."
        )
    table = pyarrow.concat_tables(tables)
    images = [
        decode_png(cell["bytes"], f"image {i} of {folder / 'data'}")
        for i, cell in enumerate(table.column("image").to_pylist())
    ]
    return {
        "images": stacked(images, "images", str(folder / "data")),
        "labels": torch.tensor(table.column("label").to_pylist(), dtype=torch.int64),
        "weights": torch.tensor(table.column("weight").to_pylist(), dtype=torch.float32),
        "logits": torch.tensor(table.column("logits").to_pylist(), dtype=torch.float32),
    }


def _table(pyarrow: Any, path: Path) -> Any:
    """The rows of one file. Raises ``ValueError`` if it claims more than any that is written here."""
    with pyarrow.parquet.ParquetFile(path) as file:
        # What is repeated takes no bytes, so a file of any size may claim any number of rows.
        if file.metadata.num_rows > _ROWS:
            raise ValueError(f"{file.metadata.num_rows:,} rows")
        return file.read()


def _file(distilled: DistilledDataset, rows: slice) -> bytes:
    """The content of a parquet file of these rows."""
    pyarrow = _library()
    assert distilled.logits is not None, "an export has logits"
    images = [{"bytes": png_bytes(image), "path": None} for image in distilled.images[rows]]
    logits = distilled.logits[rows].float().numpy()
    columns = {
        "image": pyarrow.array(
            images, pyarrow.struct([pyarrow.field("bytes", pyarrow.binary()), pyarrow.field("path", pyarrow.string())])
        ),
        "label": pyarrow.array(distilled.labels[rows].numpy()),
        "weight": pyarrow.array(distilled.weights[rows].numpy().astype(np.float32)),
        "logits": pyarrow.array(list(logits), pyarrow.list_(pyarrow.float32(), logits.shape[1])),
    }
    # What ``datasets`` reads the columns' meaning from.
    metadata = {"huggingface": json.dumps({"info": {"features": _features(distilled)}})}
    buffer = io.BytesIO()
    table = pyarrow.table(columns).replace_schema_metadata(metadata)
    pyarrow.parquet.write_table(table, buffer, row_group_size=_GROUP)
    return buffer.getvalue()


def _features(distilled: DistilledDataset) -> dict[str, Any]:
    number = {"dtype": "float32", "_type": "Value"}
    return {
        "image": {"_type": "Image"},
        "label": {"names": list(distilled.class_names), "_type": "ClassLabel"},
        "weight": number,
        "logits": {"feature": number, "length": len(distilled.class_names), "_type": "Sequence"},
    }


def _library() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise SettingsError("the form hf needs pyarrow: run `pip install 'wmdd[hf]'`.") from error
    return pyarrow


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
