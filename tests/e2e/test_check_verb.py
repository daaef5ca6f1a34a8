"""``wmdd check``: what it prints and its exit code, on real images."""

import shutil
from pathlib import Path

import pytest
from real_images import IMAGENETTE, digit_folder, imagenette_folder

from wmdd.cli.main import main


def test_digits_as_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = digit_folder(tmp_path / "digits", classes=2, train=6, val=3)
    assert main(["check", str(folder), "--quiet"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "digits: 2 classes, 12 images to train on, 6 to score on"
    assert said[1] == "shorter sides 8 to 8 px, median 8; 18 images are grey"
    assert said[2] == "doubt (18): has a side below 32 px, and would be enlarged"
    assert len(said[3:]) == 3 + 1 + 1
    assert said[-1] == "no faults"
    assert main(["check", str(folder), "--quiet", "--all"]) == 0
    assert len(capsys.readouterr().out.splitlines()[3:]) == 18 + 1


def test_faults_end_in_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = digit_folder(tmp_path / "digits", classes=2, train=6, val=3)
    first, second, *_ = sorted((folder / "train" / "digit 0").iterdir())
    first.write_bytes(first.read_bytes()[:50])
    shutil.copy(second, folder / "val" / "digit 1" / "copy.png")
    assert main(["check", str(folder), "--quiet"]) == 2
    out, err = capsys.readouterr()
    assert "fault (1): cannot be read" in out
    assert "fault (1): is the same image to train on and to score on" in out
    assert "fault (1): is the same image in two classes" in out
    assert err.splitlines() == [f"wmdd: {folder} has 3 fault(s): fix what is named above."]


def test_what_cannot_be_opened_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path)]) == 2
    assert "has no class folders" in capsys.readouterr().err


@pytest.mark.skipif(not IMAGENETTE.is_file(), reason="Imagenette is not at hand")
def test_imagenette_is_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(imagenette_folder(tmp_path, classes=3, train=40, val=20)), "--quiet"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "imagenette128: 3 classes, 120 images to train on, 60 to score on"
    assert "fault" not in "".join(said[2:-1])
