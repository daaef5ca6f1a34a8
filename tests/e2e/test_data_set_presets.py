"""Presets of data sets, dry-run on generated images: as many classes, images of their size."""

import json
import os
from pathlib import Path

import pytest
import torch
from coloured_images import Refused

from wmdd.api import begin
from wmdd.cli.main import main
from wmdd.config.load import merge, nested, parse
from wmdd.config.presets import read_preset
from wmdd.core.records import STAGES
from wmdd.pipeline.plan import probe
from wmdd.pipeline.stages import ALL_STAGES
from wmdd.runtime.progress import Reporter
from wmdd.storage.images import write_png

CLASSES = {
    "digits": 10,
    "digits-resnet18": 10,
    "cifar10": 10,
    "cifar100": 100,
    "imagenette": 10,
    "imagenette-64px": 10,
    "tiny-imagenet": 200,
    "imagenet1k": 1000,
}
SIDES = {"digits": 32, "digits-resnet18": 32, "cifar10": 32, "cifar100": 32, "imagenette-64px": 64, "tiny-imagenet": 64}
QUICK = ["--runtime.threads", "1", "--data.workers", "0", "-q"]


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_SECONDS", 0.0)


def generated(folder: Path, preset: str, each: int) -> list[str]:
    """``--data`` and a folder with the classes of a preset, ``each`` training images a class."""
    if preset.startswith("digits"):
        return []
    size = SIDES.get(preset, 224)
    write_png(folder / "image.png", torch.randint(0, 256, (3, size, size), dtype=torch.uint8))
    image = (folder / "image.png").read_bytes()
    for k in range(CLASSES[preset]):
        place = folder / "val" / f"n{k:08d}"
        place.mkdir(parents=True)
        (place / "0.png").write_bytes(image)  # one for each class: a file has 65,000 names at most
        training = folder / "train" / place.name
        training.mkdir(parents=True)
        for i in range(each):
            os.link(place / "0.png", training / f"{i}.png")
    return ["--data", str(folder)]


@pytest.mark.parametrize("ipc", [1, 10, 50, 100])
@pytest.mark.parametrize("preset", CLASSES)
def test_a_run_begins(preset: str, ipc: int, tmp_path: Path) -> None:
    """Its data are read, its networks built and tried, its units counted; a step of synthesis fits into memory."""
    data = generated(tmp_path / "data", preset, ipc)
    settings = {"data.workers": 0, "runtime.threads": 1} | ({"data.source": str(tmp_path / "data")} if data else {})
    work = begin(tmp_path / "run", merge(read_preset(f"{preset}-ipc{ipc}"), nested(settings)), Reporter(quiet=True))
    config = work.config
    assert (config.ipc, config.data.image_size) == (ipc, SIDES.get(preset, 224))
    assert len(work.class_names) == CLASSES[preset]
    assert work.group_size * ipc <= max(ipc, config.synthesis.batch_size)
    for stage in ALL_STAGES:
        assert bool(stage.units(work)) == (stage.name != "relabel" or config.evaluation.labels != "online")


@pytest.mark.parametrize("preset", ["digits-ipc1", "imagenette-64px-ipc1"])
def test_a_plan(preset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = generated(tmp_path / "data", preset.rpartition("-")[0], 10)
    assert main(["plan", "--preset", preset, *data, *QUICK, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert tuple(found["stages"]) == STAGES
    assert all(stage["seconds"] > 0 for stage in found["stages"].values())


def test_one_preset_over_another() -> None:
    config = parse(read_preset("cifar10-ipc50, wmdd-paper"))
    assert (config.data.source, config.teacher.arch, config.teacher.lr, config.ipc) == (
        "cifar10",
        "resnet18",
        0.025,
        50,
    )
    assert config.synthesis.steps == 2000
    assert parse(read_preset("wmdd-paper,imagenet1k")).teacher.lr == 0.1


def test_only_a_set_that_is_known_to_need_it_is_converted() -> None:
    assert [name for name in CLASSES if parse(read_preset(f"{name}-ipc10")).data.convert] == ["imagenet1k"]


def test_a_data_sets_preset_does_not_distil_the_digits_instead(refused: Refused) -> None:
    assert "cifar10" in refused(["plan", "--preset", "cifar10"])


@pytest.mark.parametrize("name", ["cifar", "cifar10-ipc", "cifar10-ipcx", "cifar10-ipc0", "cifar10,", "-ipc3"])
def test_no_such_preset(name: str, refused: Refused) -> None:
    unknown = f"there is no preset {name.rpartition(',')[2]!r}"
    refused(["plan", f"--preset={name}"], "ipc is 0" if name.endswith("ipc0") else unknown)
