"""One pass over the real data, a few classes at a time."""

from collections.abc import Sequence
from pathlib import Path

from wmdd.pipeline.artifacts import write_statistics
from wmdd.pipeline.stage import Stage
from wmdd.pipeline.units import Unit, passes
from wmdd.pipeline.workspace import UnitContext, Workspace
from wmdd.stages.statistics import collect_statistics


class StatisticsStage(Stage):
    """A unit is a group of classes."""

    name = "statistics"
    settings = ("data.image_size",)
    needs = ("teacher",)

    def units(self, work: Workspace) -> Sequence[Unit]:
        return list(passes(len(work.class_names)))

    def make(self, unit: Unit, work: Workspace, context: UnitContext) -> Sequence[Path]:
        found = collect_statistics(
            work.teacher,
            work.train,
            unit.covers["classes"],
            work.machine,
            work.config.runtime.batch_size,
            log=context,
        )
        path = work.run.folder(self.name) / f"{unit.name}.safetensors"
        write_statistics(path, found)
        return [path]
