"""Sets of torchvision, generated in the formats in which they are published."""

import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torchvision.datasets
from PIL import Image

from wmdd.config import DataConfig
from wmdd.core.errors import DataError
from wmdd.data import ImageSource, open_source

DRAW = np.random.default_rng(0)


def opened(name: str, root: Path, **settings: Any) -> ImageSource:
    return open_source(DataConfig(source=f"torchvision:{name}", root=str(root), **settings))


def fault(name: str, root: Path, **settings: Any) -> str:
    with pytest.raises(DataError) as caught:
        opened(name, root, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def draw(count: int, *shape: int) -> np.ndarray:
    return DRAW.integers(0, 256, (count, *shape), dtype=np.uint8)


def write_cifar10(root: Path) -> np.ndarray:
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": names}))
    images = draw(120, 3, 32, 32)
    for i, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        batch = {"data": images[20 * i : 20 * i + 20].reshape(20, -1), "labels": list(range(10)) * 2}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    return images


def write_cifar100(root: Path) -> np.ndarray:
    folder = root / "cifar-100-python"
    folder.mkdir()
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": [f"thing {i}" for i in range(100)]}))
    images = draw(300, 3, 32, 32)
    for name, part in (("train", images[:200]), ("test", images[200:])):
        labels = list(range(100)) * (len(part) // 100)
        batch = {"data": part.reshape(len(part), -1), "fine_labels": labels, "coarse_labels": [0] * len(part)}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    return images


def test_cifar10_as_published(tmp_path: Path) -> None:
    images = write_cifar10(tmp_path)
    source = opened("CIFAR10", tmp_path)
    assert (source.class_names[3], len(source.train), len(source.validation)) == ("cat", 100, 20)
    np.testing.assert_array_equal(source.train.read(41), images[41].transpose(1, 2, 0))
    np.testing.assert_array_equal(source.validation.read(3), images[103].transpose(1, 2, 0))


def test_cifar100_as_published(tmp_path: Path) -> None:
    images = write_cifar100(tmp_path)
    source = opened("CIFAR100", tmp_path)
    assert (len(source.class_names), len(source.train), len(source.validation)) == (100, 200, 100)
    np.testing.assert_array_equal(source.train.read(7), images[7].transpose(1, 2, 0))


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST", "KMNIST"])
def test_idx_files(tmp_path: Path, name: str) -> None:
    raw = tmp_path / name / "raw"
    raw.mkdir(parents=True)
    kept = {}
    for prefix, count in (("train", 30), ("t10k", 20)):
        images, labels = draw(count, 28, 28), (np.arange(count) % 10).astype(np.uint8)
        (raw / f"{prefix}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 2051, count, 28, 28) + images.tobytes())
        (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, count) + labels.tobytes())
        kept[prefix] = images
    source = opened(name, tmp_path)
    assert (len(source.class_names), source.flips) == (10, name == "FashionMNIST")
    assert source.train.labels.tolist() == list(range(10)) * 3
    np.testing.assert_array_equal(source.train.read(5), kept["train"][5][..., None].repeat(3, axis=2))
    np.testing.assert_array_equal(source.validation.read(5)[..., 0], kept["t10k"][5])


def test_svhn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {}
    for split, count in (("train", 30), ("test", 20)):
        kept[split] = draw(count, 32, 32, 3)
        labels = np.arange(count) % 10 + 1  # as published, where 10 stands for 0
        scipy.io.savemat(
            tmp_path / f"{split}_32x32.mat", {"X": kept[split].transpose(1, 2, 3, 0), "y": labels[:, None]}
        )
    monkeypatch.setattr("torchvision.datasets.svhn.check_integrity", lambda *_: True)  # they are not the published ones
    source = opened("SVHN", tmp_path)
    assert source.train.labels[:10].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
    assert not source.flips
    np.testing.assert_array_equal(source.validation.read(11), kept["test"][11])


def test_imagenette_as_published(tmp_path: Path) -> None:
    classes = sorted(torchvision.datasets.Imagenette._WNID_TO_CLASS)
    kept = {}
    for split, count in (("train", 3), ("val", 2)):
        for wnid in classes:
            folder = tmp_path / "imagenette2" / split / wnid
            folder.mkdir(parents=True)
            for i in range(count):
                Image.fromarray(draw(1, 20, 24, 3)[0]).save(folder / f"{wnid}_{i}.JPEG")
                with Image.open(folder / f"{wnid}_{i}.JPEG") as image:
                    kept[split, wnid, i] = np.asarray(image)
    source = opened("Imagenette", tmp_path)
    assert source.class_names[:2] == ("tench", "English springer")
    assert (len(source.train), len(source.validation)) == (30, 20)
    np.testing.assert_array_equal(source.train.read(4), kept["train", classes[1], 1])


def test_a_set_without_splits(tmp_path: Path) -> None:
    for name in ("AnnualCrop", "Forest", "River"):
        folder = tmp_path / "eurosat" / "2750" / name
        folder.mkdir(parents=True)
        for i in range(10):
            Image.fromarray(draw(1, 16, 16, 3)[0]).save(folder / f"{name}_{i}.jpg")
    source = opened("EuroSAT", tmp_path)
    assert source.class_names == ("AnnualCrop", "Forest", "River")
    assert (len(source.train), len(source.validation)) == (24, 6)


@pytest.mark.parametrize("name", ["CIFAR10", "MNIST", "SVHN", "Food101"])
def test_a_set_that_is_not_there_is_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something was fetched")

    for module in ("utils", "mnist", "svhn"):
        monkeypatch.setattr(f"torchvision.datasets.{module}.download_url", refuse, raising=False)
        monkeypatch.setattr(f"torchvision.datasets.{module}.download_and_extract_archive", refuse, raising=False)
    monkeypatch.setattr("wmdd.data.torchvision_sets.download_and_extract_archive", refuse)
    said = fault(name, tmp_path)
    assert f"torchvision:{name}" in said
    assert "--data.root" in said
    assert "--data.download true" in said


def test_cifar_is_fetched_when_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(url: str, root: str, *, filename: str, md5: str) -> None:
        asked.append((url, filename, md5))
        write_cifar10(Path(root))

    monkeypatch.setattr("wmdd.data.torchvision_sets.download_and_extract_archive", fetch)
    assert len(opened("CIFAR10", tmp_path, download=True).train) == 100
    published = torchvision.datasets.CIFAR10
    assert asked == [(published.url, published.filename, published.tgz_md5)]
    opened("CIFAR10", tmp_path, download=True)
    assert len(asked) == 1


def test_no_such_set(tmp_path: Path) -> None:
    assert "did you mean torchvision:CIFAR10?" in fault("cifar10", tmp_path)
    assert "known are CIFAR10" in fault("?", tmp_path)


def test_code_in_a_batch_is_not_run(tmp_path: Path) -> None:
    write_cifar10(tmp_path)

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    (tmp_path / "cifar-10-batches-py" / "test_batch").write_bytes(pickle.dumps({"data": Evil(), "labels": [0]}))
    fault("CIFAR10", tmp_path)
    assert not (tmp_path / "ran").exists()
