"""Files as a whole in memory, and no more of them than their kind can need.

What is opened by its extension may hold anything: a sparse file of terabytes costs nothing to make, and a pipe never
ends. Errors are of ``OSError``'s family, so that whoever names a file that cannot be read names these as well.
"""

import errno
import os
import stat
from pathlib import Path

SETTINGS = 2**18
"""Bytes of a settings file: all settings of a run take four thousand."""
JSON = 2**26
"""Bytes of a JSON file. The manifest of ImageNet-1K with 50 images per class has some 8 million."""
RECORD = 2**24
"""Bytes of the JSON file that one unit or one student leaves, and of what describes one dataset."""
LINES = 2**30
"""Bytes of a file that is read line by line: measurements, tables of files."""
IMAGE = 2**28
"""Bytes of an image file. No image needs more, so a bomb is refused before it goes off."""
EXPORT = 2**32
"""Bytes of one file of an export, of which there may be several."""
WEIGHTS = 2**36
"""Bytes of a file of tensors, which is mapped, or read tensor by tensor."""
OLD_WEIGHTS = 2**31
"""Bytes of a checkpoint in the form before torch 1.6, which is read as one stream that may claim any length."""
TENSOR_NAMES = 2**24
"""Bytes of the list of tensors that a safetensors file begins with."""


class TooLargeError(OSError):
    """A file has more bytes than its kind can need."""

    def __init__(self, size: int | None, most: int) -> None:
        has = f"{size:,} bytes" if size is not None else "more bytes"
        super().__init__(errno.EFBIG, f"it has {has}, and {most:,} are the most that such a file can need")

    def __str__(self) -> str:
        return str(self.strerror)


class NotPlainError(OSError):
    """What should be a file is a pipe or a device."""

    def __init__(self) -> None:
        super().__init__(errno.EINVAL, "it is a pipe or a device, and no file")

    def __str__(self) -> str:
        return str(self.strerror)


def check_size(path: Path, most: int) -> int:
    """The bytes of a file, or of what a link leads to.

    Raises:
        OSError: it is missing, no plain file, or has more than ``most`` bytes.
    """
    found = os.stat(path)
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        raise NotPlainError
    if found.st_size > most:
        raise TooLargeError(found.st_size, most)
    return found.st_size


def read_bounded(path: Path, most: int) -> bytes:
    """The content of a file of at most ``most`` bytes.

    Raises:
        OSError: it is missing, no plain file, or has more.
    """
    size = check_size(path, most)
    with path.open("rb") as file:
        return file.read(size)


def read_given(path: Path, most: int) -> bytes:
    """:func:`read_bounded` for what the user names: it may be a pipe too, as shells make of ``<(...)``.

    Raises:
        OSError: it is missing, or has more than ``most`` bytes.
    """
    if not path.is_fifo():
        return read_bounded(path, most)
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise TooLargeError(None, most)
    return content


def check_tensor_names(path: Path) -> None:
    """Refuse a safetensors file that begins with a longer list of its tensors than there can be, before it is parsed.

    Raises:
        OSError: it does, or it is missing or no plain file.
    """
    size = check_size(path, WEIGHTS)
    with path.open("rb") as file:
        claimed = int.from_bytes(file.read(8), "little")
    if TENSOR_NAMES < claimed < size:  # a longer one than the file itself is refused by the library
        raise TooLargeError(claimed, TENSOR_NAMES)
