"""``comparison.json``: every set's scores, and each method beside random real images."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from wmdd.comparison.file import TEACHER
from wmdd.comparison.methods import BASELINE
from wmdd.comparison.settings import Comparison, Member
from wmdd.config import PROTOCOLS
from wmdd.config.protocols import base_name
from wmdd.core.errors import RunError
from wmdd.core.spread import Spread
from wmdd.pipeline.artifacts import teacher_facts
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.pipeline.stages.image_sets import DISTILLED
from wmdd.storage.json import read_sealed, write_json

NAME = "comparison.json"


@dataclass(frozen=True)
class Score:
    """Top-1 in percent of one student, on the real validation images."""

    method: str
    ipc: int
    seed: int
    protocol: str
    student: str
    top1: float


@dataclass(frozen=True)
class Cost:
    """What one set took: ``seconds`` and ``peak_mb``, and the bytes of its images and, by protocol, of its labels.

    Barycenters count where the images belong to atoms; teacher and statistics are shared and never do.
    """

    method: str
    ipc: int
    seed: int
    seconds: float
    peak_mb: float
    image_bytes: int
    label_bytes: Mapping[str, int]


@dataclass(frozen=True)
class Row:
    """A method under one protocol: top-1 over seeds, and the paired difference from random real images.

    ``real_pixels`` says whether the set shows, or began from, real images. ``top1_std`` is over seeds; ``gain`` is the
    mean over seeds of this set's top-1 less that of random real images of the same seed, ``gain_error`` its standard
    error. Under soft labels it is DD-Ranking's improvement over random, ``hard_label_recovery`` its other figure (arXiv
    2505.13300): the top-1 of the network trained on all real images, less this one under hard labels. None where there
    are too few seeds, or nothing to compare with.
    """

    method: str
    ipc: int
    protocol: str
    student: str
    real_pixels: bool
    seeds: int
    top1: float
    top1_std: float | None
    gain: float | None
    gain_error: float | None
    hard_label_recovery: float | None
    seconds: float
    peak_mb: float
    image_bytes: float
    label_bytes: float


def write_table(folder: Path, comparison: Comparison) -> None:
    """Gather what is finished into ``comparison.json``: sets of the teacher that all share, and whole."""
    scores, costs, machines, versions = [], [], set(), []
    shared = RunDirectory(folder / TEACHER)
    teacher_digest = shared.stage_digest("teacher")
    for member in comparison.members():
        run = RunDirectory(folder / member.folder)
        results = _results_of(run)
        if results is not None and run.stage_digest("teacher") == teacher_digest:
            scores += _scores_of(member, results)
            costs.append(_cost_of(run, member, results))
            machines.add(results["machine"])
            versions += [results["versions"]] if results["versions"] not in versions else []
    facts = teacher_facts(shared)
    teacher = {name: facts[name] for name in ("arch", "stem_is", "top1", "top5", "sha256")}
    real = {
        method: comparison.config_of(Member(method, comparison.ipc[0], 0)).synthesis.real_pixels
        for method in comparison.methods
    }
    write_json(
        folder / NAME,
        {
            "data": Path(comparison.shared.data.source).name,
            "machines": sorted(machines),
            "versions": versions,
            "teacher": teacher,
            "chance": facts["chance"],
            "protocols": {name: protocol.summary for name, protocol in PROTOCOLS.items()},
            "epochs": comparison.shared.evaluation.epochs,
            "methods": dict(comparison.methods),
            "rows": [asdict(row) for row in rows_of(scores, costs, real, teacher)],
            "scores": [asdict(score) for score in scores],
            "costs": [asdict(cost) for cost in costs],
        },
    )


def _results_of(run: RunDirectory) -> dict[str, Any] | None:
    """The scores of a set; None where there are none yet, or they are damaged and will be gathered again."""
    path = run.path / "results.json"
    try:
        results: dict[str, Any] = read_sealed(path) if path.is_file() else {}
    except RunError:
        return None
    return results if results.get("scores") else None


def _scores_of(member: Member, results: Mapping[str, Any]) -> list[Score]:
    # Students of other seeds or of other images may have been trained in the set's run since: they pair with none.
    return [
        Score(member.method, member.ipc, member.seed, found["protocol"], found["student"], found["top1"])
        for found in results["scores"]
        if (found["method"], found["seed"]) == (DISTILLED, member.seed)
    ]


def _cost_of(run: RunDirectory, member: Member, results: Mapping[str, Any]) -> Cost:
    names = ("barycenters", "synthesis") if run.config().synthesis.follows_atoms else ("synthesis",)
    stages = [results["stages"][name] for name in names]
    labels: dict[str, int] = defaultdict(int)
    for record in run.records("relabel").values():
        labels[record.covers["protocol"]] += sum(run.size("relabel", name) for name in record.files)
    return Cost(
        member.method,
        member.ipc,
        member.seed,
        seconds=sum(stage["seconds"] for stage in stages),
        peak_mb=max(stage["peak_mb"] for stage in stages),
        image_bytes=results["bytes"]["images"],
        label_bytes=dict(labels),
    )


def rows_of(
    scores: Sequence[Score], costs: Sequence[Cost], real_pixels: Mapping[str, bool], teacher: Mapping[str, Any]
) -> list[Row]:
    """One row for each method, IPC, protocol and student; protocol after protocol, under each IPC the best first."""
    by_seed: dict[tuple[int, str, str, str], dict[int, float]] = defaultdict(dict)
    for score in scores:
        by_seed[score.ipc, score.protocol, score.student, score.method][score.seed] = score.top1
    rows = []
    for (ipc, protocol, student, method), top1 in by_seed.items():
        baseline = by_seed.get((ipc, protocol, student, BASELINE), {})
        gains = [top1[seed] - baseline[seed] for seed in top1 if seed in baseline] if method != BASELINE else []
        mine = [cost for cost in costs if (cost.method, cost.ipc) == (method, ipc)]
        found = Spread.of(top1.values())
        gain = Spread.of(gains) if gains else None
        hard = protocol.startswith("hard-label") and student == teacher["arch"]
        rows.append(
            Row(
                method=method,
                ipc=ipc,
                protocol=protocol,
                student=student,
                real_pixels=real_pixels[method],
                seeds=found.count,
                top1=found.mean,
                top1_std=found.std,
                gain=None if gain is None else gain.mean,
                gain_error=None if gain is None else gain.error,
                hard_label_recovery=teacher["top1"] - found.mean if hard else None,
                seconds=mean(cost.seconds for cost in mine),
                peak_mb=max(cost.peak_mb for cost in mine),
                image_bytes=mean(cost.image_bytes for cost in mine),
                label_bytes=mean(cost.label_bytes.get(protocol, 0) for cost in mine),
            )
        )
    return sorted(rows, key=lambda row: (_place(row.protocol), row.protocol, row.student, row.ipc, -row.top1))


def _place(protocol: str) -> int:
    """The place of a protocol, whatever its number of epochs, among the named ones: ours comes first."""
    return list(PROTOCOLS).index(base_name(protocol))
