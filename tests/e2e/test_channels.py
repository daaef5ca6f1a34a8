"""Images of other channels than red, green and blue: satellites' bands, and grey pictures kept grey."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from real_images import digit_folder

import wmdd
from wmdd.core.errors import WmddError
from wmdd.exports import FORMS
from wmdd.pipeline.artifacts import load_teacher
from wmdd.pipeline.run_directory import RunDirectory

SETTINGS = {
    "data.image_size": 16,
    "teacher.epochs": 8,
    "teacher.batch_size": 20,
    "synthesis.steps": 5,
    "evaluation.seeds": [0],
    "evaluation.epochs": 2,
    "runtime.threads": 1,
}


def bands(folder: Path, channels: int) -> Path:
    """Three classes, each bright in a band of its own, in an ``.npz`` file."""
    random = np.random.default_rng(0)
    labels = np.arange(90) % 3
    images = random.integers(0, 60, (90, 20, 16, channels), dtype=np.uint8)
    images[np.arange(90), :, :, labels % channels] += (60 + 60 * (labels // channels)).astype(np.uint8)[:, None, None]
    np.savez(folder / "bands.npz", images=images, labels=labels)
    return folder / "bands.npz"


@pytest.mark.parametrize(("channels", "arch"), [(2, "convnet3"), (5, "convnet3"), (13, "resnet10t")])
def test_a_run_on_many_bands(tmp_path: Path, channels: int, arch: str) -> None:
    data = bands(tmp_path, channels)
    settings = SETTINGS | {"teacher.arch": arch}
    made = wmdd.distill(data, tmp_path / "run", ipc=2, settings=settings)
    assert made.images.shape == (6, channels, 16, 16)
    everything = np.load(data)["images"][:, 2:18].astype(float) / 255  # the centre squares
    assert np.allclose(made.preprocessing.mean, everything.mean((0, 1, 2)), atol=0.02)
    assert np.allclose(made.preprocessing.std, everything.std((0, 1, 2)), atol=0.02)
    for form in FORMS:
        back = wmdd.load(wmdd.export(tmp_path / "run", form))
        assert torch.equal(back.images, made.images)
        assert back.preprocessing == made.preprocessing
    assert "data:image/png" in (tmp_path / "run/report/index.html").read_text(encoding="utf-8")


def test_grey_pictures_stay_grey_when_told(tmp_path: Path) -> None:
    data = digit_folder(tmp_path / "digits", classes=3, train=20, val=10)
    made = wmdd.distill(data, tmp_path / "run", ipc=2, settings=SETTINGS | {"data.channels": 1})
    assert made.images.shape == (6, 1, 16, 16)
    assert load_teacher(RunDirectory(tmp_path / "run")).preprocessing.channels == 1
    with Image.open(next((tmp_path / "run").rglob("000.png"))) as image:
        assert (image.mode, image.size) == ("L", (16, 16))


def test_a_number_of_channels_that_the_images_have_not(tmp_path: Path) -> None:
    with pytest.raises(WmddError, match=r"data\.channels is 4, but the images have 5: give that many"):
        wmdd.distill(bands(tmp_path, 5), tmp_path / "run", settings=SETTINGS | {"data.channels": 4})
    with pytest.raises(WmddError, match=r"data\.channels is 4, but the images have 3: give that many, or 1 for grey"):
        wmdd.distill("digits", tmp_path / "run", settings=SETTINGS | {"data.channels": 4})
    assert not (tmp_path / "run").exists()
