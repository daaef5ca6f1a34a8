"""Headers of tar archives that are whole and small, for ``tarfile`` takes whatever it is given.

It holds names of any length in memory, and at a damaged header it ends the archive without a word.
"""

import tarfile
from typing import Self

_MOST_WORDS = 2**20  # bytes of a name, or of what else is said of one member
_MOST = 2**62  # bytes of a member: no file system has more, and positions behind it could not be sought
_HELD = {
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
}


class SoundHeader(tarfile.TarInfo):
    """A header (give it as ``tarfile``'s ``tarinfo``) that refuses what would fill memory or hide later members.

    Only a block of zeros is the end of an archive. Raises ``tarfile.ReadError`` for an archive that ends without one, a
    damaged header, a name that is too long, a member of an impossible size, and a sparse file in GNU's old form: the
    map of it may go on behind the header, and ``tarfile`` stumbles where it does not.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """The header in ``buf``."""
        if len(buf) < tarfile.BLOCKSIZE:
            raise tarfile.ReadError("it is cut off")
        found = super().frombuf(buf, encoding, errors)
        if found.type in _HELD and not 0 <= found.size <= _MOST_WORDS:
            raise tarfile.ReadError(f"a name of {found.size:,} bytes")
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
