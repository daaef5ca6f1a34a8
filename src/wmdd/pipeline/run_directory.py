"""The run directory: what was asked, what was done, with which versions, from which data.

config.yaml        settings, every "auto" resolved
manifest.json      data, and per stage its units: key, files with hashes, seconds, memory, versions, machine
metrics.jsonl      losses and accuracies, one line a measurement
results.json       scores beside their baselines
artifacts/STAGE/   what each stage made; units/NAME.json is written last and makes a unit count as done
report/index.html  the page
"""

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wmdd.config import RunConfig
from wmdd.config.load import parse, read_yaml, to_yaml
from wmdd.core.errors import RunError
from wmdd.core.hashing import digest, digest_file
from wmdd.core.records import STAGES, UnitRecord
from wmdd.storage.atomic import TEMPORARY_SUFFIX, write_text
from wmdd.storage.json import append_line, read_json, write_json

FORMAT = 1


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
        foreign = [name for name in foreign if not name.endswith(TEMPORARY_SUFFIX)]
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
        return parse(read_yaml(path), str(path))

    def write_config(self, config: RunConfig) -> None:
        """Store the settings."""
        write_text(self.path / "config.yaml", to_yaml(config))

    def data(self) -> dict[str, Any]:
        """Class names, fingerprint and sizes of the split the run was begun with; empty before that."""
        path = self.path / "manifest.json"
        if not path.is_file():
            return {}
        try:
            return dict(read_json(path)["data"])
        except (RunError, KeyError, TypeError, ValueError) as error:
            raise RunError(f"{path} is damaged: remove it, and `wmdd run {self.path}` gathers it again.") from error

    def write_manifest(self, data: dict[str, Any]) -> None:
        """Gather the records of all units into ``manifest.json``."""
        stages = {stage: self._summary(self.records(stage)) for stage in STAGES}
        kind = {"real_pixels": self.config().synthesis.real_pixels}
        write_json(self.path / "manifest.json", {"format": FORMAT, "data": data, "images": kind, "stages": stages})

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
        write_json(self.folder(stage) / "units" / f"{_file_name(record.name)}.json", asdict(record))

    def records(self, stage: str) -> dict[str, UnitRecord]:
        """The finished units of a stage, by name."""
        paths = sorted((self.folder(stage) / "units").glob("[!.]*.json"))
        records = []
        for path in paths:
            try:
                record = UnitRecord(**read_json(path))
            except (TypeError, RunError) as error:
                raise RunError(f"{path} is damaged: {self._remake(stage)}.") from error
            if path.stem != _file_name(record.name) or not isinstance(record.covers, dict):
                raise RunError(f"{path} is damaged: {self._remake(stage)}.")
            records.append(record)
        return {record.name: record for record in records}

    def verify(self, stage: str, record: UnitRecord) -> None:
        """Check that a unit's files are what was recorded.

        Raises:
            RunError: one is missing or changed.
        """
        if (stage, record.name) in self._verified:
            return
        for name, expected in record.files.items():
            path = self._made(stage, name)
            try:
                found = digest_file(path)
            except OSError as error:
                raise RunError(f"{path} cannot be read: {error.strerror}; {self._remake(stage)}.") from error
            if found != expected:
                raise RunError(f"{path} is damaged (its hash is not the recorded one): {self._remake(stage)}.")
        self._verified.add((stage, record.name))

    def size(self, stage: str, name: str) -> int:
        """The bytes of a file that a stage made."""
        return self._made(stage, name).stat().st_size

    def _made(self, stage: str, name: str) -> Path:
        path = self._inside(name)
        if not path.is_file():
            raise RunError(f"{path} is missing though {stage} made it: {self._remake(stage)}.")
        return path

    def _remake(self, stage: str) -> str:
        return f"`wmdd run {self.path} --redo {stage}` makes it again"

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
            records = [record for record in records if wanted & set(record.covers["classes"])]
            missing = wanted - {k for record in records for k in record.covers["classes"]}
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
        """Take what ``other`` made in ``stage`` as one's own, by hard links; what is there already stays.

        Whether it was made from the same inputs is checked where it is used.
        """
        mine = self.records(stage)
        for name, record in other.records(stage).items():
            if name not in mine:
                for file in record.files:
                    _link(other._inside(file), self._inside(file))
                self.record(stage, record)

    def discard(self, stage: str) -> Sequence[str]:
        """Delete what ``stage`` and all later ones made; returns their names."""
        gone = STAGES[STAGES.index(stage) :]
        for name in gone:
            # The records go first: whatever is left after a kill does not count as done.
            for folder in (self.folder(name) / "units", self.folder(name)):
                try:
                    shutil.rmtree(folder)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    raise RunError(f"{folder} cannot be removed: {error.strerror}; remove it yourself.") from error
        self._verified.clear()
        return gone

    # --- metrics -----------------------------------------------------------------------------------------------------

    def log(self, stage: str, unit: str, step: int, values: dict[str, float]) -> None:
        """Append one measurement to ``metrics.jsonl``."""
        append_line(self.path / "metrics.jsonl", {"stage": stage, "unit": unit, "step": step, **values})


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)  # of an earlier try that was cut off
    try:
        target.hardlink_to(source)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)


def _file_name(unit: str) -> str:
    return unit.replace("/", "--")
