"""Barycenters, a few classes at a time."""

from collections.abc import Sequence
from pathlib import Path

from wmdd.pipeline.artifacts import load_statistics, write_barycenters
from wmdd.pipeline.stage import Stage
from wmdd.pipeline.units import Unit, passes
from wmdd.pipeline.workspace import UnitContext, Workspace
from wmdd.stages.barycenters import find_barycenters


class BarycentersStage(Stage):
    """A unit is a group of classes."""

    name = "barycenters"
    settings = ("barycenters", "ipc", "seed", "synthesis.seed")
    needs = ("statistics",)

    def units(self, work: Workspace) -> Sequence[Unit]:
        return list(passes(len(work.class_names)))

    def make(self, unit: Unit, work: Workspace, context: UnitContext) -> Sequence[Path]:
        classes = unit.covers["classes"]
        statistics = load_statistics(work.run, classes)
        config = work.config
        found = find_barycenters(
            statistics,
            classes,
            config.ipc,
            config.barycenters,
            work.synthesis_seed,
            device=work.machine.device,
            log=context,
        )
        path = work.run.folder(self.name) / f"{unit.name}.safetensors"
        write_barycenters(path, found)
        return [path]
