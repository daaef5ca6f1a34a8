"""Map-style data sets of a program: which images they give however they are read, and which labels count."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import torch
from torch.utils.data import Subset

from wmdd.config import DataConfig
from wmdd.core.errors import DataError
from wmdd.data import ImageSource, OwnData, lent_data, load_images, open_source

SIDE = 8
PIXELS = np.random.default_rng(0).integers(0, 256, (48, SIDE, SIDE, 3), dtype=np.uint8)
LABELS = [i % 2 for i in range(48)]


class OneFile:
    """Images one after another in a file that is opened with the first, and kept open, as HDF5 and LMDB sets do."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(PIXELS.tobytes())
        self.path = path
        self.file: BinaryIO | None = None

    def __len__(self) -> int:
        return len(PIXELS)

    def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
        file = self.file or self.path.open("rb", buffering=0)
        self.file = file
        file.seek(i * PIXELS[0].nbytes)
        time.sleep(1e-4)  # so that another process that had the file would get between
        return np.frombuffer(file.read(PIXELS[0].nbytes), np.uint8).reshape(SIDE, SIDE, 3), LABELS[i]

    def __del__(self) -> None:
        if self.file:
            self.file.close()


@pytest.mark.parametrize("convert", [False, True])
def test_a_set_that_keeps_a_file_open_is_streamed_right(tmp_path: Path, convert: bool) -> None:
    own = OwnData(OneFile(tmp_path / "images"))
    config = DataConfig(source=own.name, memory_gb=0, workers=2, convert=convert)
    with lent_data(own):
        split = open_source(config).train
    assert split.one_at_a_time
    images = load_images(split, SIDE, config, torch.device("cpu"))
    index = torch.arange(len(split))
    expected = [PIXELS[int(name.rpartition("/")[2])] for name in split.names]
    for pixels in (images.take(index), torch.cat([pixels for pixels, _ in images.batches(index.split(3))])):
        assert np.array_equal(pixels.permute(0, 2, 3, 1).numpy(), np.stack(expected))


class Listed:
    """A set with lists of labels of its own, beside those that its items have."""

    def __init__(self, given: list[Any], **lists: Any) -> None:
        self.given = given
        for name, values in lists.items():
            setattr(self, name, values)

    def __len__(self) -> int:
        return len(self.given)

    def __getitem__(self, i: int) -> tuple[np.ndarray, Any]:
        return PIXELS[i], self.given[i]


def opened(dataset: Any) -> ImageSource:
    return OwnData(dataset).open(0.5, 0)


TEN = [i % 5 for i in range(20)]
TWO = [label % 2 for label in TEN]


@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: Subset(data, range(1, 20))])
@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_a_list_of_labels_that_the_items_do_not_have_is_refused(
    wrap: Callable[[Any], Any], kind: Callable[[Any], Any]
) -> None:
    """As of a set of torchvision that a subclass relabels, with ``targets`` left over."""
    with pytest.raises(DataError) as caught:
        opened(wrap(Listed(TWO, targets=kind(TEN))))
    said = str(caught.value)
    assert "of the data has the label 0, but is listed with 2: let both say the same" in said
    assert "\n" not in said


def test_labels_that_differ_in_one_image_alone_are_refused_when_it_is_read() -> None:
    changed = [*LABELS[:7], 1 - LABELS[7], *LABELS[8:]]
    dataset = Listed(LABELS, targets=LABELS)
    source = opened(dataset)
    dataset.given = changed
    said = []
    for split in (source.train, source.validation):
        for i in range(len(split)):
            try:
                split.read(i)
            except DataError as error:
                said.append(str(error))
    assert said == ["image 7 of the data has the label 0, but is listed with 1: let both say the same"]


@pytest.mark.parametrize("names", ["ant", None, 0.5, float("nan"), [0], {}])
def test_a_list_that_holds_no_whole_numbers_is_passed_over(names: Any) -> None:
    source = opened(Listed(TWO, labels=[names] * 20))
    assert source.class_names == ("0", "1")
    assert len(source.train) + len(source.validation) == 20


def test_a_list_of_whole_numbers_behind_one_of_names_counts() -> None:
    assert opened(Listed(TWO, targets=["ant"] * 20, labels=TWO)).class_names == ("0", "1")
    with pytest.raises(DataError, match="is listed with 2"):
        opened(Listed(TWO, targets=["ant"] * 20, labels=TEN))


@pytest.mark.parametrize(
    "kind", [int, np.int64, np.uint8, float, bool, torch.tensor, lambda label: torch.tensor([label])]
)
def test_labels_of_items_may_be_of_any_type_that_is_a_whole_number(kind: Callable[[int], Any]) -> None:
    source = opened(Listed([kind(label) for label in TWO], targets=TWO))
    assert len(source.train.read(0)) == SIDE


def test_names_of_classes_that_cannot_be_written_down_are_refused() -> None:
    with pytest.raises(DataError, match="the data has a name that is not UTF-8: rename it"):
        OwnData(Listed(TWO), class_names=["ant", "\ud800"])


@pytest.mark.parametrize("label", ["ant", None, 0.5, torch.zeros(2)])
def test_labels_of_items_that_are_no_whole_numbers_are_refused(label: Any) -> None:
    for lists in ({}, {"targets": TWO}):
        with pytest.raises(DataError, match=r"labels that are not whole numbers|but is listed with 0") as caught:
            opened(Listed([label] * 20, **lists))
        assert "\n" not in str(caught.value)
