"""Tables on standard output."""

from typing import Any

from wmdd.core.errors import RunError
from wmdd.pipeline.artifacts import teacher_facts
from wmdd.pipeline.results import Row, summarize
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.runtime.progress import print_table
from wmdd.storage.json import read_sealed


def print_scores(run: RunDirectory) -> None:
    """Every score beside its baselines."""
    results = _read_results(run)
    if not results["scores"]:
        print_teacher(run)
        return
    columns = ["images", "IPC", "protocol", "student", "seeds", "top-1 %", "top-5 %"]
    rows = [_line(row) for row in summarize(results)]
    teacher = results["teacher"]
    top1, top5 = (_number(teacher[name]) for name in ("top1", "top5"))
    rows.append(["full training set (teacher)", "", "", teacher["arch"], "1", top1, top5])
    rows.append(["chance", "", "", "", "", _number(results["chance"]), ""])
    print_table("Accuracy on the real validation images", columns, rows)


def _read_results(run: RunDirectory) -> dict[str, Any]:
    path = run.path / "results.json"
    try:
        results = read_sealed(path)
        summarize(results)
        if not {"arch", "top1", "top5"} <= set(results["teacher"]) or "chance" not in results:
            raise LookupError
    except (RunError, LookupError, TypeError, AttributeError, ValueError) as error:
        raise RunError(f"{path} is missing or damaged: `wmdd run {run.path}` gathers it again.") from error
    return results


def _line(row: Row) -> list[str]:
    cells = [row.method, str(row.ipc), row.protocol, row.student, str(row.seeds)]
    return [*cells, _number(row.top1, row.top1_std), _number(row.top5, row.top5_std)]


def _number(value: float, std: float | None = None) -> str:
    return f"{value:.1f}" if std is None else f"{value:.1f} ± {std:.1f}"


def print_teacher(run: RunDirectory) -> None:
    """How good the teacher is."""
    facts = teacher_facts(run)
    print(f"teacher {facts['arch']} ({facts['stem_is']}): top-1 {facts['top1']:.1f} %, chance {facts['chance']:.1f} %")
