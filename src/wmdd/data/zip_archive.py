"""Images in a zip archive."""

import stat
import struct
import zlib
from pathlib import Path
from typing import NamedTuple
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from wmdd.core.errors import DataError
from wmdd.data.archive import ArchiveTree, bytes_at, clean_name

_HEADER = struct.Struct("<26xHH")  # a member's own header ends with the lengths of its name and of extra fields
_ENCRYPTED = 1


class _Member(NamedTuple):
    offset: int
    packed: int
    size: int
    crc: int
    deflated: bool


class ZipTree(ArchiveTree):
    """A zip archive, its table of contents read once. Raises ``DataError`` if it is damaged or cannot be trusted."""

    def __init__(self, path: Path) -> None:
        try:
            with ZipFile(path) as archive:
                listed = archive.infolist()
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}): check its permissions") from error
        except (BadZipFile, ValueError, NotImplementedError, struct.error) as error:
            raise DataError(f"{path} is not a readable zip archive ({error}): make it again") from error
        self._members: dict[str, _Member] = {}
        folders = []
        for info in listed:
            name = clean_name(info.filename, path)
            if info.is_dir():
                folders.append(name)
                continue
            _check(info, path)
            if name in self._members:
                raise DataError(f"{path} has two members named {name!r}: make the archive again")
            deflated = info.compress_type == ZIP_DEFLATED
            self._members[name] = _Member(info.header_offset, info.compress_size, info.file_size, info.CRC, deflated)
        super().__init__(path, {name: member.size for name, member in self._members.items()}, folders)

    def _content(self, name: str) -> bytes:
        member, where = self._members[name], f"{self.path}: {name}"
        try:
            name_length, extra_length = _HEADER.unpack(bytes_at(self.path, member.offset, _HEADER.size))
            start = member.offset + _HEADER.size + name_length + extra_length
            content = bytes_at(self.path, start, member.packed)
            if member.deflated:
                content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, member.size + 1)
        except OSError as error:
            raise DataError(f"{where} cannot be read ({error.strerror})") from error
        except (struct.error, zlib.error, OverflowError) as error:
            raise DataError(f"{where} is damaged ({error}): make the archive again") from error
        if len(content) != member.size or zlib.crc32(content) != member.crc:
            raise DataError(f"{where} is damaged (its checksum is not the recorded one): make the archive again")
        return content


def _check(info: ZipInfo, path: Path) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise DataError(f"{path} has a member {info.filename!r} that is no plain file: links are not followed")
    if info.flag_bits & _ENCRYPTED:
        raise DataError(f"{path} is encrypted: make it again without a password")
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise DataError(f"{path} is packed in a way that cannot be read: make it again with stored or deflated members")
