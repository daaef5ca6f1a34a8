"""Headers of tar archives that are whole: at one that is not, ``tarfile`` ends the archive without a word."""

import tarfile
from typing import Self

from wmdd.core.tar_headers import BoundedHeader

_MOST = 2**62  # bytes of a member: no file system has more, and positions behind it could not be sought


class SoundHeader(BoundedHeader):
    """A bounded header (give it as ``tarfile``'s ``tarinfo``) that refuses what would hide the members behind it.

    Only a block of zeros is the end of an archive. Raises ``tarfile.ReadError`` for an archive that ends without one,
    for a damaged header, a member of an impossible size, and a sparse file in GNU's old form: the map of it may go on
    behind the header, and ``tarfile`` stumbles where it does not.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """The header in ``buf``."""
        if len(buf) < tarfile.BLOCKSIZE:
            raise tarfile.ReadError("it is cut off")
        found = super().frombuf(buf, encoding, errors)
        if found.type == tarfile.GNUTYPE_SPARSE:
            raise tarfile.ReadError(f"{found.name!r} is a sparse file, which is not read")
        return found

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        """The next header of an archive, with what extended headers before it say of the same member."""
        try:
            found = super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the end
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error
        if not 0 <= found.size < _MOST:
            raise tarfile.ReadError(f"a member of {found.size:,} bytes")
        return found
