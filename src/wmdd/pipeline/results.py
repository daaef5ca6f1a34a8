"""``results.json``: every score beside its baselines."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from wmdd.config import RunConfig
from wmdd.core.records import STAGES
from wmdd.core.spread import Spread
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.storage.json import read_json, write_sealed


def write_results(run: RunDirectory, config: RunConfig) -> None:
    """Gather the scores of all finished units into ``results.json``; ``config`` are the run's settings."""
    records = {stage: run.records(stage) for stage in STAGES}
    if not records["teacher"]:  # another shard is still at it
        return
    (teacher,) = records["teacher"].values()
    facts = read_json(run.file(teacher, ".json"))
    evaluated = list(records["evaluation"].values())
    for record in evaluated:
        run.verify("evaluation", record)
    made = [record for done in records.values() for record in done.values()]
    write_sealed(
        run.path / "results.json",
        {
            "teacher": {name: facts[name] for name in ("arch", "stem_is", "top1", "top5")},
            "chance": facts["chance"],
            "scores": [_score(run, record.files, config.ipc) for record in evaluated],
            "stages": {
                stage: {
                    "seconds": round(sum(record.seconds for record in done.values()), 3),
                    "peak_mb": max(record.peak_mb for record in done.values()),
                }
                for stage, done in records.items()
                if done
            },
            "bytes": {
                "images": sum(
                    run.size("synthesis", name)
                    for record in records["synthesis"].values()
                    for name in record.files
                    if name.endswith(".png")
                ),
                "labels": sum(
                    run.size("relabel", name)
                    for record in records["relabel"].values()
                    if record.covers.get("images") == "wmdd" and record.label_form == config.evaluation.labels
                    for name in record.files
                ),
            },
            "versions": {
                package: _distinct(record.versions[package] for record in made if package in record.versions)
                for package in teacher.versions
            },
            "machine": _distinct(record.machine for record in made),
        },
    )


def _distinct(values: Iterable[str]) -> str:
    """Usually one; several where machines or versions have changed between the units of a run."""
    return "; ".join(dict.fromkeys(values))


def _score(run: RunDirectory, files: Sequence[str] | dict[str, str], ipc: int) -> dict[str, Any]:
    (name,) = files
    found = read_json(run.path / name)
    return {
        "method": found["method"],
        "ipc": ipc,
        **{key: found[key] for key in ("protocol", "student", "seed", "top1", "top5", "per_class")},
    }


@dataclass(frozen=True)
class Row:
    """One line of the score table: mean and standard deviation over seeds, in percent."""

    method: str
    ipc: int
    protocol: str
    student: str
    seeds: int
    top1: float
    top1_std: float | None
    top5: float
    top5_std: float | None


def summarize(results: dict[str, Any]) -> list[Row]:
    """The scores of ``results.json``, one row for each method, protocol and student; no spread from a single seed."""
    groups: dict[tuple[str, int, str, str], list[dict[str, Any]]] = defaultdict(list)
    for score in results["scores"]:
        groups[score["protocol"], score["ipc"], score["student"], score["method"]].append(score)
    rows = []
    for (protocol, ipc, student, method), scores in sorted(groups.items(), reverse=True):
        top1, top5 = (Spread.of([score[name] for score in scores]) for name in ("top1", "top5"))
        rows.append(Row(method, ipc, protocol, student, top1.count, top1.mean, top1.std, top5.mean, top5.std))
    return rows
