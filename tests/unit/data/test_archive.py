"""Archives of image folders: the same source as the folder, and a sentence for each that cannot be trusted."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from image_folders import picture, write_folder

from wmdd.config import DataConfig
from wmdd.core.bounded import IMAGE
from wmdd.core.errors import DataError
from wmdd.data import ImageSource, load_images, open_source

LAYOUT = {"train/cat": 3, "train/dog/small": 2, "train/dog/large": 1, "val/cat": 1, "val/dog": 2}
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
COMPRESS = {
    ".tar": bytes,
    ".tar.gz": gzip.compress,
    ".tar.bz2": bz2.compress,
    ".tar.xz": lambda content: lzma.compress(content, preset=0),
}


def source(path: Path, **settings: object) -> ImageSource:
    return open_source(DataConfig(source=str(path), **settings))  # type: ignore[arg-type]


def fault(path: Path, **settings: object) -> str:
    """The one sentence that opening the archive and reading all of it ends in."""
    text = outcome(path, **settings)
    assert str(path) in text
    assert "\n" not in text
    return text


def outcome(path: Path, **settings: object) -> str:
    """The sentence, or nothing where all can be read."""
    try:
        found = source(path, **settings)
        for split in (found.train, found.validation):
            for i in range(len(split)):
                split.read(i)
    except DataError as error:
        return str(error)
    return ""


def pack(folder: Path, archive: Path, top: str = "") -> Path:
    """All files of ``folder`` in an archive of the kind that its name says, below ``top``, in no good order."""
    files = sorted((path for path in folder.rglob("*") if path.is_file()), reverse=True)
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as packed:
            for i, path in enumerate(files):
                kind = zipfile.ZIP_DEFLATED if i % 2 else zipfile.ZIP_STORED
                packed.write(path, top + path.relative_to(folder).as_posix(), kind)
    else:
        kind = archive.suffix.removeprefix(".").replace("tgz", "gz").replace("tar", "")
        with tarfile.open(archive, f"w:{kind}") as packed:  # type: ignore[call-overload]
            for path in files:
                packed.add(path, top + path.relative_to(folder).as_posix())
    return archive


@pytest.mark.parametrize("top", ["", "pets/", "./", "./pets/"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_archive_is_the_source_that_its_folder_is(tmp_path: Path, suffix: str, top: str) -> None:
    folder = write_folder(tmp_path / "pets", LAYOUT)
    (folder / "train" / "cat" / ".hidden.png").write_bytes(b"no image")
    (folder / "train" / "cat" / "notes.txt").write_text("no image")
    packed, unpacked = source(pack(folder, tmp_path / f"pets{suffix}", top)), source(folder)
    assert packed.name == unpacked.name == "pets"
    assert packed.class_names == unpacked.class_names
    assert packed.fingerprint == unpacked.fingerprint
    for one, other in ((packed.train, unpacked.train), (packed.validation, unpacked.validation)):
        assert one.names == other.names
        assert all(one.read(i).tobytes() == other.read(i).tobytes() for i in range(len(one)))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_classes_at_the_top_are_split(tmp_path: Path, suffix: str) -> None:
    folder = write_folder(tmp_path / "set", {"a": 5, "b": 5})
    packed = source(pack(folder, tmp_path / f"set{suffix}"))
    assert packed.fingerprint == source(folder).fingerprint


@pytest.mark.parametrize("training", ["train", "Train", "training", "TRAINING"])
def test_training_images_alone_keep_their_folder(tmp_path: Path, training: str) -> None:
    folder = write_folder(tmp_path / "set", {f"{training}/a": 5, f"{training}/b": 5})
    packed, unpacked = source(pack(folder, tmp_path / "set.zip")), source(folder)
    assert packed.name == unpacked.name == "set"
    assert packed.fingerprint == unpacked.fingerprint


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
def test_threads_and_processes_read_it_at_once(tmp_path: Path, suffix: str, workers: int) -> None:
    folder = write_folder(tmp_path / "set", {"a": 40, "b": 40})
    split, unpacked = source(pack(folder, tmp_path / f"set{suffix}")).train, source(folder).train
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda i: split.read(i % len(split)).tobytes(), range(200)))
    assert read == [unpacked.read(i % len(split)).tobytes() for i in range(200)]
    streamed = load_images(split, 8, DataConfig(memory_gb=0, workers=workers), torch.device("cpu"))
    chunks = list(torch.arange(len(split)).split(7))
    pixels = torch.cat([pixels for pixels, _ in streamed.batches(chunks)])
    held = load_images(unpacked, 8, DataConfig(), torch.device("cpu"))
    assert torch.equal(pixels, held.take(torch.arange(len(split))))


def test_leftovers_of_other_systems_are_passed_over(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", {"a": 3, "b": 3})
    archive = pack(folder, tmp_path / "set.zip", "set/")
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr("__MACOSX/set/a/._0.png", b"resource fork")
        packed.writestr("set/.DS_Store", b"")
        packed.writestr("set/a/", b"")
    assert source(archive).fingerprint == source(folder).fingerprint


def test_an_empty_class_folder_is_named(tmp_path: Path) -> None:
    archive = pack(write_folder(tmp_path / "set", {"a": 3, "b": 3}), tmp_path / "set.zip")
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr("c/", b"")
    assert "set.zip: c has no images" in fault(archive)


# --- archives that cannot be trusted ----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "set", {"a": 3, "b": 3})


def png() -> bytes:
    buffer = io.BytesIO()
    picture().save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["../a/x.png", "a/../../x.png", "/a/x.png", "..\\x.png", "C:\\a\\x.png", "\\a\\x.png"])
@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
def test_members_that_lead_outside(folder: Path, suffix: str, name: str) -> None:
    archive = folder.with_suffix(suffix)
    if suffix == ".zip":
        with zipfile.ZipFile(pack(folder, archive), "a") as packed:
            packed.writestr(name, png())
    else:
        with tarfile.open(archive, f"w:{suffix[5:]}") as packed:  # type: ignore[call-overload]
            packed.add(folder, "set")
            add(packed, name, png())
    assert "which leads outside" in fault(archive)


def add(packed: tarfile.TarFile, name: str, content: bytes = b"", **fields: object) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    packed.addfile(info, io.BytesIO(content))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_links_and_devices_in_a_tar(folder: Path, suffix: str, kind: bytes) -> None:
    archive = folder.with_suffix(suffix)
    with tarfile.open(archive, f"w:{suffix[5:]}") as packed:  # type: ignore[call-overload]
        packed.add(folder, "set")
        add(packed, "set/a/link.png", type=kind, linkname="/etc/passwd")
    assert "'set/a/link.png' that is no plain file" in fault(archive)


def test_a_link_in_a_zip(folder: Path) -> None:
    archive = pack(folder, folder.with_suffix(".zip"))
    link = zipfile.ZipInfo("a/link.png")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr(link, "/etc/passwd")
    assert "'a/link.png' that is no plain file" in fault(archive)


def test_a_member_that_unpacks_to_more_than_an_image_can_be(folder: Path) -> None:
    archive = pack(folder, folder.with_suffix(".zip"))
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as packed, packed.open("a/bomb.png", "w") as member:
        for _ in range(IMAGE // 2**20 + 1):
            member.write(bytes(2**20))
    assert archive.stat().st_size < 2**20
    assert "a/bomb.png has 269,484,032 bytes unpacked" in fault(archive)


def test_a_member_that_lies_about_its_size(folder: Path) -> None:
    archive = pack(folder, folder.with_suffix(".zip"))
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a/liar.png", bytes(10**6))
    content = archive.read_bytes()
    assert content.count(struct.pack("<I", 10**6)) == 2
    archive.write_bytes(content.replace(struct.pack("<I", 10**6), struct.pack("<I", 1000)))
    assert "liar.png is damaged (its checksum" in fault(archive)


def test_a_member_that_claims_to_be_empty_is_not_unpacked(folder: Path) -> None:
    archive, size = pack(folder, folder.with_suffix(".zip")), 3 * 10**7
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a/liar.png", bytes(size))
    archive.write_bytes(archive.read_bytes().replace(struct.pack("<I", size), struct.pack("<I", 0)))
    tracemalloc.start()
    assert "liar.png is damaged (its checksum" in fault(archive)
    assert tracemalloc.get_traced_memory()[1] < size / 4
    tracemalloc.stop()


def test_a_compressed_tar_that_unpacks_to_more_than_memory_allows(folder: Path) -> None:
    archive = folder.with_suffix(".tar.gz")
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(folder, "set")
        add(packed, "set/zeros.bin", bytes(3 * 10**6))
    assert len(source(archive, memory_gb=0.004).train) == 4
    assert "unpacks to more than data.memory_gb (0.002)" in fault(archive, memory_gb=0.002)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("damage", ["cut", "empty", "other"])
def test_damaged_archives(folder: Path, suffix: str, damage: str) -> None:
    archive = pack(folder, folder.with_suffix(suffix))
    content = archive.read_bytes()
    changed = {
        "cut": content[: len(content) // 2],
        "empty": b"",
        "other": b"neither this nor that" * 1000,
    }
    archive.write_bytes(changed[damage])
    assert "again" in fault(archive)


def tarred(folder: Path) -> tuple[bytes, int]:
    """The folder as a tar archive, and where its last member begins."""
    archive = pack(folder, folder.with_name("plain.tar"))
    with tarfile.open(archive) as packed:
        return archive.read_bytes(), packed.getmembers()[-1].offset


@pytest.mark.parametrize("after", [0, 100, tarfile.BLOCKSIZE, tarfile.BLOCKSIZE + 100, 2 * tarfile.BLOCKSIZE])
@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_tar_that_is_cut_off(folder: Path, suffix: str, after: int) -> None:
    """Between two members, in a header, after it, in a file's bytes, and where the end would be marked."""
    content, last = tarred(folder)
    archive = folder.with_suffix(suffix)
    archive.write_bytes(COMPRESS[suffix](content[: last + after]))
    assert "make" in fault(archive)
    assert "again" in fault(archive)


@pytest.mark.parametrize("left", [0.2, 0.5, 0.9, -20, -9, -8, -4, -1])
@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.bz2", ".tar.xz"])
def test_a_compressed_tar_of_which_the_end_is_missing(folder: Path, suffix: str, left: float) -> None:
    archive = pack(folder, folder.with_suffix(suffix))
    content = archive.read_bytes()
    archive.write_bytes(content[: int(left * len(content)) if left > 0 else int(left)])
    assert "make it again" in fault(archive)


@pytest.mark.parametrize("place", [0.3, 0.6, -6])
@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.bz2", ".tar.xz"])
def test_a_compressed_tar_with_another_byte_in_it(folder: Path, suffix: str, place: float) -> None:
    archive = pack(folder, folder.with_suffix(suffix))
    content = bytearray(archive.read_bytes())
    content[int(place * len(content)) if place > 0 else int(place)] ^= 0x10
    archive.write_bytes(content)
    assert "make it again" in fault(archive)


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_header_in_a_tar_with_another_byte_in_it(folder: Path, suffix: str) -> None:
    content, last = tarred(folder)
    archive = folder.with_suffix(suffix)
    archive.write_bytes(COMPRESS[suffix](content[:last] + bytes([content[last] ^ 1]) + content[last + 1 :]))
    assert "is not a readable tar archive (bad checksum)" in fault(archive)


def header(**fields: object) -> bytearray:
    """A member's header that claims ``fields``."""
    info = tarfile.TarInfo("a/9.png")
    for field, value in fields.items():
        setattr(info, field, value)
    return bytearray(info.tobuf(tarfile.GNU_FORMAT))


def with_checksum(block: bytearray) -> bytes:
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_sparse_file_in_a_tar(folder: Path, suffix: str, extended: bool) -> None:
    block = header(type=tarfile.GNUTYPE_SPARSE)
    block[482] = extended  # more of its map is said to follow
    content, last = tarred(folder)
    archive = folder.with_suffix(suffix)
    archive.write_bytes(COMPRESS[suffix](content[:last] + with_checksum(block)))
    assert "a sparse file" in fault(archive)


@pytest.mark.parametrize("size", [-512, 2**63, 2**70])
@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_member_of_an_impossible_size(folder: Path, suffix: str, size: int) -> None:
    content, last = tarred(folder)
    archive = folder.with_suffix(suffix)
    archive.write_bytes(COMPRESS[suffix](content[:last] + bytes(header(size=size)) + content[last:]))
    assert f"a member of {size:,} bytes" in fault(archive)


@pytest.mark.parametrize("where", ["a member", "after the end"])
@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.bz2", ".tar.xz"])
def test_a_bomb_is_not_unpacked(folder: Path, suffix: str, where: str) -> None:
    content, last = tarred(folder)
    zeros = bytes(2 * 10**7)
    bomb = content + zeros if where == "after the end" else content[:last] + bytes(header(size=len(zeros))) + zeros
    archive = folder.with_suffix(suffix)
    archive.write_bytes(COMPRESS[suffix](bomb))
    del zeros, bomb
    assert archive.stat().st_size < 60_000
    tracemalloc.start()
    assert "unpacks to more than data.memory_gb (0.005)" in fault(archive, memory_gb=0.005)
    assert tracemalloc.get_traced_memory()[1] < 10**7
    tracemalloc.stop()


def test_a_name_twice(folder: Path) -> None:
    archive = folder.with_suffix(".tar")
    with tarfile.open(archive, "w") as packed:
        packed.add(folder, "set")
        add(packed, "set/a/0.png", png())
    assert "two members named 'set/a/0.png'" in fault(archive)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_in_a_zip(folder: Path) -> None:
    archive = pack(folder, folder.with_suffix(".zip"))
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr("a/0.png", png())
    assert "two members named 'a/0.png'" in fault(archive)


def test_an_encrypted_zip(folder: Path) -> None:
    archive = pack(folder, folder.with_suffix(".zip"))
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    archive.write_bytes(bytes(content))
    assert "is encrypted" in fault(archive)


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_of_other_packing(folder: Path, kind: int) -> None:
    archive = pack(folder, folder.with_suffix(".zip"))
    with zipfile.ZipFile(archive, "a", kind) as packed:
        packed.writestr("a/9.png", png())
    assert "stored or deflated" in fault(archive)


def test_a_name_that_is_not_utf_8(folder: Path) -> None:
    archive = folder.with_suffix(".tar")
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as packed:
        packed.add(folder, "set")
        add(packed, "set/a/caf\udce9.png", png())
    assert "a/caf\ufffd.png has a name that is not UTF-8" in fault(archive)


def test_an_image_in_it_that_is_damaged(folder: Path) -> None:
    (folder / "b" / "1.png").write_bytes(b"no image")
    assert "set.zip: b/1.png is not a readable PNG" in fault(pack(folder, folder.with_suffix(".zip")))


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_an_archive_that_goes_away(folder: Path, suffix: str) -> None:
    archive = pack(folder, folder.with_suffix(suffix))
    split = source(archive).train
    archive.unlink()
    with pytest.raises(DataError, match=r"set\.(zip|tar): a/.*cannot be read"):
        split.read(0)


def test_fuzzed_archives_end_in_a_sentence_or_in_images(folder: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    for suffix in (".zip", ".tar", ".tar.gz"):
        archive = pack(folder, folder.with_suffix(suffix))
        content = archive.read_bytes()
        for _ in range(150):
            place, value = (int(torch.randint(0, high, (1,), generator=generator)) for high in (len(content), 256))
            archive.write_bytes(content[:place] + bytes([value]) + content[place + 1 :])
            text = outcome(archive)
            assert "\n" not in text
