"""Networks are tried out before hours of work hang on them."""

from pathlib import Path

import pytest
import torch

from wmdd.core.errors import ModelError
from wmdd.models import try_student, try_teacher
from wmdd.models.convnet import ConvNet3


def test_a_usable_network_passes_and_leaves_the_random_state_alone(tmp_path: Path) -> None:
    torch.save(ConvNet3(3).state_dict(), tmp_path / "w.pt")
    torch.manual_seed(0)
    state = torch.get_rng_state()
    try_student("resnet18", 10, 32, "small")
    try_teacher("convnet3", 3, 16, "small", None)
    try_teacher("convnet3", 3, 16, "small", tmp_path / "w.pt")
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("arch", "size", "says"),
    [
        ("resnet19", 32, "there is no network 'resnet19'"),
        ("crossvit_tiny_240", 64, "cannot take images of 64 px"),
        ("deit_tiny_distilled_patch16_224", 32, "no single classifier layer"),
    ],
)
def test_an_unusable_teacher_is_refused(arch: str, size: int, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        try_teacher(arch, 10, size, "small", None)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    torch.save(ConvNet3(4).state_dict(), tmp_path / "w.pt")
    with pytest.raises(ModelError, match="does not fit convnet3"):
        try_teacher("convnet3", 3, 16, "small", tmp_path / "w.pt")
    try_student("deit_tiny_distilled_patch16_224", 10, 32, "small")  # fit to learn, if not to teach
