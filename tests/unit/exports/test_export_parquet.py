"""Parquet of other people: no more of it is held than the set that the manifest promises."""

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from small_export import claim, small_set, write_export

from wmdd.core.errors import RunError
from wmdd.core.types import DistilledDataset
from wmdd.exports import load_export
from wmdd.storage.images import png_bytes


def spoilt(folder: Path, change: Callable[[pyarrow.Table], pyarrow.Table], **options: Any) -> Path:
    """An export whose table is changed; ``options`` are those of writing."""
    write_export("hf", folder)
    (file,) = folder.glob("data/*")
    pyarrow.parquet.write_table(change(pyarrow.parquet.read_table(file)), file, **options)
    return file


def replaced(name: str, values: Any, kind: Any = None) -> Callable[[pyarrow.Table], pyarrow.Table]:
    return lambda table: table.set_column(table.column_names.index(name), name, pyarrow.array(values, kind))


def fault(folder: Path) -> str:
    with pytest.raises(RunError) as caught:
        load_export(folder)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def padded(size: int) -> bytes:
    """A whole PNG of the set's side, with ``size`` bytes of a text that nobody reads."""
    png = png_bytes(small_set().images[0])
    chunk = b"prVt" + bytes(size)
    return png[:-12] + struct.pack(">I", size) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[-12:]


def repeated(count: int, content: bytes) -> pyarrow.Table:
    made = small_set(count)
    return pyarrow.table(
        {
            "image": [{"bytes": content, "path": None}] * count,
            "label": made.labels.tolist(),
            "weight": made.weights.numpy(),
            "logits": pyarrow.array(list(made.logits.numpy()), pyarrow.list_(pyarrow.float32(), 2)),
        }
    )


_POOLS: list[pyarrow.MemoryPool] = []  # what was taken from one may be held longer than it is used


def most_held(read: Callable[[], object]) -> int:
    """Bytes that arrow and Python have at most while ``read`` is called."""
    before, pool = pyarrow.default_memory_pool(), pyarrow.proxy_memory_pool(pyarrow.default_memory_pool())
    _POOLS.append(pool)
    pyarrow.set_memory_pool(pool)
    tracemalloc.start()
    try:
        read()
        return pool.max_memory() + tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        pyarrow.set_memory_pool(before)


def test_a_cell_that_is_repeated_is_held_a_few_times_alone(tmp_path: Path) -> None:
    """Two megabytes in a hundred rows are a file of a few kilobytes, and were half a gigabyte to read."""
    count, size = 100, 2 * 10**6
    table = repeated(count, padded(size))
    file = spoilt(tmp_path / "out", lambda _: table, compression="zstd")
    claim(tmp_path / "out", count)
    assert file.stat().st_size < 20_000
    made: list[DistilledDataset] = []
    assert most_held(lambda: made.append(load_export(tmp_path / "out"))) < 50 * size
    assert all(torch.equal(image, small_set().images[0]) for image in made[0].images)


def test_large_cells_are_read_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count, size = 20, 2 * 10**6
    monkeypatch.setattr("wmdd.exports.parquet.IMAGE", size + 1000)
    table = repeated(count, padded(size))
    spoilt(tmp_path / "out", lambda _: table, compression="zstd")
    claim(tmp_path / "out", count)
    assert most_held(lambda: load_export(tmp_path / "out")) < 10 * size


def test_rows_are_counted_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = repeated(100, padded(2 * 10**6))
    spoilt(tmp_path / "out", lambda _: table, compression="zstd")
    assert most_held(lambda: fault(tmp_path / "out")) < 10**6
    assert "data has 100 of the 4 images" in fault(tmp_path / "out")


def test_an_image_of_more_bytes_than_any_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wmdd.exports.parquet.IMAGE", 10_000)
    table = repeated(4, padded(10_000))
    spoilt(tmp_path / "out", lambda _: table)
    assert "bytes, and 10,000 are the most that such a file can need" in fault(tmp_path / "out")


def test_a_column_of_more_bytes_than_a_file_may_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = repeated(4, padded(10**6))
    file = spoilt(tmp_path / "out", lambda _: table, compression="zstd")
    monkeypatch.setattr("wmdd.exports.parquet.EXPORT", 10**5)
    assert file.stat().st_size < 10**5
    assert "bytes, and 100,000 are the most that such a file can need" in fault(tmp_path / "out")


def test_logits_that_are_repeated_in_a_cell(tmp_path: Path) -> None:
    zeros = np.zeros(3 * 10**6, np.float32)
    change = replaced("logits", [zeros] * 4, pyarrow.list_(pyarrow.float32()))
    file = spoilt(tmp_path / "out", change, compression="zstd")
    assert file.stat().st_size < 20_000
    assert most_held(lambda: fault(tmp_path / "out")) < 10**6
    assert "12,000,000 values of logits in 4 rows" in fault(tmp_path / "out")


def test_other_columns_are_not_read(tmp_path: Path) -> None:
    bomb = pyarrow.array([bytes(10**7)] * 4)
    spoilt(tmp_path / "out", lambda table: table.append_column("more", bomb), compression="zstd")
    held = most_held(lambda: load_export(tmp_path / "out"))
    assert held < 10**6
    assert torch.equal(load_export(tmp_path / "out").images, small_set().images)


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("label", [2**64 - 1] * 4, pyarrow.uint64()),
        ("label", [0.5] * 4, None),
        ("label", [None] * 4, pyarrow.int64()),
        ("label", [[0]] * 4, None),
        ("weight", ["much"] * 4, None),
        ("weight", [None] * 4, pyarrow.float32()),
        ("logits", [[2**64 - 1] * 2] * 4, pyarrow.list_(pyarrow.uint64())),
        ("logits", [["a", "b"]] * 4, None),
        ("logits", [[[0.0], [1.0]]] * 4, None),
        ("logits", [0.5] * 4, None),
        ("logits", [[0.0], [0.0, 1.0], [0.0], [0.0]], None),
        ("logits", [None, [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]], None),
        ("image", [1] * 4, None),
        ("image", [b"x"] * 4, None),
        ("image", [[{"bytes": b"x"}]] * 4, None),
        ("image", [{"bytes": 3}] * 4, None),
        ("image", [{"bytes": {"bytes": b"x"}}] * 4, None),
        ("image", [{"path": "/etc/passwd"}] * 4, None),
        ("image", [None] * 4, pyarrow.struct({"bytes": pyarrow.binary()})),
    ],
)
def test_columns_of_other_kinds_are_refused(tmp_path: Path, name: str, values: list[Any], kind: Any) -> None:
    spoilt(tmp_path / "out", replaced(name, values, kind))
    assert "damaged" in fault(tmp_path / "out") or "several sizes" in fault(tmp_path / "out")


@pytest.mark.parametrize("name", ["image", "label", "weight", "logits"])
def test_a_column_that_is_missing(tmp_path: Path, name: str) -> None:
    spoilt(tmp_path / "out", lambda table: table.drop([name]))
    assert "damaged" in fault(tmp_path / "out")


def test_kinds_that_hold_the_same_are_read(tmp_path: Path) -> None:
    """As other tools may have written the table anew."""
    made = small_set()

    def change(table: pyarrow.Table) -> pyarrow.Table:
        images = [{"bytes": png_bytes(image)} for image in made.images]
        for name, values, kind in (
            ("image", images, pyarrow.struct({"bytes": pyarrow.large_binary()})),
            ("label", made.labels.tolist(), pyarrow.uint8()),
            ("weight", made.weights.tolist(), pyarrow.float64()),
            ("logits", made.logits.tolist(), pyarrow.large_list(pyarrow.float64())),
        ):
            table = replaced(name, values, kind)(table)
        return table

    spoilt(tmp_path / "out", change)
    back = load_export(tmp_path / "out")
    assert torch.equal(back.images, made.images)
    assert torch.equal(back.labels, made.labels)
    assert torch.equal(back.weights, made.weights)
    assert torch.equal(back.logits, made.logits)


def test_no_rows_at_all(tmp_path: Path) -> None:
    spoilt(tmp_path / "out", lambda table: table.slice(0, 0))
    claim(tmp_path / "out", 0)
    assert "images of no size" in fault(tmp_path / "out")
