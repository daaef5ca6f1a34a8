"""The printed table of a comparison: every figure is there, however wide the terminal is."""

from pathlib import Path
from typing import Any

import pytest

from wmdd.cli.comparison import print_comparison
from wmdd.storage.json import read_json, write_json

RESULTS = Path(__file__).parents[3] / "benchmarks" / "results"


def record() -> dict[str, Any]:
    """Comparisons of one and of ten digits, as one."""
    one, ten = (read_json(RESULTS / f"methods-digits-ipc{ipc}.json") for ipc in (1, 10))
    return {**one, "rows": one["rows"] + ten["rows"]}


@pytest.fixture
def printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    write_json(tmp_path / "comparison.json", record())
    print_comparison(tmp_path)
    return capsys.readouterr().out


def test_a_set_has_a_line_and_under_it_its_leads(printed: str) -> None:
    rows = record()["rows"]
    lines = printed.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith(("│ 1 ", "│ 10 "))]
    assert len(starts) == len({(row["ipc"], row["method"]) for row in rows})
    assert [lines[number].split()[1] for number in starts] == ["1"] * 12 + ["10"] * 12
    for row in rows:
        (at,) = [n for n in starts if lines[n].split()[1] == str(row["ipc"]) and f" {row['method']} " in lines[n]]
        assert f" {row['top1']:.1f} ± {row['top1_std']:.1f} " in lines[at]
        if row["gain"] is not None:
            assert f"({row['gain']:+.1f} ± {row['gain_error']:.1f})" in lines[at + 1]
        if row["hard_label_recovery"] is not None:
            assert f" {row['hard_label_recovery']:.1f} " in lines[at]
        assert f" {row['seconds']:.1f}, {row['peak_mb']:.0f} " in lines[at]
    assert "…" not in printed
