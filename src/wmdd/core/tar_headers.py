"""Headers of tar archives, of which the names of the longest paths are held in memory and nothing more."""

import tarfile
from typing import Self

_MOST = 2**20  # bytes of a name, or of what else is said of one member
_HELD = {
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
}


class BoundedHeader(tarfile.TarInfo):
    """A header as ``tarfile`` reads it (give it as ``tarinfo``), which would hold any number of bytes that one claims.

    Raises ``tarfile.ReadError`` if they are too many.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """The header in ``buf``."""
        found = super().frombuf(buf, encoding, errors)
        if found.type in _HELD and not 0 <= found.size <= _MOST:
            raise tarfile.ReadError(f"a name of {found.size:,} bytes")
        return found
