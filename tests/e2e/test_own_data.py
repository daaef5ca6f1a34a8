"""Data that are no folder: those of a Python program, of torchvision by name, and of Hugging Face's library."""

import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from coloured_images import COLOURS, TINY, Refused
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image
from PIL import Image as Pillow
from torch import Tensor
from torch.utils.data import StackDataset, Subset, TensorDataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import ColorJitter, PILToTensor, ToTensor

import wmdd
from wmdd.cli.main import main
from wmdd.config import DataConfig
from wmdd.core.errors import WmddError
from wmdd.data import open_source
from wmdd.data.own import OwnData
from wmdd.data.parallel import decode_images

SETTINGS = {
    "data.image_size": 16,
    "data.workers": 1,
    "teacher.epochs": 2,
    "synthesis.steps": 2,
    "evaluation.epochs": 1,
    "evaluation.seeds": [0],
    "evaluation.random_real": False,
    "runtime.precision": "float32",
    "runtime.threads": 1,
}


def tensors(count: int = 6, channels: int = 3) -> tuple[Tensor, Tensor]:
    """Noisy 16 px images uint8 ``[3 * count, channels, 16, 16]`` of three colours, and their labels."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(3).repeat_interleave(count)
    colours = torch.tensor(list(COLOURS.values()))[labels][:, torch.arange(channels) % 3]
    noise = torch.randint(-30, 31, (3 * count, channels, 16, 16), generator=draw)
    return (colours[:, :, None, None] + noise).clamp(0, 255).to(torch.uint8), labels


def distilled(data: Any, out: Path, **settings: Any) -> wmdd.DistilledDataset:
    return wmdd.distill(data, out, ipc=1, settings={**SETTINGS, **settings})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own") / "run"
    made = distilled(tensors(), folder)
    assert made.images.shape == (3, 3, 16, 16)
    assert made.class_names == ("0", "1", "2")
    return folder


class OneHandle(torch.utils.data.Dataset[Any]):
    """Images behind one open file: no two threads may read at a time."""

    def __init__(self) -> None:
        self.images, self.labels = tensors(40)
        self.reading, self.most = 0, 0

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        self.reading += 1
        self.most = max(self.most, self.reading)
        time.sleep(1e-4)
        self.reading -= 1
        return self.images[i], int(self.labels[i])


def test_a_set_is_read_by_one_thread_at_a_time() -> None:
    data = OneHandle()
    source = OwnData(data).open(0.2, 0)
    decode_images(source.train, range(len(source.train)), 16, threads=4)
    assert data.most == 1


def test_splits_of_other_classes_are_refused(tmp_path: Path) -> None:
    for folder, names in (("train", ("Bee", "ant")), ("val", ("bee", "ant"))):
        for name in names:
            (tmp_path / folder / name).mkdir(parents=True)
            Pillow.new("RGB", (16, 16)).save(tmp_path / folder / name / "0.png")
    with pytest.raises(WmddError, match="the validation data have other classes than the data"):
        OwnData(ImageFolder(tmp_path / "train"), ImageFolder(tmp_path / "val"))


def test_two_classes_of_one_name_are_refused() -> None:
    with pytest.raises(WmddError, match="has two classes named 'crane'"):
        OwnData(tensors(), class_names=["crane", "owl", "crane"]).open(0.2, 0)


def test_data_that_are_not_mirrored_are_others() -> None:
    assert OwnData(tensors()).name != OwnData(tensors(), flips=False).name


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 16, 16)])
def test_an_array_with_its_channels_first_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(WmddError, match=r"arrays \[H, W, C\]"):
        OwnData(StackDataset([np.zeros(shape, dtype=np.uint8)] * 4, [0, 1, 0, 1]))


def test_names_of_each_splits_own_labels_count(tmp_path: Path) -> None:
    """The same colours, numbered one way to train on and the other way to score on."""
    red, blue = (Pillow.new("RGB", (16, 16), colour) for colour in ("red", "blue"))
    splits = {}
    for split, names in (("train", ["blue", "red"]), ("validation", ["red", "blue"])):
        columns = {"image": [red, blue] * 2, "label": [names.index("red"), names.index("blue")] * 2}
        splits[split] = Dataset.from_dict(columns, Features({"image": Image(), "label": ClassLabel(names=names)}))
    DatasetDict(splits).save_to_disk(tmp_path / "saved")
    source = open_source(DataConfig(source=str(tmp_path / "saved")))
    for part in (source.train, source.validation):
        assert [source.class_names[k] for k in part.labels] == ["red", "blue"] * 2
    for split, table in splits.items():
        table.to_parquet(tmp_path / "files" / f"{split}.parquet")
    with pytest.raises(WmddError, match="names its classes otherwise than"):
        open_source(DataConfig(source=str(tmp_path / "files")))


def test_a_run_of_tensors_goes_on_with_the_same_and_refuses_others(run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (run / "artifacts").rglob("*") if path.is_file()}
    images, labels = tensors()
    distilled((images.clone(), labels), run)
    assert {path: path.stat().st_mtime_ns for path in (run / "artifacts").rglob("*") if path.is_file()} == before
    images[0, 0, 0, 0] ^= 1
    with pytest.raises(WmddError, match="was begun with other images"):
        distilled((images, labels), run)
    assert len(wmdd.evaluate(run, data=tensors(), seeds=[0, 1])) == 1


def test_the_command_line_says_who_has_the_data(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run)]) == 0
    capsys.readouterr()
    assert main(["run", str(run), "-q"]) == 2
    said = capsys.readouterr().err
    assert "are data of a Python program, which alone has them: go on there" in said
    assert len(said.splitlines()) == 1


def test_it_does_not_matter_in_which_form_images_are_given(pristine_colours: Path, tmp_path: Path) -> None:
    """A folder's images as PIL images, uint8 and float tensors and arrays, whole and in part: the same source."""
    folder = ImageFolder(pristine_colours)
    arrays = [(np.asarray(image), label) for image, label in folder]
    images = torch.stack([PILToTensor()(image) for image, _ in folder])
    labels = torch.tensor(folder.targets)
    backwards = TensorDataset(images.flip(0), labels.flip(0))
    forms: list[Any] = [
        folder,
        ImageFolder(pristine_colours, transform=PILToTensor()),
        ImageFolder(pristine_colours, transform=ToTensor()),
        Listed(arrays),
        TensorDataset(images, labels),
        Subset(backwards, range(len(labels) - 1, -1, -1)),
        (images, labels),
        (images.float() / 255, labels),
    ]
    names = ("blue", "green", "red")
    sources = [wmdd.OwnData(form, class_names=names).open(0.2, 0) for form in forms]
    assert len({source.fingerprint for source in sources}) == 1
    assert sources[0].class_names == names
    for i in range(3):
        assert len({source.train.read(i).tobytes() for source in sources}) == 1
    assert wmdd.OwnData(folder).name.startswith("python:ImageFolder-")
    assert wmdd.OwnData(folder).open(0.2, 0).class_names == names  # its own


class Listed:
    """A map-style data set, of the rows that it is given."""

    def __init__(self, rows: list[Any]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> Any:
        return self.rows[i]


def test_a_split_of_ones_own_and_many_channels(tmp_path: Path) -> None:
    data = wmdd.OwnData(tensors(6, 5), validation=tensors(2, 5), class_names=["a", "b", "c"], flips=False)
    made = distilled(data, tmp_path / "run")
    assert made.images.shape == (3, 5, 16, 16)
    assert made.class_names == ("a", "b", "c")
    config = (tmp_path / "run" / "config.yaml").read_text()
    assert "flip: false" in config


def test_a_comparison_of_tensors(tmp_path: Path) -> None:
    found = wmdd.compare(tensors(), tmp_path / "who", methods=["random"], ipc=[1], seeds=1, settings=SHARED | QUICK)
    assert [row["method"] for row in found["rows"]] == ["random"] * 3  # once under each protocol


SHARED = {name: value for name, value in SETTINGS.items() if not name.startswith(("synthesis", "evaluation."))}
QUICK = {"evaluation.epochs": 2}
IMAGES, LABELS = tensors()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ((IMAGES, LABELS[:5]), "a pair of tensors of equal length"),
        ((IMAGES.numpy(), LABELS), "a pair of tensors of equal length"),
        ((IMAGES.float(), LABELS), r"image 0 of the data has values from .* give floats from 0 to 1, not normalised"),
        ((IMAGES.int(), LABELS), "image 0 of the data is torch.int32, but should be uint8, or float"),
        ((IMAGES[:, :, :, 0, None, None], LABELS), r"has the shape \[3, 16, 1, 1\]"),
        ((IMAGES.repeat(1, 6, 1, 1), LABELS), "with at most 16 channels"),
        ((IMAGES[:0], LABELS[:0]), "the data has no images"),
        ((IMAGES, LABELS - 1), "has the label -1, but there are the classes 0 to"),
        ((IMAGES, LABELS * 100), "at least two classes"),
        ((IMAGES, LABELS + 0.5), "labels that are not whole numbers"),
        ((IMAGES, LABELS.float().log()), "labels that are not whole numbers"),
        ((IMAGES, LABELS * 0), "at least two classes"),
        (lambda: iter([]), "is of type function: give a path, a map-style torch Dataset, or a pair of tensors"),
        (Listed([(IMAGES[0], 0), (IMAGES[1], 1)]), "needs at least 2"),
        (Listed([{"image": 0}]), "image 0 of the data is dict, but should be a pair"),
        (Listed([("a.png", 0), ("b.png", 1)]), "image 0 of the data is str, but should be a PIL image"),
        (Listed([(IMAGES[0], 0), (IMAGES[1, :2], 0), (IMAGES[2], 1), (IMAGES[3], 1)]), "has 2 channels, and image 0 3"),
        (wmdd.OwnData((IMAGES, LABELS), class_names=["a", "A", "b"]), "differ in case alone"),
        (wmdd.OwnData((IMAGES, LABELS), class_names=["a", "b"]), "has the label 2, but there are the classes 0 to 1"),
        (wmdd.OwnData((IMAGES, LABELS), validation=tensors(2, 4)), "3 channels and the validation data 4"),
    ],
)  # fmt: skip
def test_data_that_cannot_be_used_are_refused(data: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(WmddError, match=says) as caught:
        distilled(data, tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run" / "artifacts").exists()


def test_random_transforms_are_found_out(pristine_colours: Path, tmp_path: Path) -> None:
    with pytest.raises(WmddError, match="leave out random transforms"):
        distilled(ImageFolder(pristine_colours, transform=ColorJitter(0.5)), tmp_path / "run")


def test_class_names_that_are_none() -> None:
    with pytest.raises(WmddError, match="should be a list of names"):
        wmdd.OwnData((IMAGES, LABELS), class_names="abc").open(0.2, 0)


def test_cifar_by_torchvisions_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ten classes, each a colour, in the files of CIFAR-10."""
    folder = tmp_path / "root" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": [f"colour {k}" for k in range(10)]}))
    draw = np.random.default_rng(0)
    labels = list(range(10)) * 4
    colours = draw.integers(40, 216, (10, 3, 1))
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        pixels = (colours[labels] + draw.integers(-40, 40, (40, 3, 1024))).astype(np.uint8)
        (folder / name).write_bytes(pickle.dumps({"data": pixels.reshape(40, -1), "labels": labels}))
    words = ["--data", "torchvision:CIFAR10", "--data.root", str(tmp_path / "root"), *TINY, "--ipc", "1"]
    assert main(["run", str(tmp_path / "run"), *words]) == 0
    assert wmdd.load(tmp_path / "run").class_names[3] == "colour 3"
    assert "source: torchvision:CIFAR10" in (tmp_path / "run" / "config.yaml").read_text()


def test_parquet(pristine_colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    rows = [(Pillow.open(path).convert("RGB"), path.parent.name) for path in sorted(pristine_colours.glob("*/*.png"))]
    features = Features({"image": Image(), "label": ClassLabel(names=list(COLOURS))})
    images, names = zip(*rows, strict=True)
    Dataset.from_dict({"image": images, "label": names}, features=features).to_parquet(tmp_path / "colours.parquet")
    assert main(["run", str(tmp_path / "run"), "--data", str(tmp_path / "colours.parquet"), *TINY]) == 0
    assert wmdd.load(tmp_path / "run").class_names == tuple(COLOURS)


def test_what_is_not_there_is_refused(refused: Refused, tmp_path: Path) -> None:
    words = ["run", tmp_path / "run", *TINY, "--data.root", tmp_path, "--data"]
    refused([*words, "hf:someone/absent"], "hf:someone/absent cannot be read", "--data.download true")
    refused([*words, "torchvision:MNIST"], "torchvision:MNIST cannot be read", "--data.download true")
    refused([*words, "torchvision:mnist"], "did you mean torchvision:MNIST?")
    refused([*words, "python:tensors-0123"], "are data of a Python program")
