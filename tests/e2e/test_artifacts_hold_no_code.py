"""What a finished run and its exports leave on disk: no pickles, and no kind of file that anything unpickles.

The source is looked at in ``tests/hygiene/test_no_pickle.py``.
"""

import pickletools
import zipfile
from pathlib import Path

import torch

import wmdd

ENDINGS = {".yaml", ".json", ".jsonl", ".safetensors", ".png", ".html"}
"""Of the files in a run. None of these kinds is a pickle, and none is read by anything that unpickles."""


def is_pickle(content: bytes) -> bool:
    """Whether ``content`` begins with a whole pickle; those of all programs since 2003 begin so."""
    if not content.startswith(b"\x80"):
        return False
    try:
        return any(code.name == "STOP" for code, _, _ in pickletools.genops(content))
    except ValueError:
        return False


def test_the_artifacts_of_a_run_hold_no_pickles(pristine_run: Path) -> None:
    files = [path for path in pristine_run.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert {path.suffix for path in files} <= ENDINGS
    for path in files:
        content = path.read_bytes()
        assert not is_pickle(content), path
        assert not zipfile.is_zipfile(path), path  # as torch.save makes


def test_an_exported_pt_is_of_plain_tensors(pristine_run: Path, tmp_path: Path) -> None:
    for form in ("folder", "tensors", "hf", "webdataset"):
        out = wmdd.export(pristine_run, form, tmp_path / form)
        for path in (path for path in out.rglob("*") if path.is_file()):
            assert not is_pickle(path.read_bytes()), path
            assert zipfile.is_zipfile(path) == (path.suffix == ".pt"), path
    held = torch.load(tmp_path / "tensors" / "distilled.pt", weights_only=True)
    assert set(held) == {"images", "labels", "weights", "logits"}
    assert all(isinstance(value, torch.Tensor) for value in held.values())
