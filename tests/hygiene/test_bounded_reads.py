"""Whatever is opened by its name or ending is bounded in size: sparse files of 10 GB are refused at once, unread."""

import ast
import json
import os
import resource
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from source_calls import Found, calls, calls_in

from wmdd.config.data import DataConfig
from wmdd.config.load import read_yaml
from wmdd.core.bounded import TooLargeError, check_tensor_names, read_bounded, read_given
from wmdd.core.errors import WmddError
from wmdd.data import open_source, read_image
from wmdd.data.cifar import cifar_layout, open_cifar
from wmdd.exports import load_export
from wmdd.models import build_network, load_weights
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.report.collect import read_run
from wmdd.storage.json import read_json, read_lines
from wmdd.storage.pictures import read_picture
from wmdd.storage.tensors import read_entry, read_tensors

HUGE = 10 * 10**9
SECONDS, MEGABYTES = 2.0, 64

# Who may open a file for reading without ``core/bounded.py``, and why that is bounded all the same.
OPENERS = {
    "core/bounded.py read_bounded: path.open": "is the bound",
    "core/bounded.py read_given: path.open": "is the bound",
    "core/bounded.py check_tensor_names: path.open": "reads eight bytes",
    "core/hashing.py digest_file: path.open": "hashes in pieces, and no pipe",
    "data/archive.py bytes_at: path.open": "reads a piece, of at most an image's bytes",
    "data/table.py _rows: path.open": "has checked the size",
    "storage/json.py read_lines: path.open": "has checked the size",
    "storage/json.py append_line: path.open": "appends; reads one byte",
    "storage/atomic.py _publish: temporary.open": "writes",
    "storage/atomic.py _flush_folder: os.open": "is a folder, to be flushed",
    "storage/locks.py claim: os.open": "is locked, and never read",
    "storage/locks.py _remove_unlocked: os.open": "is locked, and never read",
    "config/presets/__init__.py _read: (files(__name__) / folder / f'{name}.yaml').read_text": "is shipped",
    "report/page.py css: (files('wmdd.report') / 'style.css').read_text": "is shipped",
    "report/comparison.py css: files('wmdd.report').joinpath('style.css').read_text": "is shipped",
    "runtime/usage.py _peak_bytes: Path('/proc/self/status').read_text": "is the kernel's",
    "runtime/usage.py _processor: open": "is the kernel's",
    "runtime/device.py _has_bf16_products: Path('/proc/cpuinfo').read_text": "is the kernel's",
    "runtime/memory.py _entry: path.read_text": "is the kernel's",
    "runtime/memory.py _cgroup_bytes: (place / name).read_text": "is the kernel's",
    "runtime/memory.py _own_path: _OWN.read_text": "is the kernel's",
    "cli/main.py main: os.open": "is /dev/null",
    "data/own.py open_lent: own.open": "opens no file",
    "data/inert_pickle.py run: pickletools.genops": "takes bytes",
    "data/decode.py _decode: Image.open": "takes bytes; Pillow refuses too many pixels",
    "storage/pictures.py decode_picture: Image.open": "takes bytes; Pillow refuses too many pixels",
    "exports/shards.py _array: np.load": "takes bytes",
    "data/npz.py _read: np.load": "has checked what it unpacks to",
    "data/npz.py _read: ZipFile": "reads the table of contents",
    "data/zip_archive.py __init__: ZipFile": "reads the table of contents",
    "models/checkpoint.py _check_packing: ZipFile": "reads the table of contents",
    "data/tar_archive.py _opened: tarfile.open": "reads bounded headers; of a compressed one up to data.memory_gb",
    "exports/shards.py _members: tarfile.open": "has checked the size",
    "exports/shards.py _shard: tarfile.open": "writes",
    "exports/parquet.py _table: pyarrow.parquet.ParquetFile": "has checked the size; no more rows than are written",
    "storage/tensors.py read_tensors: safe_open": "maps; has checked the list of tensors",
    "storage/tensors.py read_entry: safe_open": "maps; has checked the list of tensors",
    "report/collect.py read_tensors: safe_open": "maps; has checked the list of tensors",
    "report/collect.py _read_barycenters: safe_open": "maps; read_tensors has checked the list of tensors",
    "models/checkpoint.py _read: load_file": "maps; has checked the list of tensors",
    "models/checkpoint.py _read_plain_tensors: torch.load": "has checked that nothing in it is packed",
}
READING = {
    *("open", "read_text", "read_bytes", "safe_open", "load_file", "ZipFile", "ParquetFile", "read_table", "genops"),
    *("fromfile", "memmap", "open_memmap", "loadtxt", "genfromtxt", "imread", "FileIO", "mmap"),
    *("read_csv", "read_parquet", "fdopen"),
}  # fmt: skip
LOADERS = {"np.load", "numpy.load", "torch.load", "json.load"}


def openers(found: Iterable[Found]) -> set[str]:
    return {
        f"{module} {within}: {name}"
        for module, within, name, _ in found
        if name.rpartition(".")[2] in READING or name in LOADERS
    }


def test_no_module_opens_a_file_without_a_bound() -> None:
    assert openers(calls()) == set(OPENERS)


@pytest.mark.parametrize(
    "line",
    [
        *("path.read_bytes()", "Path(name).read_text(encoding='utf-8')", "open(path).read()", "(a / b).open('rb')"),
        *("np.load(path)", "json.load(file)", "np.fromfile(path)", "pd.read_csv(path)", "ZipFile(path)"),
        *("with gzip.open(path) as file: pass", "x = [p.read_bytes() for p in paths]", "f = lambda: path.read_bytes()"),
    ],
)
@pytest.mark.parametrize("module", ["storage/json.py", "data/anything.py"])
def test_a_new_one_would_be_found(line: str, module: str) -> None:
    """Also in a module, some other function of which may open files."""
    assert openers(calls_in(f"def new():\n    {line}\n", module)) - set(OPENERS)


def test_yaml_and_json_are_read_from_bounded_bytes() -> None:
    for module, _, name, node in calls():
        if name in ("yaml.load", "yaml.safe_load", "json.loads"):
            argument = ast.unparse(node.args[0])
            assert not any(word in argument for word in ("open", "read_text", "read_bytes")), module


def sparse(path: Path, beginning: bytes = b"", size: int = HUGE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(beginning)
    os.truncate(path, size)
    return path


def source(path: Path) -> Callable[[], object]:
    return lambda: open_source(DataConfig(source=str(path)))


def weights(path: Path) -> None:
    load_weights(build_network("convnet3", 2, 16, "small", 3), path, "convnet3")


def table_of_image(tmp: Path) -> Callable[[], object]:
    sparse(tmp / "set" / "a" / "x.png", b"\x89PNG\r\n\x1a\n")
    return lambda: read_image(tmp / "set" / "a" / "x.png")


def cifar(tmp: Path) -> Callable[[], object]:
    sparse(tmp / "meta", b"\x80\x02")
    layout = cifar_layout(tmp)
    assert layout is not None
    return lambda: open_cifar(tmp, layout)


def long_name(tmp: Path) -> Callable[[], object]:
    """A tar archive whose first member's name has 8 GB."""
    import tarfile

    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 8 * 10**9
    return source(sparse(tmp / "x.tar", header.tobuf(tarfile.GNU_FORMAT)))


def shard_label(tmp: Path) -> Callable[[], object]:
    """A WebDataset shard with a label of 8 GB."""
    import tarfile

    image, label = tarfile.TarInfo("0.png"), tarfile.TarInfo("0.cls")
    label.size = 8 * 10**9
    return source(sparse(tmp / "x.tar", image.tobuf(tarfile.GNU_FORMAT) + label.tobuf(tarfile.GNU_FORMAT)))


def export_of(form: str, name: str, beginning: bytes = b"") -> Callable[[Path], Callable[[], object]]:
    def make(tmp: Path) -> Callable[[], object]:
        (tmp / "manifest.json").write_text(
            json.dumps(
                {
                    "format": "wmdd-export/1",
                    "form": form,
                    "images": {"per_class": 1, "count": 2, "size": 8},
                    "classes": [{"name": "a", "folder": "a"}, {"name": "b", "folder": "b"}],
                    "preprocessing": {"mean": [0, 0, 0], "std": [1, 1, 1]},
                    "teacher": {"sha256": ""},
                    "source": {"fingerprint": ""},
                }
            )
        )
        if form == "folder":
            save_file({"labels": torch.zeros(2)}, tmp / "labels.safetensors")
        sparse(tmp / name, beginning)
        return lambda: load_export(tmp)

    return make


def run_with(name: str, read: Callable[[Path], object]) -> Callable[[Path], Callable[[], object]]:
    def make(tmp: Path) -> Callable[[], object]:
        (tmp / "config.yaml").write_text("ipc: 1\n")
        sparse(tmp / name, b"{" if name.endswith("json") else b"")
        return lambda: read(tmp)

    return make


HEADER = (50_000_000).to_bytes(8, "little") + b"{"

KINDS: dict[str, Callable[[Path], Callable[[], object]]] = {
    "settings": lambda tmp: lambda: read_yaml(sparse(tmp / "x.yaml")),
    "json": lambda tmp: lambda: read_json(sparse(tmp / "x.json", b"[")),
    "json lines": lambda tmp: lambda: read_lines(sparse(tmp / "x.jsonl")),
    "tensors": lambda tmp: lambda: read_tensors(sparse(tmp / "x.safetensors", HEADER)),
    "an entry of tensors": lambda tmp: lambda: read_entry(sparse(tmp / "x.safetensors", HEADER), 0),
    "a picture": lambda tmp: lambda: read_picture(sparse(tmp / "x.png", b"\x89PNG\r\n\x1a\n")),
    "a checkpoint of safetensors": lambda tmp: lambda: weights(sparse(tmp / "x.safetensors", HEADER)),
    "a checkpoint": lambda tmp: lambda: weights(sparse(tmp / "x.pt")),
    "a checkpoint that is zipped": lambda tmp: lambda: weights(sparse(tmp / "x.pt", b"PK\x03\x04")),
    "a pickled checkpoint": lambda tmp: lambda: weights(sparse(tmp / "x.pt", b"\x80\x02X\xff\xff\xff\x7f")),
    "an image": table_of_image,
    "a table": lambda tmp: source(sparse(tmp / "x.csv", b"path,label\n")),
    "arrays": lambda tmp: source(sparse(tmp / "x.npz", b"PK\x03\x04")),
    "a zip": lambda tmp: source(sparse(tmp / "x.zip", b"PK\x03\x04")),
    "a tar": lambda tmp: source(sparse(tmp / "x.tar", b"x")),
    "a name in a tar": long_name,
    "a label in a shard": shard_label,
    "a batch of CIFAR": cifar,
    "an exported folder": export_of("folder", "a/000.png", b"\x89PNG\r\n\x1a\n"),
    "exported tensors": export_of("tensors", "distilled.safetensors", HEADER),
    "exported parquet": export_of("hf", "data/train-00000-of-00001.parquet", b"PAR1"),
    "an exported shard": export_of("webdataset", "train-000000.tar"),
    "an export's manifest": lambda tmp: lambda: load_export(sparse(tmp / "manifest.json", b"{").parent),
    "a run's settings": lambda tmp: lambda: RunDirectory(sparse(tmp / "config.yaml").parent).config(),
    "a run's data": run_with("manifest.json", lambda tmp: RunDirectory(tmp).data()),
    "a run's record": run_with("artifacts/teacher/units/a.json", lambda tmp: RunDirectory(tmp).verify_all()),
    "a run's record, for the page": run_with("artifacts/teacher/units/a.json", read_run),
    "a run's measurements, for the page": run_with("metrics.jsonl", read_run),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_sparse_file_of_10_gb_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    read = KINDS[kind](tmp_path)
    used, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(WmddError) as caught:
        read()
    assert time.monotonic() - start < SECONDS
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used) / 1024 < MEGABYTES
    assert len(str(caught.value).splitlines()) == 1
    assert str(tmp_path) in str(caught.value)


def test_a_unit_whose_record_is_too_large_counts_as_undone(tmp_path: Path) -> None:
    sparse(tmp_path / "artifacts/teacher/units/a.json", b"{")
    assert RunDirectory(tmp_path).records("teacher") == {}


def test_the_sentence_names_file_and_limit(tmp_path: Path) -> None:
    with pytest.raises(WmddError, match=r"x\.yaml cannot be read: it has 10,000,000,000 bytes, and 262,144 are"):
        read_yaml(sparse(tmp_path / "x.yaml"))


@pytest.mark.parametrize("kind", ["json", "a picture", "a run's record", "an image", "tensors"])
def test_a_pipe_is_refused_and_not_waited_for(kind: str, tmp_path: Path) -> None:
    read = KINDS[kind](tmp_path)
    if kind in ("a run's record", "an image"):
        (path,) = (path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size == HUGE)
        path.unlink()
        os.mkfifo(path)
    else:
        path = tmp_path / "pipe"
        os.mkfifo(path)
        plain = {"json": read_json, "a picture": read_picture, "tensors": read_tensors}
        read = lambda: plain[kind](path)  # noqa: E731
    with pytest.raises(WmddError) as caught:
        read()
    assert path.name in str(caught.value)


def test_what_is_within_the_bound_is_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"1234")
    assert read_bounded(tmp_path / "x", 4) == read_given(tmp_path / "x", 4) == b"1234"
    with pytest.raises(TooLargeError):
        read_bounded(tmp_path / "x", 3)
    save_file({"a": torch.zeros(3)}, tmp_path / "t.safetensors")
    check_tensor_names(tmp_path / "t.safetensors")


def test_settings_may_come_through_a_pipe(tmp_path: Path) -> None:
    """As shells make one of ``--config <(...)``."""
    import threading

    path = tmp_path / "pipe"
    for content in (b"ipc: 3\n", b"#" * (2**18 + 1)):
        path.unlink(missing_ok=True)
        os.mkfifo(path)
        writer = threading.Thread(target=_write, args=(path, content))
        writer.start()
        if len(content) < 100:
            assert read_yaml(path) == {"ipc": 3}
        else:
            with pytest.raises(WmddError, match="more bytes"):
                read_yaml(path)
        writer.join()


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
