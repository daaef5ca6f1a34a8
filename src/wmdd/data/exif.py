"""Which way up an image lies, by its EXIF block: a directory of entries, laid out as in TIFF."""

import re
import struct

from PIL import Image

_ORIENTATION = 0x0112
_ORDERS = {b"II": "<", b"MM": ">"}
_MAGIC = (b"*\0", b"\0*")  # 42; some programs write it in the other order, and readers do not mind
_KINDS = {3: "H", 4: "L", 6: "b", 8: "h", 9: "l"}  # whole numbers; the standard's is 3, but readers take others
_WIDTH = 4  # bytes that an entry has for its value


def exif_block(image: Image.Image) -> bytes:
    """The EXIF block of a loaded image, empty where it has none. Raises ``ValueError`` if it is written wrongly."""
    block, profile = image.info.get("exif"), image.info.get("Raw profile type exif")
    if isinstance(block, bytes):  # a text of that name, which a PNG may have, is none
        return block
    if isinstance(profile, str):  # how ImageMagick keeps it in a PNG: three lines, then hexadecimal
        return bytes.fromhex("".join(profile.split("\n")[3:]))
    return b""


def orientation(block: bytes) -> int | None:
    """EXIF's orientation (1: as it lies), None if the block does not say it.

    Raises ``ValueError`` if the block is damaged before it could say it. Damage elsewhere does not matter.
    """
    data = re.sub(rb"^(Exif\0\0){1,2}", b"", block)
    if not data:
        return None
    order = _ORDERS.get(data[:2])
    if order is None or data[2:4] not in _MAGIC:
        raise ValueError("it does not begin as TIFF does")
    try:
        (start,) = struct.unpack_from(f"{order}L", data, 4)
        (entries,) = struct.unpack_from(f"{order}H", data, start)
        for i in range(entries):
            tag, kind, count, value = struct.unpack_from(f"{order}HHL{_WIDTH}s", data, start + 2 + 12 * i)
            found = _first(value, order + _KINDS.get(kind, ""), count) if tag == _ORIENTATION else None
            if found is not None:
                return found
    except struct.error as error:
        raise ValueError("it ends too early") from error
    return None


def _first(value: bytes, form: str, count: int) -> int | None:
    size = struct.calcsize(form)
    if not 0 < count * size <= _WIDTH:  # of another kind, or kept elsewhere: no orientation is
        return None
    found: int = struct.unpack_from(form, value)[0]
    return found
