"""The run directory: what was asked, what was done, with which versions, from which data.

config.yaml        settings, every "auto" resolved, and a hash of them
manifest.json      data, and per stage its units: key, files with hashes, seconds, memory, versions, machine
metrics.jsonl      losses and accuracies, one line a measurement
results.json       scores beside their baselines
artifacts/STAGE/   what each stage made; units/NAME.json is written last and makes a unit count as done;
                   units/.NAME.claim and unfinished/ are of the processes at work
report/index.html  the page
"""

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wmdd.config import RunConfig
from wmdd.config.load import parse, read_yaml, to_yaml
from wmdd.config.seal import refuse_changed, sealed
from wmdd.core.bounded import RECORD
from wmdd.core.errors import RunError
from wmdd.core.hashing import digest, digest_file
from wmdd.core.records import STAGES, UnitRecord, unit_record
from wmdd.storage.atomic import write_new_text, write_text
from wmdd.storage.json import append_line, read_sealed, write_sealed
from wmdd.storage.locks import CLAIM_SUFFIX, TEMPORARY_SUFFIX, Claim, claim, remove_abandoned

FORMAT = 1
_METRICS = "metrics.jsonl"


class RunDirectory:
    """A run on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._verified: set[tuple[str, str]] = set()

    def __repr__(self) -> str:
        return f"RunDirectory({str(self.path)!r})"

    # --- settings and data -------------------------------------------------------------------------------------------

    @property
    def exists(self) -> bool:
        """Whether a run has begun here.

        Raises:
            RunError: something else is here.
        """
        try:
            str(self.path).encode()
            if (self.path / "config.yaml").is_file():
                return True
            if os.path.lexists(self.path) and not self.path.is_dir():
                raise RunError(f"{self.path} is a file or a link to nowhere: name a folder for the run.")
            foreign = [entry.name for entry in self.path.iterdir()] if self.path.is_dir() else []
        except UnicodeEncodeError as error:
            readable = os.fsencode(self.path).decode(errors="replace")
            raise RunError(f"{readable} is not a UTF-8 name: name another folder for the run.") from error
        except OSError as error:
            raise RunError(f"{self.path} cannot be read: {error.strerror}; name another folder for the run.") from error
        foreign = [name for name in foreign if not name.endswith((TEMPORARY_SUFFIX, CLAIM_SUFFIX))]
        if foreign:
            raise RunError(f"{self.path} holds {foreign[0]!r} but no run: name an empty or a new folder.")
        return False

    def config(self) -> RunConfig:
        """The settings of the run.

        Raises:
            RunError: there is no run here.
        """
        if not self.exists:
            raise RunError(f"there is no run in {self.path}: make one with `wmdd run {self.path} --data ...`.")
        path = self.path / "config.yaml"
        refuse_changed(path)
        return parse(read_yaml(path), str(path))

    def begin(self, config: RunConfig) -> bool:
        """Store the settings of a new run; False where another process has begun it meanwhile."""
        return write_new_text(self.path / "config.yaml", sealed(to_yaml(config)))

    def write_config(self, config: RunConfig) -> None:
        """Store the settings."""
        write_text(self.path / "config.yaml", sealed(to_yaml(config)))

    def data(self) -> dict[str, Any]:
        """Class names, fingerprint and sizes of the split the run was begun with; empty before that."""
        path = self.path / "manifest.json"
        if not path.is_file():
            return {}
        try:
            return dict(read_sealed(path)["data"])
        except (RunError, KeyError, TypeError, ValueError) as error:
            raise RunError(f"{path} is damaged: remove it, and `wmdd run {self.path}` gathers it again.") from error

    def write_manifest(self, data: dict[str, Any]) -> None:
        """Gather the records of all units into ``manifest.json``."""
        stages = {stage: self._summary(self.records(stage)) for stage in STAGES}
        kind = {"real_pixels": self.config().synthesis.real_pixels}
        manifest = {"format": FORMAT, "data": data, "images": kind, "stages": stages}
        write_sealed(self.path / "manifest.json", manifest)

    @staticmethod
    def _summary(records: dict[str, UnitRecord]) -> dict[str, Any]:
        return {
            "seconds": round(sum(record.seconds for record in records.values()), 3),
            "peak_mb": max((record.peak_mb for record in records.values()), default=0.0),
            "units": {name: asdict(record) for name, record in records.items()},
        }

    # --- units -------------------------------------------------------------------------------------------------------

    def folder(self, stage: str) -> Path:
        """Where a stage's artifacts lie."""
        return self.path / "artifacts" / stage

    def savepoint_path(self, stage: str, unit: str) -> Path:
        """Where the state of an unfinished unit lies."""
        return self.folder(stage) / "unfinished" / f"{_file_name(unit)}.safetensors"

    def record(self, stage: str, record: UnitRecord) -> None:
        """Note a unit as done; its files must be in place."""
        self.refuse_vanished()
        write_sealed(self._record_path(stage, record.name), asdict(record))

    def _record_path(self, stage: str, unit: str) -> Path:
        return self.folder(stage) / "units" / f"{_file_name(unit)}.json"

    def records(self, stage: str) -> dict[str, UnitRecord]:
        """The finished units of a stage, by name. A unit whose record is damaged is none."""
        paths = sorted((self.folder(stage) / "units").glob("[!.]*.json"))
        found = [record for path in paths if (record := _read_record(path)) is not None]
        return {record.name: record for record in found}

    def record_of(self, stage: str, unit: str) -> UnitRecord | None:
        """The record of a unit; None where it is not done or its record is damaged."""
        return _read_record(self._record_path(stage, unit))

    def fault(self, stage: str, unit: str) -> str | None:
        """What is wrong with a finished unit: its record, or a file of it; None where nothing is."""
        path = self._record_path(stage, unit)
        record = _read_record(path)
        if record is not None:
            return self._fault(stage, record)
        return f"{path} is damaged" if path.is_file() else None

    def claim(self, stage: str, unit: str) -> Claim | None:
        """Hold a unit while it is made; None where another process does."""
        return claim(self.folder(stage) / "units" / f".{_file_name(unit)}{CLAIM_SUFFIX}")

    def gathering(self) -> Claim | None:
        """Hold what is gathered of all units; None where another process does."""
        return claim(self.path / f".gathered{CLAIM_SUFFIX}")

    def forget(self, stage: str, unit: str) -> None:
        """Let a unit count as not done."""
        self._record_path(stage, unit).unlink(missing_ok=True)
        self._verified.discard((stage, unit))

    def tidy(self, stage: str, units: Iterable[str]) -> None:
        """Remove what killed processes left of finished units; others may be making more of the same stage."""
        for unit in units:
            self.savepoint_path(stage, unit).unlink(missing_ok=True)
        folder = self.savepoint_path(stage, "any").parent
        remove_abandoned(folder)
        with suppress(OSError):  # not empty, or not there
            folder.rmdir()

    def remove_abandoned(self) -> None:
        """Remove the temporary files of processes that were killed."""
        remove_abandoned(self.path)

    def verify(self, stage: str, record: UnitRecord) -> None:
        """Check that a unit's files are what was recorded.

        Raises:
            RunError: one is missing or changed.
        """
        if fault := self._fault(stage, record):
            raise RunError(f"{fault}: {self._remake()}.")

    def verify_all(self) -> None:
        """:meth:`verify` whatever is made.

        Raises:
            RunError: there is no run here, or something is damaged.
        """
        self.config()
        for stage in STAGES:
            for path in (self.folder(stage) / "units").glob("[!.]*.json"):
                if _read_record(path) is None:
                    raise RunError(f"{path} is damaged: {self._remake()}.")
            for record in self.records(stage).values():
                self.verify(stage, record)

    def _fault(self, stage: str, record: UnitRecord) -> str | None:
        if (stage, record.name) in self._verified:
            return None
        for name, expected in record.files.items():
            path = self._inside(name)
            try:
                found = digest_file(path)
            except FileNotFoundError:
                return f"{path} is missing though {stage} made it"
            except OSError as error:
                return f"{path} cannot be read ({error.strerror})"
            if found != expected:
                return f"{path} is damaged (its hash is not the recorded one)"
        self._verified.add((stage, record.name))
        return None

    def size(self, stage: str, name: str) -> int:
        """The bytes of a file that a stage made.

        Raises:
            RunError: it is missing.
        """
        try:
            return self._inside(name).stat().st_size
        except OSError as error:
            raise RunError(f"{self.path / name} is missing though {stage} made it: {self._remake()}.") from error

    def _remake(self) -> str:
        return f"`wmdd run {self.path}` makes it again"

    def _inside(self, name: str) -> Path:
        path = self.path / name
        if not path.resolve().is_relative_to(self.path.resolve()):
            raise RunError(f"{self.path} names a file outside itself ({name!r}): the run cannot be trusted.")
        return path

    def outputs(self, stage: str, covering: Iterable[int] | None = None) -> list[UnitRecord]:
        """The verified records of a finished stage, those that cover any of the classes ``covering`` (None: all).

        Raises:
            RunError: the stage has made nothing yet, or something is damaged.
        """
        records = list(self.records(stage).values())
        if covering is not None:
            wanted = set(covering)
            records = [record for record in records if wanted & set(record.classes)]
            missing = wanted - {k for record in records for k in record.classes}
        else:
            missing = set() if records else {0}
        if missing:
            raise RunError(f"{self.path} has no finished {stage} yet: run `wmdd run {self.path}` first.")
        for record in records:
            self.verify(stage, record)
        return records

    def file(self, record: UnitRecord, suffix: str) -> Path:
        """The one file of a unit whose name ends so."""
        (name,) = [name for name in record.files if name.endswith(suffix)]
        return self._inside(name)

    def stage_digest(self, stage: str) -> str:
        """One hash over all that a stage made."""
        return digest([[name, record.files] for name, record in sorted(self.records(stage).items())])

    def take_over(self, stage: str, other: "RunDirectory") -> None:
        """Take what ``other`` made in ``stage`` as one's own, by hard links; what is there already and sound stays.

        Whether it was made from the same inputs is checked where it is used.
        """
        mine = self.records(stage)
        for name, record in other.records(stage).items():
            if name not in mine or self.fault(stage, name):
                for file in record.files:
                    _link(other._inside(file), self._inside(file))
                self.record(stage, record)

    def discard(self, stage: str) -> Sequence[str]:
        """Delete what ``stage`` and all later ones made; returns their names.

        Raises:
            RunError: another process is at one of them, or something cannot be removed.
        """
        gone = STAGES[STAGES.index(stage) :]
        self.refuse_busy(f"stop it before {stage} is discarded", gone)
        _remove(self.path / "results.json", os.unlink)  # the scores of what goes
        for name in gone:
            # The records go first: whatever is left after a kill does not count as done.
            for folder in (self.folder(name) / "units", self.folder(name)):
                _remove(folder, shutil.rmtree)
            if (self.path / _METRICS).is_file():
                append_line(self.path / _METRICS, {"stage": name, "discarded": True})
        self._verified.clear()
        return gone

    def refuse_busy(self, remedy: str, stages: Sequence[str] = STAGES) -> None:
        """Refuse what would pull the ground from under another process.

        Raises:
            RunError: one is at a unit of ``stages``; the sentence ends with ``remedy``.
        """
        for stage in stages:
            for path in (self.folder(stage) / "units").glob(f".*{CLAIM_SUFFIX}"):
                held = claim(path)
                if held is None:
                    raise RunError(f"another process is at {stage} in {self.path}: {remedy}.")
                with held:
                    pass

    def refuse_vanished(self) -> None:
        """Refuse to begin the folder anew, below a mount point perhaps, where the run was a moment ago."""
        if not self.path.is_dir():
            raise RunError(f"{self.path} has vanished: bring it back, and the same command goes on from here.")

    # --- metrics -----------------------------------------------------------------------------------------------------

    def log(self, stage: str, unit: str, step: int, values: dict[str, float]) -> None:
        """Append one measurement to ``metrics.jsonl``."""
        self.refuse_vanished()
        append_line(self.path / _METRICS, {"stage": stage, "unit": unit, "step": step, **values})


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)  # of an earlier try that was cut off
    try:
        target.hardlink_to(source)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)


def _read_record(path: Path) -> UnitRecord | None:
    """The record of that path; None where it is damaged."""
    try:
        record = unit_record(read_sealed(path, RECORD))
    except (ValueError, RunError):
        return None
    return record if _file_name(record.name) == path.stem else None


def _file_name(unit: str) -> str:
    return unit.replace("/", "--")


def _remove(path: Path, remove: Callable[[Path], object]) -> None:
    try:
        remove(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise RunError(f"{path} cannot be removed: {error.strerror}; remove it yourself.") from error
