"""The page of a comparison, from the record of a finished one."""

from pathlib import Path
from typing import Any

import pytest

from wmdd.report import write_comparison_page
from wmdd.storage.json import read_json, write_json

RECORD = Path(__file__).parents[3] / "benchmarks" / "results" / "methods-digits-ipc1.json"
ONE = {"seeds": 1, "top1_std": None, "gain_error": None}


def page_of(folder: Path, **changes: Any) -> str:
    """The page of the record's rows of one protocol and IPC, with ``changes`` to each."""
    record = read_json(RECORD)
    rows = [row | changes for row in record["rows"] if (row["ipc"], row["protocol"]) == (1, "wmdd")]
    write_json(folder / "comparison.json", record | {"rows": rows, "epochs": None})
    return " ".join(write_comparison_page(folder).read_text(encoding="utf-8").split())


def test_it_explains_what_its_tables_show(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    for text in (
        "% on the validation images with the full training set)",
        '<th class="n">Minus random real</th>',
        '<th class="n">Time</th>',
        "Top-1: accuracy, mean ± standard deviation over seeds, on validation images",
        "images of the same seed, mean over seeds (standard error); with soft labels",
        "each bar the mean over seeds",
    ):
        assert text in page, text
    assert page.count("<svg") == 1


@pytest.mark.parametrize("text", ["±", "standard deviation", "standard error", "over seeds"])
def test_a_single_seed_has_no_standard_deviation(tmp_path: Path, text: str) -> None:
    assert text not in page_of(tmp_path, **ONE)
