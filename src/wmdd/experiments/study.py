"""Running one of the paper's experiments: a comparison, and its table, figure and JSON beside the published figures."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wmdd.comparison.asked import asked_for
from wmdd.comparison.compare import run_comparison
from wmdd.comparison.table import NAME
from wmdd.config.load import Values, merge
from wmdd.core.errors import SettingsError
from wmdd.experiments.figures import draw
from wmdd.experiments.published import PUBLISHED
from wmdd.experiments.studies import FOR_EACH_DATA, SCALES, SEEDS, SETTINGS, STUDIES, Scale, Study
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.runtime.progress import Reporter
from wmdd.storage.atomic import write_bytes, write_text
from wmdd.storage.json import read_json, write_json

SOURCE = "arXiv 2311.18531"

Row = Mapping[str, Any]


def run_study(
    name: str,
    folder: Path,
    changes: Values,
    reporter: Reporter,
    *,
    scale: Scale = "small",
    ipc: Sequence[int] | None = None,
    seeds: int | None = None,
) -> list[Path]:
    """Do what is missing of experiment ``name`` in ``folder``, a comparison; paths of its JSON, table and figure.

    ``scale`` chooses data, network, steps and epochs; ``changes`` (nested) are laid over them: steps over those of all
    that make any, lambda and learning rate over those of the paper's own settings, as published for other data.

    Raises:
        WmddError: as of a comparison; or the scale is unknown, or no method has the paper's own.
    """
    if scale not in SCALES:
        raise SettingsError(f"--scale is {scale!r}, but should be one of {', '.join(SCALES)}.")
    study = STUDIES[name]
    synthesis = dict(changes.get("synthesis", {}))
    published = {key: synthesis.pop(key) for key in FOR_EACH_DATA if key in synthesis}
    for key in (key for key in published if not study.follows(key)):
        raise SettingsError(f"synthesis.{key} has no effect on the methods of {name}: leave it out.")
    methods = study.methods_at(scale, synthesis.pop("steps", None), published)
    settings = merge(SETTINGS[scale], {"evaluation": {"students": list(study.students)}})
    settings = merge(settings, {**changes, "synthesis": synthesis})
    comparison = asked_for(folder, settings, methods, ipc or study.ipc_at(scale), seeds or SEEDS[scale])
    run_comparison(folder, comparison, reporter)
    record = _record(name, scale, folder)
    paths = [folder / f"{name}.{kind}" for kind in ("json", "md", "png", "svg")]
    write_json(paths[0], record)
    write_text(paths[1], _table(study, record))
    for path in paths[2:]:
        write_bytes(path, draw(study, record, folder, path.suffix[1:]))
    return paths


def _record(name: str, scale: Scale, folder: Path) -> dict[str, Any]:
    """What was measured, and what was published."""
    found = read_json(folder / NAME)
    return {
        "experiment": name,
        "scale": scale,
        **{key: found[key] for key in ("data", "machines", "versions", "teacher", "scores")},
        "measured": [{**row, "seconds_per_iteration": _pace(folder, row)} for row in found["rows"]],
        "published": [{**asdict(row), "source": SOURCE} for row in PUBLISHED[name]],
    }


def _pace(folder: Path, row: Row) -> float | None:
    """Seconds of synthesis for each step of each group of classes; None where no step is made."""
    runs = [RunDirectory(path) for path in (folder / "sets" / row["method"] / f"ipc-{row['ipc']:03d}").iterdir()]
    steps = runs[0].config().synthesis.num_steps
    paces = [unit.seconds / steps for run in runs for unit in run.records("synthesis").values()] if steps else []
    return sum(paces) / len(paces) if paces else None


def _table(study: Study, record: Mapping[str, Any]) -> str:
    """Markdown: a row for each method, a column for ours and for each dataset that was published."""
    measured, published = _by_key(study, record["measured"]), _by_key(study, record["published"])
    told = [field for field in ("protocol", "student") if len({row[field] for row in record["measured"]}) > 1]
    told = [field for field in told if not (field == "student" and study.shows == "students")]
    sets = list(dict.fromkeys(row["data"] for row in record["published"]))
    heads = ["method", "IPC", "student", f"measured: {record['data']}", *(f"published: {data}" for data in sets)]
    lines = [heads, ["---"] * len(heads)]
    for key in dict.fromkeys([*measured, *published]):
        mine = [_seconds(row) if study.shows == "cost" else _top1(row, told) for row in measured.get(key, ())]
        theirs = [[_published(row) for row in published.get(key, ()) if row["data"] == data] for data in sets]
        lines.append([*key, *(", ".join(cells) or "–" for cells in (mine, *theirs))])
    teacher, rows = record["teacher"], "\n".join(f"| {' | '.join(line)} |" for line in lines)
    unit = (
        "Seconds of an iteration."
        if study.shows == "cost"
        else "Top-1 in percent, mean ± standard deviation over seeds."
    )
    return (
        f"# {study.summary[0].upper()}{study.summary[1:]}\n\n{unit}\n\n{rows}\n\n"
        f"Measured with a teacher of {teacher['top1']:.1f} % ({teacher['arch']}). "
        f"Published in {SOURCE}, on its own data and machines.\n"
    )


def _by_key(study: Study, rows: Sequence[Row]) -> dict[tuple[str, str, str], list[Row]]:
    """Rows by method, IPC and student, as far as the experiment is about them; in the order of the methods."""
    place = {method: number for number, method in enumerate(study.methods)}
    found: dict[tuple[str, str, str], list[Row]] = {}
    for row in sorted(rows, key=lambda row: (place.get(row["method"], -1), row["ipc"] or 0)):
        ipc = "" if study.shows == "cost" else str(row["ipc"])
        student = row["student"] if study.shows == "students" else ""
        found.setdefault((row["method"], ipc, student), []).append(row)
    return found


def _top1(row: Row, told: Sequence[str]) -> str:
    """With the names of the protocol and the student, where there are others beside them."""
    names = f" ({', '.join(row[field] for field in told)})" if told else ""
    return f"{row['top1']:.1f}" + ("" if row["top1_std"] is None else f" ± {row['top1_std']:.1f}") + names


def _seconds(row: Row) -> str:
    return "–" if row["seconds_per_iteration"] is None else f"{row['seconds_per_iteration']:.3f}"


def _published(row: Row) -> str:
    return str(row["seconds"] if row["top1"] is None else row["top1"])
