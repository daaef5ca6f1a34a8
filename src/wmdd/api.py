"""The functions of the library: what the command line does, from Python."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from wmdd.comparison.asked import asked_for
from wmdd.comparison.compare import run_comparison
from wmdd.comparison.table import NAME
from wmdd.config import RunConfig
from wmdd.config.data import default_folder
from wmdd.config.load import merge, nested, parse, to_values
from wmdd.config.presets import read_preset, shared_settings
from wmdd.core.errors import RunError, SettingsError
from wmdd.core.records import STAGES
from wmdd.core.types import DistilledDataset
from wmdd.data import KNOWN, Data, OwnData, as_own, lent_data, open_source, stand_in
from wmdd.exports import export_run, is_export, load_export, pull, push
from wmdd.models import OwnNetwork, lent
from wmdd.pipeline.artifacts import load_distilled
from wmdd.pipeline.opening import open_run, ready
from wmdd.pipeline.plan.plan import Plan, make_plan
from wmdd.pipeline.resolve import loosened, resolve
from wmdd.pipeline.results import Row, summarize
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.pipeline.runner import run_stages
from wmdd.pipeline.units import Shard
from wmdd.pipeline.workspace import Workspace
from wmdd.runtime.crew import find_crew
from wmdd.runtime.progress import Reporter
from wmdd.storage.json import read_json, read_sealed

__all__ = [
    "begin",
    "compare",
    "complete",
    "distill",
    "evaluate",
    "export",
    "load",
    "plan",
    "pull",
    "push",
]


def distill(
    data: Data | None = None,
    out: str | Path | None = None,
    *,
    preset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    teacher: nn.Module | OwnNetwork | None = None,
    quiet: bool = True,
    **essentials: Any,
) -> DistilledDataset:
    """Distill ``data`` into the run directory ``out``, score the result, write the page, return the distilled set.

    Without ``out`` the run goes where ``wmdd run`` puts it: into ``runs/``, under the name of the data.
    ``data`` is what ``--data`` takes: an image folder, an archive of one, ``"hf:NAME"``, ... (None: what ``preset``
    says, else the embedded digits); or a map-style ``Dataset`` of ``(image, label)``, or tensors ``(images, labels)``,
    with more about them as :class:`~wmdd.data.own.OwnData`. ``essentials`` are the top-level settings ``ipc`` and
    ``seed``; ``settings`` maps all others, by dotted names, to values (``{"synthesis.steps": 500}``). ``teacher`` is a
    trained network ``[B, C, S, S] -> logits [B, K]`` in place of one that is named in the settings; as
    :class:`~wmdd.models.own.OwnNetwork` with a mean and std of its own. Called again with the same arguments it
    resumes where it was, or returns at once.

    Raises:
        WmddError: the data, a setting or the folder cannot be used; the sentence says why.
    """
    own_data = as_own(data)
    given = {**_source(own_data or data), **essentials}
    changes = merge(read_preset(preset) if preset else {}, nested(given))
    changes = merge(changes, nested(settings or {}))
    own = teacher if teacher is None or isinstance(teacher, OwnNetwork) else OwnNetwork(teacher)
    if own is not None:
        changes = _with_own_teacher(changes, own, settings or {})
    with Reporter(quiet=quiet) as reporter, lent(own), lent_data(own_data):
        named = str(changes.get("data", {}).get("source", "digits"))
        work = begin(default_folder(named) if out is None else _folder(out), changes, reporter)
        complete(work)
    return load_distilled(work.run, work.config)


def _folder(path: str | Path) -> Path:
    return Path(path).expanduser()


def _source(data: Data | None) -> dict[str, str]:
    if data is None:
        return {}
    return {"data.source": data.name if isinstance(data, OwnData) else str(data)}


def _with_own_teacher(changes: Mapping[str, Any], own: OwnNetwork, settings: Mapping[str, Any]) -> dict[str, Any]:
    """``changes``, with ``own`` in place of the network that a preset names."""
    named = nested(settings).get("teacher", {})
    for name in ("arch", "checkpoint", "pretrained"):
        if name in named:
            raise SettingsError(f"teacher.{name} is set, but teacher= gives a network: give one of them.")
    return merge(changes, {"teacher": {"arch": own.arch, "checkpoint": None, "pretrained": False}})


def load(path: str | Path) -> DistilledDataset:
    """The distilled set of a run, or of an export: a torch ``Dataset`` of ``(normalised float32 [C, S, S], label)``.

    Raises:
        RunError: there is no run, or its synthesis has not finished, or a file is damaged.
        DataError: an export's manifest is of another version, or names files outside it.
        SettingsError: a library that the export's form needs is not installed.
    """
    folder = _folder(path)
    if is_export(folder):
        return load_export(folder)
    directory = RunDirectory(folder)
    return load_distilled(directory, directory.config())


def export(run: str | Path, to: str = "folder", out: str | Path | None = None, *, licence: str | None = None) -> Path:
    """Write a run's distilled set in a form that other tools read, with the teacher's logits; returns the new folder.

    ``to`` is ``"folder"`` (PNG by class), ``"tensors"`` (safetensors and .pt), ``"hf"`` (parquet, a card and Croissant
    metadata) or ``"webdataset"`` (tar shards); ``out`` is RUN/export/TO where it is
    None; ``licence`` is that of the source data, as you state it. Each form has a ``manifest.json``; :func:`load` reads
    it back.

    Raises:
        WmddError: there is no finished run, ``out`` is there already, or it cannot be written.
    """
    directory = RunDirectory(_folder(run))
    directory.config()
    return export_run(directory, to, directory.path / "export" / to if out is None else _folder(out), licence)


def evaluate(
    run: str | Path,
    *,
    data: Data | None = None,
    students: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    protocols: Sequence[str] | None = None,
    quiet: bool = True,
) -> list[Row]:
    """Score a run's distilled set beside random real images, with other students, seeds or protocols than before.

    ``data`` are those that the run was made of, where they are of the caller's program. What is scored already is not
    done again. Returns one row for each method, protocol and student.

    Raises:
        WmddError: there is no such run, or a network or protocol is unknown.
    """
    wanted = {"students": students, "seeds": seeds, "protocols": protocols}
    own_data = as_own(data)
    changes: dict[str, Any] = {f"evaluation.{name}": list(value) for name, value in wanted.items() if value is not None}
    changes |= _source(own_data or data)
    with Reporter(quiet=quiet) as reporter, lent_data(own_data):
        directory = RunDirectory(_folder(run))
        directory.config()
        work = begin(directory.path, nested(changes), reporter)
        run_stages(work, ("relabel", "evaluation"))
    return summarize(read_sealed(work.run.path / "results.json"))


def compare(
    data: Data | None = None,
    out: str | Path = "runs/comparison",
    *,
    methods: Sequence[str] | Mapping[str, dict[str, Any]] | None = None,
    ipc: Sequence[int] | None = None,
    seeds: int | None = None,
    preset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    quiet: bool = True,
) -> dict[str, Any]:
    """Make and score the sets of ``methods`` with one teacher, one split and the same protocols, in the folder ``out``.

    ``data`` is as of :func:`distill` (None: that of the comparison in ``out``, or of a new one the embedded digits);
    ``methods`` are presets, or paths to YAML files of barycenters and synthesis settings, or such settings (nested) by
    name (None: all shipped ones, or those that ``out`` has); ``ipc`` and ``seeds`` say how many sets of each;
    ``preset`` and ``settings`` (dotted names) are what all share: of a preset not how its own method makes a set, and
    no setting that a method would not heed. A new comparison has every protocol, unless ``evaluation.protocols`` names
    some. Called again it goes on, and adds what is new. Returns what ``comparison.json`` holds.

    Raises:
        WmddError: a method, the data, a setting or the folder cannot be used; the sentence says why.
    """
    folder = _folder(out)
    own_data = as_own(data)
    shared = nested(_source(own_data or data))
    shared = merge(shared, nested(settings or {}))
    comparison = asked_for(folder, merge(shared_settings(preset) if preset else {}, shared), methods, ipc, seeds)
    with Reporter(quiet=quiet) as reporter, lent_data(own_data):
        run_comparison(folder, comparison, reporter)
    found: dict[str, Any] = read_json(folder / NAME)
    return found


def plan(config: RunConfig, reporter: Reporter, *, workers: int | None = None, imagined: bool = False) -> Plan:
    """What a new run with ``config`` would take, stage by stage, from a few steps measured here; nothing is written.

    With ``workers`` also what it would take so many processes like this one. Data that are ``imagined`` need not be
    here, if they are a known set.

    Raises:
        WmddError: the data or a setting cannot be used; a run with them would say the same.
    """
    name = config.data.source
    source = stand_in(name) if imagined and name in KNOWN and not Path(name).exists() else open_source(config.data)
    return make_plan(ready(config, resolve(config, source), source), source, reporter, workers)


def begin(path: Path, changes: Mapping[str, Any], reporter: Reporter, redo: str | None = None) -> Workspace:
    """Open the run at ``path`` with ``changes`` (nested) over its settings, or over the defaults of a new one.

    Of the processes that torchrun started the first does that, and the others join.
    """
    run, crew = RunDirectory(path), find_crew()
    if crew.leads:
        begun = False
        try:
            work = _open(run, changes, reporter, redo)
            begun = True
        finally:
            crew.told(int(begun))
    elif crew.told(0):
        work = _open(run, {}, reporter, None)
    else:
        raise RunError(f"the first of {crew.size} processes could not begin, and says why.")
    work.crew = crew
    return work


def _open(run: RunDirectory, changes: Mapping[str, Any], reporter: Reporter, redo: str | None) -> Workspace:
    base = to_values(loosened(run.config(), changes)) if run.exists else {}
    return open_run(run, parse(merge(base, changes)), reporter, redo)


def complete(work: Workspace, shard: Shard | None = None) -> None:
    """All stages and the page."""
    from wmdd.report import write_report  # matplotlib: half a second, which single stages need not pay

    run_stages(work, STAGES, shard)
    if work.crew.leads:
        write_report(work.run.path)
