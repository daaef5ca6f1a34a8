"""Tensors in safetensors files, with a few words of metadata."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from wmdd.core.bounded import check_tensor_names
from wmdd.core.errors import RunError
from wmdd.storage.atomic import write_with


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write ``tensors`` (any device, any layout) and string ``metadata`` atomically."""
    plain: dict[str, Tensor] = {}
    storages: set[int] = set()
    for name, tensor in tensors.items():
        plain[name] = tensor.detach().cpu().contiguous()
        storage = plain[name].untyped_storage().data_ptr()
        if storage in storages:  # tied weights, for example: safetensors wants every tensor in memory of its own
            plain[name] = plain[name].clone()
        storages.add(storage)
    content = save(plain, metadata=dict(metadata or {}))

    def fill(file: BinaryIO) -> None:
        for part in _in_order(content):
            file.write(part)

    write_with(path, fill)


def _in_order(content: bytes) -> tuple[bytes, memoryview]:
    """A safetensors file with its metadata sorted: the library writes them in an order that differs every time.

    Beginning and tensors apart, so that the tensors, which may fill memory, are not copied again.
    """
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the tensors that follow are aligned
    return len(text).to_bytes(8, "little") + text, memoryview(content)[8 + size :]


def read_tensors(path: Path, without: Sequence[str] = ()) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors (on the CPU) of a file, those ``without`` left out, and its metadata.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        check_tensor_names(path)
        with safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if name not in without]  # noqa: SIM118  # not iterable itself
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:  # the last is of torch's mapping
        raise RunError(f"{path} is missing or damaged ({error}).") from error


def read_entry(path: Path, index: int) -> dict[str, Tensor]:
    """Entry ``index`` of every tensor ``[E, ...]`` in a file, as ``[1, ...]``.

    The file is mapped while the call lasts, and only what is asked for is copied (to the CPU's memory).

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        check_tensor_names(path)
        with safe_open(path, framework="pt") as file:
            # Clones, not views, whose mapped pages would count as memory of the process.
            names = file.keys()
            return {name: file.get_slice(name)[index : index + 1].clone() for name in names}
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:  # the last is of torch's mapping
        raise RunError(f"{path} is missing or damaged ({error}).") from error
