"""Hashes are fixed for ever: results on disk hang on them."""

import hashlib
import os
from pathlib import Path

import pytest

import wmdd
from wmdd.core import errors
from wmdd.core.hashing import derive_seed, digest, digest_file


def test_the_digest_of_plain_values() -> None:
    assert digest({"b": [1, 2.5, None], "a": "é"}) == hashlib.sha256('{"a":"é","b":[1,2.5,null]}'.encode()).hexdigest()
    assert digest((1, 2)) == digest([1, 2])


def test_the_digest_of_a_file(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    (tmp_path / "file").write_bytes(content)
    assert digest_file(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_a_pipe_has_no_digest_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="pipe"):
        digest_file(tmp_path / "pipe")


def test_derived_seeds_stay_what_they_are() -> None:
    expected = int(hashlib.sha256(b'[0,"synthesis",3]').hexdigest()[:16], 16) // 2
    assert derive_seed(0, "synthesis", 3) == expected
    assert derive_seed(0, 3) != derive_seed(0, "3")
    assert derive_seed(0, "ab") != derive_seed(0, "a", "b")


@pytest.mark.parametrize("name", ["SettingsError", "DataError", "ModelError", "RunError"])
def test_errors_of_the_user_have_one_root(name: str) -> None:
    with pytest.raises(wmdd.WmddError, match="one sentence"):
        raise getattr(errors, name)("one sentence.")
