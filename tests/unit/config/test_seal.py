"""The first line of a run's settings, which tells whether the others are what was written."""

import os
from pathlib import Path

import pytest

from wmdd.config.seal import refuse_changed, sealed
from wmdd.core.errors import RunError

TEXT = sealed("ipc: 3\nseed: 1\n")


@pytest.mark.parametrize("text", [TEXT, TEXT.replace("\n", "\r\n"), "ipc: 4\n"], ids=["written", "windows", "by hand"])
def test_what_is_taken(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(text.encode())
    refuse_changed(tmp_path / "x.yaml")


@pytest.mark.parametrize(("text", "said"), [(TEXT.replace("3", "4"), "damaged, or was edited"), (" ", "is empty")])
def test_what_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(RunError, match=said):
        refuse_changed(tmp_path / "x.yaml")


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", 10**10)
    for name, said in (("pipe", "a pipe"), ("large", "10,000,000,000 bytes"), ("gone", "No such file")):
        with pytest.raises(RunError, match=f"{name} cannot be read: .*{said}"):
            refuse_changed(tmp_path / name)
