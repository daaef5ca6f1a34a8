"""Data sets that are known without being here."""

import pytest

from wmdd.config.load import parse
from wmdd.config.presets import presets, read_preset
from wmdd.data import KNOWN, stand_in


@pytest.mark.parametrize("name", KNOWN)
def test_a_stand_in_has_the_shapes_of_the_set(name: str) -> None:
    known, found = KNOWN[name], stand_in(name)
    assert len(found.class_names) == known.classes
    assert (len(found.train), len(found.validation)) == (known.train, known.validation)
    counts = found.train.labels.bincount(minlength=known.classes)
    assert int(counts.max()) - int(counts.min()) <= 1
    assert found.train.read(7).shape == (known.height, known.width, 3)


def test_a_picture_of_noise_has_the_bytes_of_a_photograph() -> None:
    archive = 147_897_477_120  # ILSVRC2012_img_train.tar
    assert sum(map(int, stand_in("imagenet1k").train.stamps)) == pytest.approx(archive, rel=0.1)


def test_every_preset_names_data_that_are_known_or_embedded() -> None:
    assert {parse(read_preset(name)).data.source for name in presets()} == {*KNOWN, "digits"}
