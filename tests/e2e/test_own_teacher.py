"""Teachers that come with their weights: a network object, a checkpoint, published weights."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from coloured_images import COLOURS, TINY, Refused
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

import wmdd
from wmdd.cli.main import main
from wmdd.core.errors import WmddError
from wmdd.core.types import Preprocessing
from wmdd.models import Teacher, build_network
from wmdd.runtime.device import Machine

SETTINGS = {
    "data.image_size": 16,
    "data.workers": 1,
    "synthesis.steps": 2,
    "evaluation.epochs": 1,
    "evaluation.seeds": [0],
    "evaluation.random_real": False,
    "runtime.precision": "float32",
    "runtime.threads": 1,
}
MEAN, STD = (0.5, 0.4, 0.3), (0.3, 0.25, 0.2)


class ColourNet(nn.Module):
    """A network that no library knows: it tells blue, green and red (in that order) by mean colour."""

    def __init__(self, num_classes: int = 3, in_chans: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(in_chans, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.read = nn.Linear(8, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.read(self.stem(x).mean((2, 3)))
        return scores


PUBLISHED = {"file": "published.pt", "num_classes": 3, "input_size": (3, 16, 16), "mean": MEAN, "std": STD}
default_cfgs = generate_default_cfgs({"colour_net.published": PUBLISHED})  # timm's registry looks for this name


@register_model
def colour_net(pretrained: bool = False, **settings: object) -> nn.Module:
    """A network of timm whose published weights are in a file of the working directory."""
    network: nn.Module = build_model_with_cfg(ColourNet, "colour_net", pretrained, **settings)
    return network


@pytest.fixture(scope="module")
def network() -> ColourNet:
    """Such a network that knows its colours, for inputs with ``MEAN`` and ``STD``."""
    torch.manual_seed(0)
    network = ColourNet()
    draw = torch.Generator().manual_seed(1)
    colours = torch.tensor(list(COLOURS.values())) / 255
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    for _ in range(60):
        labels = torch.randint(3, (24,), generator=draw)
        pixels = colours[labels][:, :, None, None] + 0.1 * torch.rand(24, 3, 16, 16, generator=draw) - 0.1
        x = (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
        loss = nn.functional.cross_entropy(network(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


def facts(run: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((run / "artifacts/teacher/teacher.json").read_text())
    return found


@pytest.fixture(scope="module")
def run(network: ColourNet, pristine_colours: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with ``network`` as the teacher."""
    folder = tmp_path_factory.mktemp("own") / "run"
    before = {name: value.clone() for name, value in network.state_dict().items()}
    teacher = wmdd.OwnNetwork(network.train(), mean=MEAN, std=STD)
    made = wmdd.distill(pristine_colours, folder, ipc=2, settings=SETTINGS, teacher=teacher)
    assert made.preprocessing.mean == MEAN
    assert made.preprocessing.std == STD
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    return folder


def test_a_network_object_teaches(run: Path, network: ColourNet) -> None:
    known = facts(run)
    assert known["top1"] == 100
    assert known["trained"] is False
    assert str(known["arch"]).startswith("python:ColourNet-")
    assert str(run) not in (run / "config.yaml").read_text()
    made = wmdd.load(run)
    scores = network.eval()(made.preprocessing.normalize(made.images))
    assert scores.argmax(1).tolist() == [0, 0, 1, 1, 2, 2]
    assert json.loads((run / "results.json").read_text())["scores"][0]["student"] == "convnet3"


def test_the_same_object_goes_on_and_another_is_refused(run: Path, network: ColourNet, pristine_colours: Path) -> None:
    def again(teacher: object) -> None:
        wmdd.distill(pristine_colours, run, ipc=2, settings=SETTINGS, teacher=teacher)  # type: ignore[arg-type]

    before = {path: path.stat().st_mtime_ns for path in (run / "artifacts").rglob("*") if path.is_file()}
    again(wmdd.OwnNetwork(network, mean=MEAN, std=STD))
    assert {path: path.stat().st_mtime_ns for path in (run / "artifacts").rglob("*") if path.is_file()} == before
    with pytest.raises(WmddError, match=r"teacher\.arch was 'python:ColourNet-.* when teacher was made in .* is 'pyth"):
        again(network)  # with ImageNet's mean and std
    torch.manual_seed(9)
    with pytest.raises(WmddError, match=r"teacher\.arch was 'python:ColourNet-.* use a new folder"):
        again(wmdd.OwnNetwork(ColourNet(), mean=MEAN, std=STD))


def test_the_command_line_goes_on_where_no_network_is_needed(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = shutil.copytree(run, tmp_path / "mine")
    assert main(["run", str(mine), "-q"]) == 0  # all is done
    assert main(["evaluate", str(mine), "--seeds", "0,1", "-q"]) == 0  # labels are stored
    assert main(["report", str(mine)]) == 0
    assert main(["info", str(mine)]) == 0
    assert main(["barycenters", str(mine), "--redo", "barycenters", "--solver", "uniform", "-q"]) == 0
    capsys.readouterr()
    assert main(["synthesize", str(mine), "-q"]) == 2
    said = capsys.readouterr().err
    assert "is a network object of a Python program, which alone has it: go on there" in said
    assert len(said.splitlines()) == 1


def test_a_set_of_it_is_exported_with_the_logits_that_it_gave(run: Path, network: ColourNet, tmp_path: Path) -> None:
    exported = wmdd.load(wmdd.export(run, out=tmp_path / "out"))
    mean, std = (torch.tensor(values)[None, :, None, None] for values in (MEAN, STD))
    with torch.no_grad():
        wanted = network.eval()((exported.images / 255 - mean) / std)
    assert exported.logits is not None
    torch.testing.assert_close(exported.logits, wanted, rtol=1e-4, atol=1e-4)


def test_the_same_object_redoes_what_is_missing(
    run: Path, network: ColourNet, pristine_colours: Path, tmp_path: Path
) -> None:
    mine = shutil.copytree(run, tmp_path / "mine")
    shutil.rmtree(mine / "artifacts/synthesis")
    shutil.rmtree(mine / "artifacts/relabel")
    shutil.rmtree(mine / "artifacts/evaluation")
    teacher = wmdd.OwnNetwork(network, mean=MEAN, std=STD)
    made = wmdd.distill(pristine_colours, mine, ipc=2, settings=SETTINGS, teacher=teacher)
    assert torch.equal(made.images, wmdd.load(run).images)


@pytest.mark.parametrize(
    ("teacher", "says"),
    [
        (lambda: ColourNet(5), r"ColourNet makes a tensor \(1, 5\) of one image, but the data have 3 classes"),
        (lambda: nn.Linear(4, 3), r"the teacher Linear cannot take images \(1, 3, 16, 16\): "),
        (lambda: "resnet18", "teacher is of type str: give a torch.nn.Module"),
        (lambda: wmdd.OwnNetwork(ColourNet(), mean=(0.5,), std=(0.5,)), "mean is of 1 channels, but the images have 3"),
        (lambda: wmdd.OwnNetwork(ColourNet(), mean=(0.5,) * 3), "a mean or a std, but needs both"),
        (lambda: wmdd.OwnNetwork(ColourNet(), mean=(0.5,) * 3, std=(0.5, 0, 1)), "each std above 0"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(768, 3)), "Sequential has no norm layers"),
    ],
)  # fmt: skip
def test_networks_that_cannot_teach_are_refused(
    teacher: object, says: str, pristine_colours: Path, tmp_path: Path
) -> None:
    with pytest.raises(WmddError, match=says) as caught:
        wmdd.distill(pristine_colours, tmp_path / "run", ipc=1, settings=SETTINGS, teacher=teacher())  # type: ignore[operator]
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_two_teachers_are_one_too_many(network: ColourNet, pristine_colours: Path, tmp_path: Path) -> None:
    for setting, value in {"arch": "resnet18", "checkpoint": "w.pt", "pretrained": True}.items():
        with pytest.raises(WmddError, match=rf"teacher\.{setting} is set, but teacher= gives a network"):
            wmdd.distill(pristine_colours, tmp_path / "run", settings={f"teacher.{setting}": value}, teacher=network)


def test_a_name_from_elsewhere_is_refused(refused: Refused, colours: Path, tmp_path: Path) -> None:
    words = ["run", tmp_path / "run", "--data", colours, *TINY, "--arch", "python:ColourNet-0123"]
    refused(words, "'python:ColourNet-0123' is a network object of a Python program")


def test_names_are_of_the_weights(network: ColourNet) -> None:
    name = wmdd.OwnNetwork(network).arch
    assert wmdd.OwnNetwork(network.eval()).arch == name
    other = ColourNet()
    other.load_state_dict(network.state_dict())
    assert wmdd.OwnNetwork(other).arch == name
    with torch.no_grad():
        other.read.bias[0] += 1e-6
    assert wmdd.OwnNetwork(other).arch != name
    assert wmdd.OwnNetwork(network, MEAN, STD).arch != name


def test_weights_of_torchvision_for_other_classes(refused: Refused, colours: Path, tmp_path: Path) -> None:
    file = tmp_path / "w.pt"
    torch.save(build_network("torchvision:shufflenet_v2_x0_5", 10, 32, "small").state_dict(), file)
    words = ["run", tmp_path / "run", "--data", colours, *TINY, "--teacher.checkpoint", file, "--arch"]
    refused([*words, "torchvision:shufflenet_v2_x0_5"], f"{file} is for 10 classes", "but the data have 3")
    refused([*words, "test_resnet"], file, "whose networks are called torchvision:NAME here")
    refused([*words, "torchvision:shuflenet_v2_x0_5"], "did you mean torchvision:shufflenet_v2_x0_5")


def test_published_weights_of_other_classes(refused: Refused, colours: Path, tmp_path: Path) -> None:
    words = ["run", tmp_path / "run", "--data", colours, *TINY, "--teacher.pretrained", "true"]
    refused([*words, "--arch", "test_resnet"], "of 'test_resnet' are for 1000 classes, but the data have 3")
    refused([*words, "--arch", "test_resnet", "--teacher.checkpoint", "w.pt"], "teacher.pretrained and teacher.check")
    refused([*words, "--arch", "test_resnet", "--teacher.stem", "small"], "published weights have another")
    refused(words, "convnet3 has no published weights")


def test_published_weights_teach(
    network: ColourNet, pristine_colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(network.state_dict(), tmp_path / "published.pt")
    monkeypatch.chdir(tmp_path)
    settings = SETTINGS | {"teacher.arch": "colour_net", "teacher.pretrained": True}
    made = wmdd.distill(pristine_colours, tmp_path / "run", ipc=1, settings=settings)
    known = facts(tmp_path / "run")
    assert known["top1"] == 100
    assert known["trained"] is False
    assert made.preprocessing.mean == MEAN
    assert made.preprocessing.std == STD
    (tmp_path / "published.pt").unlink()  # the run has them now
    assert main(["run", str(tmp_path / "run"), "--redo", "synthesis", "-q"]) == 0
    assert torch.equal(wmdd.load(tmp_path / "run").images, made.images)
    assert main(["run", str(tmp_path / "run"), "--redo", "teacher", "-q"]) == 2
    assert (tmp_path / "run/artifacts/teacher/teacher.safetensors").is_file()


class FlatNet(nn.Module):
    """What tutorials write: ``view`` takes no image whose channels are last in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(4))
        self.read = nn.Linear(4 * 16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        scores: Tensor = self.read(x.view(x.size(0), -1))
        return scores


def test_a_network_that_flattens_with_view_is_observed(network: ColourNet) -> None:
    machine = Machine(torch.device("cpu"), "float32")
    shown = Preprocessing(16, MEAN, STD)
    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    for made in (FlatNet().eval(), network.eval()):
        copied = wmdd.OwnNetwork(made).build(3, 16, 3)
        teacher = Teacher(copied, arch="own", stem="small", preprocessing=shown, class_names=("a", "b", "c"))
        placed = machine.place(teacher.network)
        with torch.no_grad():
            torch.testing.assert_close(teacher.observe(machine.layout(x)).logits, made(x))
        channels_last = placed.stem[0].weight.is_contiguous(memory_format=torch.channels_last)
        assert channels_last == (made is network)
