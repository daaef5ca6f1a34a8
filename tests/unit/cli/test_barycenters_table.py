"""The table of `wmdd barycenters`, from runs written by hand."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from wmdd.cli.barycenters import print_barycenters
from wmdd.core.hashing import digest_file
from wmdd.core.records import UnitRecord
from wmdd.core.types import Barycenters, CostCurve
from wmdd.pipeline.artifacts import write_barycenters
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.storage.json import write_json


def written(path: Path, names: list[str], found: Barycenters | None) -> RunDirectory:
    run = RunDirectory(path)
    file = run.folder("teacher") / "teacher.json"
    write_json(file, {"class_names": names})
    _record(run, "teacher", file, {})
    if found is not None:
        file = run.folder("barycenters") / "group-000.safetensors"
        write_barycenters(file, found)
        _record(run, "barycenters", file, {"classes": list(range(len(names)))})
    return run


def _record(run: RunDirectory, stage: str, file: Path, covers: dict[str, list[int]]) -> None:
    files = {file.relative_to(run.path).as_posix(): digest_file(file)}
    run.record(stage, UnitRecord(file.stem, "k", covers, files, 12.0, 1.0, "m"))


def barycenters(count: int) -> Barycenters:
    """Class ``k`` of ``count`` leaves ``(k + 1) / (count + 1)`` of a variance of 8."""
    cost = 8 * torch.arange(1, count + 1, dtype=torch.float64) / (count + 1)
    return Barycenters(
        atoms=torch.zeros(count, 4, 2),
        weights=torch.tensor([0.1, 0.2, 0.3, 0.4]).repeat(count, 1),
        cost=cost,
        iterations=torch.arange(count) + 10,
        converged=torch.arange(count) > 0,
        history=((1.0,),) * count,
        curve=CostCurve(torch.tensor([1, 2]), torch.tensor([[8.0, 2.0]], dtype=torch.float64).repeat(count, 1)),
        method="floored",
        seed=0,
    )


def cells(output: str) -> dict[str, list[str]]:
    """The rows of tables by their first cell."""
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in output.splitlines() if "│" in line]
    return {row[0]: row[1:] for row in rows}


def test_a_line_for_each_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_barycenters(written(tmp_path, ["ant", "[red]bee", "cow"], barycenters(3)))
    output = capsys.readouterr().out
    assert cells(output) == {
        "ant": ["2", "25.0 %", "0.40", "1.60", "10", "no"],
        "[red]bee": ["4", "50.0 %", "0.40", "1.60", "11", "yes"],
        "cow": ["6", "75.0 %", "0.40", "1.60", "12", "yes"],
    }
    assert output.splitlines()[-1] == (
        "solver floored, IPC 4: 2 of 3 classes converged, mean cost 4 (50.0 % of the variance), 12.0 s (4 s a class)"
    )


def test_many_classes_are_a_summary_and_the_worst(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"kind {k}" for k in range(99)]
    print_barycenters(written(tmp_path, names, barycenters(99)))
    output = capsys.readouterr().out
    rows = cells(output)
    assert list(rows) == ["smallest", "median", "largest", *(f"kind {k}" for k in range(98, 88, -1))]
    assert rows["median"] == ["4", "50.0 %", "0.40", "1.60", "59"]
    assert rows["largest"] == ["7.92", "99.0 %", "0.40", "1.60", "108"]
    assert rows["kind 98"] == ["7.92", "99.0 %", "0.40", "1.60", "108", "yes"]
    assert "98 of 99 classes converged, mean cost 4 (50.0 % of the variance), 12.0 s" in output


@pytest.mark.parametrize("count", [2, 60])
def test_classes_whose_images_are_alike_have_no_share(
    count: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    none = torch.zeros(count, dtype=torch.float64)
    found = replace(barycenters(count), cost=none, curve=CostCurve(torch.tensor([1, 2]), none[:, None].repeat(1, 2)))
    print_barycenters(written(tmp_path, [f"kind {k}" for k in range(count)], found))
    output = capsys.readouterr().out
    assert cells(output)["kind 0"][1] == "unknown"
    assert "mean cost 0, 12.0 s" in output


def test_nothing_done_prints_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_barycenters(written(tmp_path, ["ant"], None))
    assert capsys.readouterr().out == ""
