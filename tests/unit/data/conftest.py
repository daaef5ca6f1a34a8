"""Real images for the tests that want some."""

import zipfile
from pathlib import Path

import pytest

_IMAGENETTE = Path(__file__).parents[3].parent / "shared/data/imagenette128.zip"


@pytest.fixture(scope="session")
def imagenette(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of Imagenette: 12 training and 4 validation images each."""
    if not _IMAGENETTE.exists():
        pytest.skip(f"needs {_IMAGENETTE}")
    root = tmp_path_factory.mktemp("imagenette")
    with zipfile.ZipFile(_IMAGENETTE) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".webp"))
        for part, count in (("train", 12), ("val", 4)):
            for wnid in ("n01440764", "n02979186", "n03888257"):
                prefix = f"imagenette128/{part}/{wnid}/"
                archive.extractall(root, [name for name in names if name.startswith(prefix)][:count])
    return root / "imagenette128"
