"""The embedded digits: all of them, once, in a fixed stratified split."""

import numpy as np
import torch
from sklearn.datasets import load_digits  # type: ignore[import-untyped]

from wmdd.config import DataConfig
from wmdd.data import ImageSource, natural_size, open_source


def digits(seed: int = 0) -> ImageSource:
    return open_source(DataConfig(source="digits", split_seed=seed))


def test_the_split_is_complete_stratified_and_fixed() -> None:
    source = digits()
    assert source.name == "digits"
    assert source.class_names == tuple("0123456789")
    assert (len(source.train), len(source.validation)) == (1437, 360)
    names = source.train.names + source.validation.names
    assert sorted(names, key=lambda name: int(name.removeprefix("digits/"))) == [f"digits/{i}" for i in range(1797)]
    share = source.train.labels.bincount() / torch.as_tensor(load_digits().target).bincount()
    assert (share - 0.8).abs().max() < 0.01
    assert digits(seed=5).fingerprint == source.fingerprint
    assert len(source.fingerprint) == 64


def test_pixels_and_labels_are_those_of_scikit_learn() -> None:
    source, original = digits(), load_digits()
    for split in (source.train, source.validation):
        assert split.labels.dtype == torch.int64
        for i in (0, 7, len(split) - 1):
            row = int(split.names[i].removeprefix("digits/"))
            image = split.read(i)
            assert image.shape == (8, 8, 3)
            assert int(split.labels[i]) == original.target[row]
            grey = np.asarray(image)[..., 0].astype(float)
            assert np.abs(grey - original.images[row] * 255 / 16).max() <= 0.5


def test_digits_are_not_mirrored_and_get_32_pixels() -> None:
    assert not digits().flips
    assert natural_size(digits()) == 32
