"""The scripts of ``benchmarks/`` can be run, and the docs' tables of methods are what their records say."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wmdd.storage.json import read_json

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "benchmarks").glob("*.py"))
RECORDS = [
    path for path in sorted((ROOT / "benchmarks" / "results").glob("methods-*.json")) if "rows" in read_json(path)
]
DOCS = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8").replace("**", "")


@pytest.fixture
def methods(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("methods")


def test_every_script_finds_what_it_imports() -> None:
    names = [path.stem for path in SCRIPTS]
    assert len(names) > 20
    program = f"import importlib; [importlib.import_module(name) for name in {names}]"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT / "benchmarks", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def lines(text: str) -> list[str]:
    return [line.replace("**", "") for line in text.splitlines()]


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_tables_of_methods_are_what_their_records_say(path: Path, methods: Any) -> None:
    found = read_json(path)
    for line in lines(methods.table(found["rows"], {})):
        top1 = line.split(" | ")[: 2 + len({(row["protocol"], row["ipc"]) for row in found["rows"]})]
        assert " | ".join(top1) in DOCS
    for line in lines(methods.lead_table(methods.leads(found["scores"]))):
        assert line in DOCS
    for line in lines(methods.cost_table(found["rows"])):
        assert line in DOCS
    assert path.name in DOCS


def test_leads_are_paired_by_seed(methods: Any) -> None:
    def score(method: str, seed: int, top1: float) -> dict[str, Any]:
        return {"method": method, "seed": seed, "top1": top1, "protocol": "wmdd", "student": "convnet3", "ipc": 1}

    scores = [score("wmdd", 0, 50), score("wmdd", 1, 70), score("dm", 1, 67), score("dm", 0, 49), score("dm", 2, 9)]
    (lead,) = methods.leads(scores)
    assert (lead["less"], lead["lead"], lead["error"], lead["seeds"]) == ("dm", 2, 1, 2)
    assert methods.lead_table([lead]).splitlines()[-1] == "| `dm` | +2.0 ± 1.0 |", (
        "of two seeds, 12.7 errors are chance"
    )
    (clear,) = methods.leads([*scores[:2], score("dm", 1, 67.9), score("dm", 0, 48)])
    assert methods.lead_table([clear]).splitlines()[-1] == "| `dm` | +2.0 ± 0.0* |"
