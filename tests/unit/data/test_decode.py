"""Every mode and format becomes RGB; every unreadable file becomes one sentence."""

import os
import struct
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from image_folders import picture
from odd_images import chunk
from PIL import Image

from wmdd.core.errors import DataError
from wmdd.data import read_image, to_square


def saved(image: Image.Image, path: Path, **options: object) -> np.ndarray:
    """The pixels read back from ``path``, as int."""
    image.save(path, **options)
    read = read_image(path)
    assert read.mode == "RGB"
    return np.asarray(read).astype(int)


@pytest.mark.parametrize(
    ("suffix", "options"), [(".png", {}), (".bmp", {}), (".webp", {"lossless": True}), (".PNG", {})]
)
def test_lossless_formats_keep_every_pixel(tmp_path: Path, suffix: str, options: dict[str, object]) -> None:
    image = picture()
    assert np.array_equal(saved(image, tmp_path / f"a{suffix}", **options), np.asarray(image))


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp"])
def test_lossy_formats_stay_close(tmp_path: Path, suffix: str) -> None:
    image = picture(width=4, height=4).resize((32, 32), Image.Resampling.BICUBIC)
    options = {"quality": 98} | ({} if suffix == ".webp" else {"subsampling": 0})
    assert np.abs(saved(image, tmp_path / f"a{suffix}", **options) - np.asarray(image)).mean() < 6


def test_a_wrong_extension_of_a_readable_format_does_not_matter(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.jpg", format="PNG")
    assert np.array_equal(np.asarray(read_image(tmp_path / "a.jpg")), np.asarray(picture()))


def test_grey_and_bilevel_images(tmp_path: Path) -> None:
    grey = picture().convert("L")
    assert np.array_equal(saved(grey, tmp_path / "l.png"), np.asarray(grey.convert("RGB")))
    bilevel = picture().convert("1")
    assert np.array_equal(saved(bilevel, tmp_path / "1.png"), np.asarray(bilevel.convert("RGB")))


def test_transparent_pixels_lie_on_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (3, 1))
    for x, value in enumerate([(200, 0, 0, 255), (200, 0, 0, 0), (0, 0, 0, 51)]):
        image.putpixel((x, 0), value)
    assert saved(image, tmp_path / "rgba.png")[0].tolist() == [[200, 0, 0], [255] * 3, [204] * 3]
    grey = Image.new("LA", (2, 1), (10, 255))
    grey.putpixel((1, 0), (10, 0))
    assert saved(grey, tmp_path / "la.png")[0].tolist() == [[10] * 3, [255] * 3]


def test_palettes_with_and_without_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.putdata([0, 1, 2])
    colours = [[10, 20, 30], [40, 50, 60], [70, 80, 90]]
    assert saved(image, tmp_path / "plain.png")[0].tolist() == colours
    assert saved(image, tmp_path / "one.png", transparency=1)[0].tolist() == [colours[0], [255] * 3, colours[2]]
    alphas = saved(image, tmp_path / "alphas.png", transparency=bytes([255, 255, 0]))
    assert alphas[0].tolist() == [colours[0], colours[1], [255] * 3]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_exif_rotation_is_applied(tmp_path: Path, suffix: str) -> None:
    image = Image.new("RGB", (32, 16), "black")
    image.paste((255, 255, 255), (0, 0, 8, 16))  # the left edge; a quarter turn clockwise brings it to the top
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = saved(image, tmp_path / f"a{suffix}", exif=exif)
    assert pixels.shape == (32, 16, 3)
    assert pixels[:6].mean() > 240
    assert pixels[10:].mean() < 15


def fault(path: Path) -> str:
    """The one sentence that reading ``path`` ends in."""
    with pytest.raises(DataError) as caught:
        read_image(path)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    return text


def test_missing_empty_and_foreign_files(tmp_path: Path) -> None:
    assert "No such file" in fault(tmp_path / "none.png")
    assert "Is a directory" in fault(tmp_path)
    (tmp_path / "empty.png").touch()
    assert "is empty" in fault(tmp_path / "empty.png")
    (tmp_path / "text.png").write_text("not an image")
    assert "not a readable PNG, JPEG, WebP or BMP" in fault(tmp_path / "text.png")
    picture().save(tmp_path / "gif.png", format="GIF")
    assert "not a readable PNG, JPEG, WebP or BMP" in fault(tmp_path / "gif.png")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp"])
@pytest.mark.parametrize("share", [0.03, 0.5, 0.9])
def test_truncated_files(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"a{suffix}"
    picture(width=64, height=64).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert "replace" in fault(path)


@pytest.mark.parametrize("side", [10_000, 60_000])  # Pillow warns of the first and refuses the second
@pytest.mark.filterwarnings("default")
def test_gigantic_images_are_refused_without_decoding(tmp_path: Path, side: int) -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""))
    assert "pixels: store it at a smaller size" in fault(path)


def test_threads_agree_and_leave_the_warning_filters_alone(tmp_path: Path) -> None:
    before = list(warnings.filters)
    picture().save(tmp_path / "a.png")
    results: list[Image.Image] = []
    threads = [threading.Thread(target=lambda: results.append(read_image(tmp_path / "a.png"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [np.array_equal(image, picture()) for image in results] == [True] * 8
    assert warnings.filters == before


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    assert "Permission denied" in fault(tmp_path / "a.png")


def test_to_square_keeps_an_image_of_that_size() -> None:
    image = picture(width=16, height=16)
    square = to_square(np.asarray(image), 16)
    assert square.dtype == torch.uint8
    assert square.shape == (3, 16, 16)
    assert square.is_contiguous()
    assert np.array_equal(square.permute(1, 2, 0), image)


@pytest.mark.parametrize(("width", "height"), [(48, 16), (16, 48)])
def test_to_square_takes_the_centre(width: int, height: int) -> None:
    image = Image.new("RGB", (width, height), "black")
    left, top = (width - 16) // 2, (height - 16) // 2
    middle = picture(width=16, height=16)
    image.paste(middle, (left, top))
    assert np.array_equal(to_square(np.asarray(image), 16).permute(1, 2, 0), middle)


def test_to_square_is_the_usual_resize_and_crop_away_from_the_border() -> None:
    image = picture(width=100, height=60)
    usual = np.asarray(image.resize((50, 30), Image.Resampling.BICUBIC).crop((10, 0, 40, 30))).astype(int)
    ours = to_square(np.asarray(image), 30).permute(1, 2, 0).numpy().astype(int)
    assert np.abs(ours - usual)[:, 3:-3].max() <= 1


def test_to_square_of_a_very_long_strip_stays_small() -> None:
    assert to_square(np.asarray(Image.new("RGB", (60_000, 1), "red")), 224).float().mean((1, 2)).tolist() == [255, 0, 0]
