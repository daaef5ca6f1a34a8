import shutil
from pathlib import Path

import pytest
from coloured_images import TINY, Refused, coloured_folder, snapshot

from wmdd.cli.main import main


@pytest.fixture(scope="session")
def pristine_colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny image folder; take ``colours`` for a copy to spoil."""
    return coloured_folder(tmp_path_factory.mktemp("pristine") / "colours")


@pytest.fixture(scope="session")
def pristine_run(pristine_colours: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of it with the settings ``TINY``; take ``finished`` for a copy to spoil."""
    run = tmp_path_factory.mktemp("finished") / "run"
    assert main(["run", str(run), "--data", str(pristine_colours), *TINY]) == 0
    return run


@pytest.fixture
def colours(pristine_colours: Path, tmp_path: Path) -> Path:
    return shutil.copytree(pristine_colours, tmp_path / "colours")


@pytest.fixture
def finished(pristine_run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(pristine_run, tmp_path / "finished")


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Check that a command is refused, in one sentence that has all of ``parts``, and returns it.

    Nothing in ``tmp_path`` may change, except that the folder ``begun`` may be begun.
    """

    def check(words: list[object], *parts: object, begun: Path | None = None) -> str:
        before = snapshot(tmp_path)
        capsys.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as error:
            code = error.code
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        assert code == 2, err
        assert out == ""
        lines = err.splitlines()
        assert len(lines) == 1, err
        assert lines[0].startswith("wmdd")
        assert lines[0].endswith(".")
        for part in parts:
            assert str(part) in lines[0]
        after = snapshot(tmp_path)
        if begun is not None:
            mine = begun.relative_to(tmp_path).as_posix()
            after = {name: entry for name, entry in after.items() if name in before or not name.startswith(mine)}
        assert after == before
        return lines[0]

    return check
