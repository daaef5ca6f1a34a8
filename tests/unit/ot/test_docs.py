"""The API page's part on optimal transport: its example runs, and it names everything that the layer offers."""

import re
from pathlib import Path

import pytest

import wmdd.ot

PAGE = Path(__file__).parents[3] / "docs" / "api.md"


@pytest.fixture(scope="module")
def section() -> str:
    return PAGE.read_text(encoding="utf-8").split("## Optimal transport\n")[1].split("\n## ")[0]


def test_the_example_runs(section: str, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    exec(compile(example, str(PAGE), "exec"), {})
    assert "3 classes" in capsys.readouterr().out


def test_every_public_name_is_there(section: str) -> None:
    named = set(re.findall(r"wmdd\.ot\.(\w+)", section))
    assert set(wmdd.ot.__all__) - named == {"Method"}  # which is the list of names above the solvers
