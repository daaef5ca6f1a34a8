"""CIFAR's Python batches, generated in the published format: read without unpickling."""

import _codecs
import os
import pickle
import struct
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from wmdd.config import DataConfig
from wmdd.core.errors import DataError
from wmdd.data import ImageSource, natural_size, open_source
from wmdd.data.inert_pickle import Call, Name, read_inert

NAMES = ["airplane", "automobile", "bird"]


def batch(count: int, seed: int, labels: str = "labels") -> dict[str, object]:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8)
    return {"batch_label": "one of five", labels: [i % 3 for i in range(count)], "data": pixels, "filenames": ["x.png"]}


def write_cifar10(folder: Path, protocol: int = 2) -> Path:
    for seed, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        (folder / name).write_bytes(pickle.dumps(batch(6, seed), protocol))
    meta = {"num_cases_per_batch": 6, "label_names": NAMES, "num_vis": 3072}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta, protocol))
    return folder


def source(folder: Path) -> ImageSource:
    return open_source(DataConfig(source=str(folder)))


def fault(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        source(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("protocol", range(5))
def test_cifar_10(tmp_path: Path, protocol: int) -> None:
    cifar = source(write_cifar10(tmp_path, protocol))
    assert cifar.name == "cifar-10"
    assert cifar.class_names == tuple(NAMES)
    assert (len(cifar.train), len(cifar.validation)) == (30, 6)
    assert cifar.train.labels.tolist() == [i % 3 for i in range(6)] * 5
    assert natural_size(cifar) == 32
    for split, i, made in ((cifar.train, 13, batch(6, 2)), (cifar.validation, 4, batch(6, 5))):
        planes = made["data"][i % 6].reshape(3, 32, 32)  # type: ignore[index]
        assert np.array_equal(np.asarray(split.read(i)), planes.transpose(1, 2, 0))


def test_cifar_100(tmp_path: Path) -> None:
    for seed, name in enumerate(("train", "test")):
        made = batch(9, seed, "fine_labels") | {"coarse_labels": [0] * 9}
        (tmp_path / name).write_bytes(pickle.dumps(made, 2))
    (tmp_path / "meta").write_bytes(pickle.dumps({"fine_label_names": NAMES, "coarse_label_names": ["all"]}, 2))
    cifar = source(tmp_path)
    assert (cifar.name, cifar.class_names, len(cifar.train), len(cifar.validation)) == ("cifar-100", tuple(NAMES), 9, 9)


def python_2_string(content: bytes) -> bytes:
    return b"T" + struct.pack("<i", len(content)) + content


def test_as_python_2_wrote_them(tmp_path: Path) -> None:
    """The published files: strings of bytes, an array as numpy pickled it then."""
    write_cifar10(tmp_path)
    pixels = np.random.default_rng(9).integers(0, 256, (2, 3072), dtype=np.uint8)
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n(K\0t" + python_2_string(b"b") + b"\x87R"
        b"(K\1K\2M\0\x0c\x86cnumpy\ndtype\n(" + python_2_string(b"u1") + b"K\0K\1tR"
        b"(K\3" + python_2_string(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89"
        + python_2_string(pixels.tobytes()) + b"tb"
    )  # fmt: skip
    labels = python_2_string(b"labels") + b"](K\2K\0e"
    content = b"\x80\2}(" + python_2_string(b"data") + array + labels + b"u."
    assert pickle.loads(content, encoding="latin1")["labels"] == [2, 0]
    (tmp_path / "test_batch").write_bytes(content)
    cifar = source(tmp_path)
    assert cifar.validation.labels.tolist() == [2, 0]
    assert np.array_equal(np.asarray(cifar.validation.read(1)), pixels[1].reshape(3, 32, 32).transpose(1, 2, 0))


class Runs:
    """A pickle of this runs a command where it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


def test_code_in_a_batch_does_not_run(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    trace = tmp_path / "it-ran"
    (tmp_path / "data_batch_3").write_bytes(pickle.dumps(batch(6, 0) | {"data": Runs(f"touch {trace}")}, 2))
    assert "data_batch_3 has no array data" in fault(tmp_path)
    (tmp_path / "data_batch_3").write_bytes(pickle.dumps(Runs(f"touch {trace}"), 2))
    assert "data_batch_3 is not a batch of CIFAR" in fault(tmp_path)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"data": None}, "has no array data of 6 x 3072 bytes"),
        ({"data": np.zeros((5, 3072), np.uint8)}, "has no array data of 6 x 3072 bytes"),
        ({"labels": [0, 1, 2, 0, 1, 3]}, "has no list labels of numbers from 0 to 2"),
        ({"labels": [0, 1, 2, 0, 1, True]}, "has no list labels"),
        ({"labels": None}, "has no list labels"),
    ],
)
def test_batches_that_do_not_fit(tmp_path: Path, changes: dict[str, object], sentence: str) -> None:
    write_cifar10(tmp_path)
    (tmp_path / "data_batch_2").write_bytes(pickle.dumps(batch(6, 0) | changes, 2))
    assert f"data_batch_2 {sentence}" in fault(tmp_path)


class Encoded:
    """An array whose bytes are said to be what ``_codecs.encode`` makes of ``arguments``."""

    def __init__(self, arguments: object) -> None:
        self.arguments = arguments

    def __reduce__(self) -> tuple[object, ...]:
        return dict, (), (1, (1,), "u1", False, _Made(self.arguments))


class _Made:
    def __init__(self, arguments: object) -> None:
        self.arguments = arguments

    def __reduce__(self) -> tuple[object, object]:
        return _codecs.encode, self.arguments


@pytest.mark.parametrize("arguments", [(), (None,), ((),)])
def test_bytes_that_are_encoded_from_nothing(tmp_path: Path, arguments: object) -> None:
    write_cifar10(tmp_path)
    (tmp_path / "data_batch_2").write_bytes(pickle.dumps(batch(6, 0) | {"data": Encoded(arguments)}, 2))
    assert "data_batch_2 has no array data" in fault(tmp_path)


def test_names_that_are_one_object_are_decoded_once(tmp_path: Path) -> None:
    """A file of a few megabytes would take a thousand times as many."""
    write_cifar10(tmp_path)
    name = b"x" * 1_000_000
    (tmp_path / "batches.meta").write_bytes(pickle.dumps({"label_names": [name] * 1000}, 4))
    tracemalloc.start()
    source(tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 10**8
    tracemalloc.stop()


def test_files_that_are_missing_or_damaged(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    whole = (tmp_path / "data_batch_4").read_bytes()
    (tmp_path / "data_batch_4").write_bytes(whole[:1000])
    assert "data_batch_4 is not a batch of CIFAR" in fault(tmp_path)
    (tmp_path / "data_batch_4").unlink()
    assert "data_batch_4 cannot be read (No such file" in fault(tmp_path)
    (tmp_path / "data_batch_4").write_bytes(whole)
    (tmp_path / "batches.meta").write_bytes(pickle.dumps({"label_names": "abc"}, 2))
    assert "batches.meta has no list label_names" in fault(tmp_path)
    endless: list[object] = []
    endless.append(endless)
    (tmp_path / "batches.meta").write_bytes(pickle.dumps({"label_names": endless}, 2))
    assert "batches.meta has no list label_names" in fault(tmp_path)


# --- the reader -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_come_back(protocol: int) -> None:
    shared = ["twice"]
    value = {
        "a": [1, -2, 2**40, 1.5, None, True, False], "b": ("x", ("y",), (), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
        "c": {}, "d": {"e": "ü"}, "f": shared, "g": shared,
    }  # fmt: skip
    assert read_inert(pickle.dumps(value, protocol)) == value


def test_what_would_be_called_is_only_told() -> None:
    told = read_inert(pickle.dumps(Runs("true"), 4))
    assert told == Call(Name(f"{os.system.__module__} system"), ("true",))


@pytest.mark.parametrize("key", [(), (1,), "nested", frozenset(), 1 + 2j])
def test_keys_are_plain_values(key: object) -> None:
    """To hash what is nested deep enough would end the interpreter."""
    nested = b"\x80\2}" + b")" + b"\x85" * 300_000 + b"Ns."
    with pytest.raises(ValueError, match=r"more than arrays|a key that is no plain value"):
        read_inert(nested if key == "nested" else pickle.dumps({key: None}, 2))
    assert read_inert(pickle.dumps({b"a": 1, "b": 2, 3: 4, 0.5: 5, True: 6, None: 7}, 4)) == {
        b"a": 1, "b": 2, 3: 4, 0.5: 5, True: 6, None: 7
    }  # fmt: skip


def test_many_marks_take_no_longer_than_many_values() -> None:
    start = time.monotonic()
    read_inert(b"\x80\2" + b"N" * 20_000 + b"(t" * 20_000 + b".")
    assert time.monotonic() - start < 5


def test_long_names_are_not_made() -> None:
    text = b"X" + struct.pack("<I", 10**6) + b"x" * 10**6
    tracemalloc.start()
    with pytest.raises(ValueError, match="a name of 2,000,001 letters"):
        read_inert(b"\x80\4" + text + b"q\0" + b"h\0h\0\x93" * 100 + b".")
    assert tracemalloc.get_traced_memory()[1] < 2 * 10**7
    tracemalloc.stop()


@pytest.mark.parametrize(
    "content", [b"(.", b"N(.", b"N(s.", b"N(\x85.", b"N(b.", b"}(Ns.", b"t.", b"N(q\0.", b"NN(\x86t."]
)
def test_no_instruction_reaches_below_a_mark(content: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        read_inert(b"\x80\2" + content)


def test_other_instructions_are_refused() -> None:
    with pytest.raises(ValueError, match="more than arrays"):
        read_inert(pickle.dumps({1, 2}, 4))


def test_fuzzed_pickles_end_in_a_value_or_a_sentence() -> None:
    generator = np.random.default_rng(0)
    for protocol in (0, 2, 4):
        content = pickle.dumps(batch(1, 0) | {"data": np.zeros(9, np.uint8)}, protocol)
        for _ in range(3000):
            changed = bytearray(content)
            for place in generator.integers(0, len(content), generator.integers(1, 4)):
                changed[place] = generator.integers(0, 256)
            try:
                read_inert(bytes(changed))
            except ValueError:
                continue
