"""Does it matter in which form a distilled set is handed on? Networks trained on each, by code without this package.

    wmdd run runs/digits
    python benchmarks/exports.py runs/digits --json benchmarks/results/exports.json

Exports the run's set as `folder`, `tensors`, `hf` and `webdataset`; reads each with the tool that it is for
(torchvision's ImageFolder, safetensors, datasets, webdataset) and trains the same ConvNet on it with its soft labels,
from the same seeds. The program asserts that it has not imported wmdd, which only the exporting subprocess does. The
digits are those of scikit-learn in the package's split. Prints and records top-1 on the 360 validation digits for each
form and seed, mean and spread, and the largest difference between forms of one seed.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import torch
from torch import Tensor, nn

SEEDS = range(3)
STEPS, BATCH, SIDE = 500, 50, 32
MEAN, STD = (torch.tensor(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))

Set = tuple[Tensor, Tensor]
"""Images uint8 [M, 3, S, S] and logits float32 [M, K]."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a finished run of the digits")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    digits, found = validation_digits(), {}
    with tempfile.TemporaryDirectory() as temporary:
        for form, read in READERS.items():
            out = Path(temporary) / form
            words = [sys.executable, "-m", "wmdd", "export", arguments.run, "--to", form, "--out", out]
            subprocess.run(list(map(str, words)), check=True, stdout=subprocess.DEVNULL)
            images, logits = read(out)
            found[form] = [round(top1(trained(images, logits, seed), *digits), 4) for seed in SEEDS]
            values = ", ".join(f"{value:.2f}" for value in found[form])
            print(f"{form:12} top-1 {mean(found[form]):.2f} ± {stdev(found[form]):.2f}  ({values})", flush=True)
    assert "wmdd" not in sys.modules
    apart = max(max(values) - min(values) for values in zip(*found.values(), strict=True))
    print(f"largest difference between forms of one seed: {apart:.2f}")
    if arguments.json:
        facts = {"images": len(images), "steps": STEPS, "batch": BATCH, "torch": torch.__version__}
        record = facts | {"machine": platform.machine(), "top1": found, "largest_difference": apart}
        arguments.json.write_text(json.dumps(record, indent=2) + "\n")


def read_folder(out: Path) -> Set:
    from safetensors.torch import load_file
    from torchvision.datasets import ImageFolder

    images = [np.asarray(image).transpose(2, 0, 1) for image, _ in ImageFolder(str(out))]
    return torch.from_numpy(np.stack(images)), load_file(out / "labels.safetensors")["logits"]


def read_tensors(out: Path) -> Set:
    from safetensors.torch import load_file

    kept = load_file(out / "distilled.safetensors")
    return kept["images"], kept["logits"]


def read_hf(out: Path) -> Set:
    import datasets

    datasets.disable_progress_bars()
    rows = datasets.load_dataset(str(out), split="train", cache_dir=str(out / "cache"))
    images = [np.asarray(image).transpose(2, 0, 1) for image in rows["image"]]
    return torch.from_numpy(np.stack(images)), torch.tensor(rows["logits"])


def read_webdataset(out: Path) -> Set:
    import webdataset

    rows = list(webdataset.WebDataset(str(out / "train-000000.tar"), shardshuffle=False).decode("rgb8"))
    images = [row["png"].transpose(2, 0, 1) for row in rows]
    return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack([row["logits.npy"] for row in rows]))


READERS: dict[str, Callable[[Path], Set]] = {
    "folder": read_folder,
    "tensors": read_tensors,
    "hf": read_hf,
    "webdataset": read_webdataset,
}


def validation_digits() -> tuple[Tensor, Tensor]:
    """The 360 digits that no run of the package trains on: uint8 [360, 3, 32, 32] and labels."""
    from PIL import Image
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    found = load_digits()
    pixels = np.rint(found.images * (255 / 16)).astype(np.uint8)
    rows = train_test_split(np.arange(len(pixels)), test_size=0.2, stratify=found.target, random_state=0)[1]
    resized = [np.asarray(Image.fromarray(pixels[i]).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for i in rows]
    return torch.from_numpy(np.stack(resized))[:, None].expand(-1, 3, -1, -1), torch.from_numpy(found.target[rows])


def convnet(classes: int) -> nn.Module:
    """Three blocks of 128 channels with instance normalisation, as the field's ConvNet-3."""
    blocks: list[nn.Module] = []
    for channels in (3, 128, 128):
        blocks += [nn.Conv2d(channels, 128, 3, padding=1), nn.GroupNorm(128, 128), nn.ReLU(), nn.AvgPool2d(2)]
    return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(128 * (SIDE // 8) ** 2, classes))


def trained(images: Tensor, logits: Tensor, seed: int) -> nn.Module:
    """A network trained on the set with its soft labels; images are shifted by up to two pixels."""
    torch.manual_seed(seed)
    network, soft = convnet(logits.shape[1]), logits.softmax(1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.002)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.002, total_steps=STEPS)
    for _ in range(STEPS):
        rows = torch.randint(len(images), (BATCH,))
        x = images[rows].roll(torch.randint(-2, 3, (2,)).tolist(), (2, 3))
        loss = nn.functional.cross_entropy(network(normalised(x)), soft[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


@torch.no_grad()
def top1(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    return 100 * float((network(normalised(images)).argmax(1) == labels).float().mean())


def normalised(images: Tensor) -> Tensor:
    return (images / 255 - MEAN) / STD


if __name__ == "__main__":
    main()
