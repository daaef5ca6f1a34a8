"""Orientations are read from real blocks, healthy, odd and damaged; where Pillow finds one, it is the same."""

import warnings
from io import BytesIO

import pytest
from image_folders import picture
from odd_images import DAMAGED, HEALTHY, encoded
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from wmdd.data.exif import exif_block, orientation


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_blocks(name: str) -> None:
    with pytest.raises(ValueError, match="it "):
        orientation(DAMAGED[name])
    with pytest.raises(ValueError, match="it "):
        orientation(DAMAGED[name].removeprefix(b"Exif\0\0"))


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_and_odd_blocks(name: str) -> None:
    block, says = HEALTHY[name]
    assert orientation(block) == says


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("value", range(1, 9))
def test_blocks_that_pillow_writes(form: str, value: int) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x0131] = "a maker of cameras", value, "software"
    with Image.open(BytesIO(encoded(picture(), form, exif=exif))) as image:
        image.load()
        assert orientation(exif_block(image)) == value


@pytest.mark.parametrize("at", range(6, 50))
def test_pillow_finds_no_other_orientation_in_a_block_with_one_byte_changed(at: int) -> None:
    block, _ = HEALTHY["another entry is too large"]
    for byte in (0, 1, 6, 0x12, 0x49, 0xFF):
        changed = block[:at] + bytes([byte]) + block[at + 1 :]
        found = Image.Exif()
        try:
            with warnings.catch_warnings(action="ignore"):
                found.load(changed)
                theirs = found.get(0x0112)
        except Exception:
            theirs = None
        try:
            ours = orientation(changed)
        except ValueError:
            ours = None
        assert theirs == ours or not isinstance(theirs, int)


def test_no_block_and_one_written_as_text() -> None:
    with Image.open(BytesIO(encoded(picture(), "PNG"))) as image:
        assert exif_block(image) == b""
    block, _ = HEALTHY["little-endian"]
    text = PngInfo()
    text.add_text("Raw profile type exif", f"\nexif\n{len(block):8}\n{block.hex()}\n")
    with Image.open(BytesIO(encoded(picture(), "PNG", pnginfo=text))) as image:
        assert orientation(exif_block(image)) == 6
    text = PngInfo()
    text.add_text("exif", "a remark", zip=True)
    with Image.open(BytesIO(encoded(picture(), "PNG", pnginfo=text))) as image:
        assert exif_block(image) == b""
    text = PngInfo()
    text.add_text("Raw profile type exif", "\nexif\n8\nnot hexadecimal\n")
    with Image.open(BytesIO(encoded(picture(), "PNG", pnginfo=text))) as image, pytest.raises(ValueError):
        exif_block(image)
