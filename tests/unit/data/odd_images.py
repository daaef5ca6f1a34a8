"""Bytes of images that 8-bit RGB cannot hold as they are, and of EXIF blocks, healthy and damaged."""

import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image

_COLOURS = {1: 0, 3: 2, 2: 4, 4: 6}  # channels: PNG's colour type


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def wide_png(pixels: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel, which Pillow reads but does not write in colour; ``pixels`` uint16 ``[H, W, C]``."""
    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, _COLOURS[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, form, **options)  # type: ignore[arg-type]
    return file.getvalue()


def cmyk_jpeg(image: Image.Image, *, ycck: bool = False) -> bytes:
    """``ycck``: Adobe's marker says that the four channels are YCCK."""
    data = encoded(image.convert("CMYK"), "JPEG", quality=98)
    marker = data.index(b"Adobe") + 11  # after version and two words of flags
    return data[:marker] + bytes([2 if ycck else 0]) + data[marker + 1 :]


ENTRY = tuple[int, int, int, bytes]
"""Tag, kind, count, and the four bytes of the value."""


def exif(
    *entries: ENTRY, order: str = "<", start: int = 8, says: int | None = None, end: bytes = bytes(4), rest: int = 0
) -> bytes:
    """An EXIF block; ``says``: how many entries it says it has; ``end``: what follows them, then ``rest`` bytes."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}L", start)
    count = struct.pack(f"{order}H", len(entries) if says is None else says)
    body = b"".join(struct.pack(f"{order}HHL", *entry[:3]) + entry[3] for entry in entries)
    return b"Exif\0\0" + head + count + body + end + bytes(rest)


def turned(value: int, order: str = "<") -> ENTRY:
    """The entry of an orientation."""
    return 0x0112, 3, 1, struct.pack(f"{order}HH", value, 0)


UNIT: ENTRY = (0x0128, 3, 1, b"\2\0\0\0")

DAMAGED = {
    "no TIFF": b"Exif\0\0nonsense",
    "zeros": b"Exif\0\0" + bytes(40),
    "a header cut off": b"Exif\0\0II*\0\x08\0",
    "a directory beyond the end": exif(turned(6), start=5000),
    "a directory in its own header": exif(turned(6), start=0),
    "a directory cut off": exif(turned(6), end=b"")[:-6],
    "more entries than there are": exif(UNIT, says=5),
    "a big TIFF": b"Exif\0\0II+\0" + bytes(40),
}

HEALTHY = {
    "little-endian": (exif(turned(6)), 6),
    "big-endian": (exif(turned(6, ">"), order=">"), 6),
    "nothing but the name": (b"Exif\0\0", None),
    "no entries": (exif(), None),
    "no orientation": (exif(UNIT), None),
    "no end": (exif(turned(6), end=b""), 6),
    "fewer entries than it says, after the orientation": (exif(turned(6), says=5), 6),
    "another entry is kept beyond the end": (exif((0x010F, 2, 10, struct.pack("<L", 9000)), turned(6), rest=99), 6),
    "another entry is too large": (exif((0x010F, 2, 2**31, struct.pack("<L", 30)), turned(6), rest=99), 6),
    "a wide orientation": (exif((0x0112, 4, 1, b"\6\0\0\0")), 6),
    "two orientations": (exif((0x0112, 3, 2, b"\6\0\6\0")), 6),
    "a text": (exif((0x0112, 2, 2, b"6\0\0\0")), None),
    "an orientation kept elsewhere": (exif((0x0112, 3, 9, b"\x08\0\0\0"), rest=99), None),
    "none that there is": (exif(turned(9)), 9),
}
