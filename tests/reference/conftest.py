"""Real pixels for the comparisons."""

import pytest
import torch

from wmdd.config import DataConfig
from wmdd.data import MemoryImages, load_images, open_source


@pytest.fixture(scope="session")
def digits32() -> MemoryImages:
    """All training digits at 32 px."""
    images = load_images(open_source(DataConfig()).train, 32, DataConfig(), torch.device("cpu"))
    assert isinstance(images, MemoryImages)
    return images
