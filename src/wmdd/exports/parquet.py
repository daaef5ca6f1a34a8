"""A Hugging Face data set: ``data/train-*.parquet``, a card, Croissant metadata and ``manifest.json``."""

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wmdd.core.bounded import EXPORT, IMAGE, TooLargeError, check_size
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
_GROUP = 100  # rows that are compressed together
_AT_ONCE = 16  # rows that are read at once
_COLUMNS = ("image.bytes", "label", "weight", "logits")


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
        RunError: a file is missing or damaged, or would fill the memory.
    """
    pyarrow, where, count = _library(), folder / "data", manifest["images"]["count"]
    files, classes, found = sorted(where.glob("train-*.parquet")), len(manifest["classes"]), 0
    for path in files:
        with _table(pyarrow, path, classes) as table:
            found += table.metadata.num_rows
    if found != count:
        raise RunError(f"{where} has {found} of the {count!s:.20} images: export the run again.")
    images: list[Tensor] = []
    labels: list[int] = []
    weights: list[float] = []
    logits: list[Tensor] = []
    for path in files:
        with _table(pyarrow, path, classes) as table:
            for rows in table.iter_batches(_rows_at_once(table.metadata), columns=list(_COLUMNS)):
                for cell in rows.column("image").field("bytes").cast(pyarrow.large_binary()):
                    images.append(decode_png(_content(cell), f"image {len(images)} of {where}"))
                labels += rows.column("label").cast(pyarrow.int64()).to_pylist()
                weights += rows.column("weight").cast(pyarrow.float32()).to_pylist()
                values = rows.column("logits").cast(pyarrow.list_(pyarrow.float32())).to_pylist()
                logits += torch.tensor(values, dtype=torch.float32)
    return {
        "images": stacked(images, "images", str(where)),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "weights": torch.tensor(weights, dtype=torch.float32),
        "logits": stacked(logits, "logits", str(where)),
    }


@contextmanager
def _table(pyarrow: Any, path: Path, classes: int) -> Iterator[Any]:
    """One file, its rows not read yet. ``RunError`` if it, or what is read of it within, is damaged."""
    try:
        check_size(path, EXPORT)
        with pyarrow.parquet.ParquetFile(path) as file:
            _check_amounts(file.metadata, classes)
            yield file
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise RunError(f"{path} is damaged ({_first_line(error)}): export the run again.") from error


def _check_amounts(metadata: Any, classes: int) -> None:
    """Refuse more than is written here: what is repeated takes no bytes, so a file of any size may hold any amount.

    Raises:
        OSError: a column has too many bytes when it is unpacked.
        ValueError: there are too many rows, or a column has more values than the rows need.
    """
    if metadata.num_rows > _ROWS:
        raise ValueError(f"{metadata.num_rows:,} rows")
    for group, chunk in _chunks(metadata):
        if chunk.total_uncompressed_size > EXPORT:
            raise TooLargeError(chunk.total_uncompressed_size, EXPORT)
        name = chunk.path_in_schema.partition(".")[0]
        if chunk.num_values > group.num_rows * (classes if name == "logits" else 1):
            raise ValueError(f"{chunk.num_values:,} values of {name} in {group.num_rows:,} rows")


def _rows_at_once(metadata: Any) -> int:
    """As many as surely fit into the bytes of the largest image: no cell has more than its column."""
    largest = max((chunk.total_uncompressed_size for _, chunk in _chunks(metadata)), default=0)
    return min(max(IMAGE // max(largest, 1), 1), _AT_ONCE)


def _chunks(metadata: Any) -> Iterator[tuple[Any, Any]]:
    """The groups of rows in a file, each with every part of a column in it that is read."""
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for chunk in map(group.column, range(group.num_columns)):
            if chunk.path_in_schema.startswith(_COLUMNS):
                yield group, chunk


def _content(cell: Any) -> bytes:
    """The bytes of an image, none where the cell is empty. Raises ``OSError`` if they are too many."""
    content = cell.as_buffer()
    if content is None:
        return b""
    if content.size > IMAGE:
        raise TooLargeError(content.size, IMAGE)
    return bytes(content)


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
        raise SettingsError("the form hf needs pyarrow: run `pip install 'pyarrow>=17.0'`.") from error
    return pyarrow


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
