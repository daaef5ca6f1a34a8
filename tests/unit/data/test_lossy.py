"""What 8-bit RGB cannot hold is refused in one sentence, and read as it lies where that is asked for."""

import io
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from image_folders import picture, write_folder
from odd_images import DAMAGED, HEALTHY, cmyk_jpeg, encoded, wide_png
from PIL import Image
from test_archive import pack

from wmdd.config import DataConfig
from wmdd.core.errors import DataError
from wmdd.data import ImageSource, OwnData, lent_data, load_images, open_source
from wmdd.data.decode import decode_image
from wmdd.data.lossy import LossyImageError


def lossy(data: bytes, *parts: str) -> np.ndarray:
    """What is left of an image that is refused, as int."""
    with pytest.raises(LossyImageError) as caught:
        decode_image(data, "somewhere/a.png")
    text = str(caught.value)
    assert text.startswith("somewhere/a.png ")
    assert "\n" not in text
    for part in (*parts, "store it as 8-bit RGB, upright", "--data.convert true"):
        assert part in text
    assert caught.value.pixels.dtype == np.uint8
    return caught.value.pixels.astype(int)


def wide(channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 65536, (6, 5, channels)).astype(np.uint16)


def test_16_bit_grey_is_scaled_not_clipped() -> None:
    values = np.array([[0, 128, 129, 257, 32896, 65535]], dtype=np.uint16)
    for data in (encoded(Image.fromarray(values), "PNG"), wide_png(values[..., None])):
        pixels = lossy(data, "has 16 bits a channel, of which 8 would be lost")
        assert pixels[0].tolist() == [[value] * 3 for value in (0, 0, 1, 1, 128, 255)]


def test_16_bits_in_colour_which_pillow_has_no_mode_for() -> None:
    values = wide(3)
    assert np.array_equal(lossy(wide_png(values), "has 16 bits a channel"), values >> 8)


@pytest.mark.parametrize("channels", [2, 4])
def test_16_bits_with_transparency(channels: int) -> None:
    values = wide(channels)
    values[..., -1] = 65535
    assert np.array_equal(lossy(wide_png(values), "has 16 bits a channel"), (values[..., :-1] >> 8) + np.zeros(3, int))


def test_the_5_bits_of_a_bmp_are_no_16() -> None:
    values = np.array([[0x7FFF, 0x7C00]], "<u2")
    head = b"BM" + (58).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    shape = b"".join(n.to_bytes(4, "little") for n in (40, 2, 1))
    rest = (1).to_bytes(2, "little") + (16).to_bytes(2, "little") + bytes(24)
    image = decode_image(head + shape + rest + values.tobytes(), "a.bmp")
    assert np.asarray(image).tolist() == [[[255, 255, 255], [255, 0, 0]]]


def test_cmyk() -> None:
    image = Image.new("RGB", (16, 16), (200, 30, 60))
    assert np.abs(lossy(cmyk_jpeg(image), "is CMYK") - [200, 30, 60]).max() <= 6
    assert lossy(cmyk_jpeg(image, ycck=True), "is CMYK").shape == (16, 16, 3)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "JPEG"])
@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_exif_block(name: str, form: str) -> None:
    image = picture()
    pixels = lossy(encoded(image, form, exif=DAMAGED[name], lossless=True), "has a damaged EXIF block")
    with Image.open(io.BytesIO(encoded(image, form, lossless=True))) as plain:
        assert np.array_equal(pixels, np.asarray(plain.convert("RGB")))


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
@pytest.mark.parametrize("name", HEALTHY)
def test_other_exif_blocks_are_obeyed(name: str, form: str) -> None:
    block, says = HEALTHY[name]
    read = decode_image(encoded(picture(), form, exif=block, lossless=True), "a")
    upright = picture().transpose(Image.Transpose.ROTATE_270) if says == 6 else picture()
    assert np.array_equal(np.asarray(read), np.asarray(upright))


@pytest.mark.parametrize("value", range(1, 9))
def test_every_orientation(value: int) -> None:
    """Rows and columns begin where the standard says (EXIF 2.3, 4.6.4)."""
    exif = Image.Exif()
    exif[0x0112] = value
    seen, upright = np.asarray(picture()), {5: "T", 6: "T", 7: "T", 8: "T"}
    seen = seen.transpose(1, 0, 2) if value in upright else seen
    seen = seen[::-1] if value in (3, 4, 7, 8) else seen
    seen = seen[:, ::-1] if value in (2, 3, 6, 7) else seen
    assert np.array_equal(np.asarray(decode_image(encoded(picture(), "PNG", exif=exif), "a")), seen)


def test_an_orientation_that_xmp_alone_says() -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"></x:xmpmeta>'
    read = decode_image(encoded(picture(), "WEBP", xmp=xmp, lossless=True), "a")
    assert np.array_equal(np.asarray(read), np.asarray(picture().transpose(Image.Transpose.ROTATE_270)))


ODD = wide(3)


def folder(root: Path) -> Path:
    """Two classes of four images; the third of each is odd."""
    write_folder(root, {"ant": 4, "bee": 4})
    for name in ("ant", "bee"):
        (root / name / "2.png").write_bytes(wide_png(ODD))
    return root


def table(root: Path) -> Path:
    lines = [f"{name}/{i}.png,{name}\n" for name in ("ant", "bee") for i in range(4)]
    (folder(root) / "x.csv").write_text("path,label\n" + "".join(lines))
    return root / "x.csv"


def shard(root: Path) -> Path:
    with tarfile.open(root.with_suffix(".tar"), "w") as archive:
        for i, file in enumerate(sorted(folder(root).rglob("*.png"))):
            archive.add(file, f"{i}.png")
            label = tarfile.TarInfo(f"{i}.cls")
            label.size = 1
            archive.addfile(label, io.BytesIO(b"%d" % (i // 4)))
    return root.with_suffix(".tar")


def rows(root: Path) -> dict[str, list[Any]]:
    files = sorted(folder(root).rglob("*.png"))
    return {"image": [file.read_bytes() for file in files], "label": [file.parent.name for file in files]}


def parquet(root: Path) -> Path:
    datasets.Dataset.from_dict(rows(root)).to_parquet(root / "x.parquet")
    return root / "x.parquet"


def saved(root: Path) -> Path:
    datasets.Dataset.from_dict(rows(root)).save_to_disk(root / "saved")
    return root / "saved"


KINDS = {
    "a folder": folder,
    "a zip": lambda root: pack(folder(root), root.with_suffix(".zip")),
    "a tar": lambda root: pack(folder(root), root.with_suffix(".tar")),
    "a compressed tar": lambda root: pack(folder(root), root.with_suffix(".tar.gz")),
    "a table": table,
    "a shard": shard,
    "parquet": parquet,
    "what save_to_disk writes": saved,
}


def images(source: ImageSource) -> list[np.ndarray | str]:
    """All images of a source, those that are refused as the sentence."""
    found: list[np.ndarray | str] = []
    for split in (source.train, source.validation):
        for i in range(len(split)):
            try:
                found.append(split.read(i))
            except DataError as error:
                found.append(str(error))
    return found


def check(strict: ImageSource, converting: ImageSource) -> None:
    """Two images of the first are refused; of the second they are what is left; nothing else differs."""
    assert strict.fingerprint == converting.fingerprint
    assert strict.train.names == converting.train.names
    refused = 0
    for one, other in zip(images(strict), images(converting), strict=True):
        if isinstance(one, str):
            assert "has 16 bits a channel" in one
            assert np.array_equal(other, ODD >> 8)
            refused += 1
        else:
            assert np.array_equal(one, other)
    assert refused == 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_setting_reaches_every_kind_of_data(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    path = str(KINDS[kind](tmp_path / "insects"))
    check(*(open_source(DataConfig(source=path, convert=convert)) for convert in (False, True)))


@pytest.mark.parametrize("workers", [0, 2])
def test_the_setting_reaches_images_that_are_streamed(tmp_path: Path, workers: int) -> None:
    folder(tmp_path / "insects")
    config = DataConfig(source=str(tmp_path / "insects"), workers=workers, memory_gb=0, convert=True)

    def read(config: DataConfig) -> torch.Tensor:
        images = load_images(open_source(config).train, 5, config, torch.device("cpu"))
        return torch.cat([pixels for pixels, _ in images.batches([torch.arange(len(images))])])

    assert torch.equal(read(config), read(replace(config, memory_gb=1)))
    for memory in (0, 1):
        with pytest.raises(DataError, match=r"2\.png has 16 bits a channel"):
            read(replace(config, convert=False, memory_gb=memory))


class Opened:
    """A data set of PIL images, opened anew each time."""

    def __init__(self, files: list[Path], mode: str | None = None) -> None:
        self.files, self.mode = files, mode

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> tuple[Image.Image, int]:
        image: Image.Image = Image.open(io.BytesIO(self.files[i].read_bytes()))
        image = image.convert(self.mode) if self.mode and i % 4 == 2 else image
        return image, i // 4


def test_pil_images_of_a_program(tmp_path: Path) -> None:
    own = OwnData(Opened(sorted(folder(tmp_path / "insects").rglob("*.png"))))
    with lent_data(own):
        check(*(open_source(DataConfig(source=own.name, convert=convert)) for convert in (False, True)))


@pytest.mark.parametrize(("mode", "says"), [("CMYK", "is CMYK"), ("I", "32 bits"), ("F", "32 bits"), ("I;16", "16 b")])
def test_pil_images_of_other_modes(tmp_path: Path, mode: str, says: str) -> None:
    write_folder(tmp_path / "insects", {"ant": 4, "bee": 4})
    for path in (tmp_path / "insects").rglob("*.png"):
        with Image.open(path) as image:
            image.convert("L").save(path)
    own = OwnData(Opened(sorted((tmp_path / "insects").rglob("*.png")), mode))
    found = images(own.open(0.5, 0))
    assert sum(isinstance(image, str) and says in image and "of the data" in image for image in found) == 2
