"""The README's lines that train on an export, run where there is only torch, torchvision and safetensors."""

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from real_images import digit_folder
from safetensors.torch import save_file
from torch.nn.functional import interpolate
from torchvision.datasets import ImageFolder
from torchvision.transforms import PILToTensor

import wmdd

README = Path(__file__).parents[2] / "README.md"

BEGIN = """
import sys
sys.path.append("packages")
import torch
torch.manual_seed(0)
"""
SCORE = """
import importlib.util
test = load_file("test.safetensors")
x = torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))(test["images"] / 255)
with torch.no_grad():
    right = network.eval()(x).argmax(1) == test["labels"]
assert all(importlib.util.find_spec(name) is None for name in ("wmdd", "timm", "ot", "scipy", "sklearn"))
print(100 * right.float().mean().item())
"""


def link_packages(folder: Path, *wanted: str) -> None:
    """``folder`` with the installed packages ``wanted`` and what they need, and nothing else."""
    folder.mkdir()
    waiting, seen = list(wanted), set()
    while waiting:
        name = canonicalize_name(waiting.pop())
        try:
            package = distribution(name)
        except PackageNotFoundError:  # of another platform, though its marker does not say so
            continue
        if name in seen:
            continue
        seen.add(name)
        needed = map(Requirement, package.requires or ())
        waiting += [each.name for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
        for top in {file.parts[0] for file in package.files or () if file.parts[0] != ".."}:
            source = Path(str(package.locate_file(top)))
            if source.exists() and not (folder / top).exists():
                (folder / top).symlink_to(source)


def test_the_lines_of_the_readme_train_without_wmdd(tmp_path: Path) -> None:
    (lines,) = [code for code in re.findall(r"```python\n(.*?)```", README.read_text(), re.S) if "safetensors" in code]
    assert "wmdd" not in lines
    assert len(lines.strip().splitlines()) <= 11  # ten, and an empty one
    data = digit_folder(tmp_path / "digits", classes=4, train=60, val=25)
    settings = {
        "data.image_size": 32,
        "teacher.epochs": 30,  # of fewer it is wrong about half of them
        "synthesis.steps": 20,
        "evaluation.epochs": 1,
        "evaluation.seeds": [0],
        "evaluation.random_real": False,
        "runtime.threads": 1,
    }
    wmdd.distill(data, tmp_path / "runs/birds", ipc=5, settings=settings)
    wmdd.export(tmp_path / "runs/birds", "tensors")
    real = ImageFolder(data / "val", transform=PILToTensor())
    images = interpolate(torch.stack([image for image, _ in real]).float(), (32, 32), mode="bicubic")
    labels = torch.tensor(real.targets)
    save_file({"images": images.clamp(0, 255).byte(), "labels": labels}, tmp_path / "test.safetensors")
    link_packages(tmp_path / "packages", "torch", "torchvision", "safetensors")
    lines = lines.replace("(500, 50)", "(200, 20)")  # enough for these few images, on any processor
    words = [sys.executable, "-S", "-E", "-c", BEGIN + lines + SCORE]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 60  # chance is 25
