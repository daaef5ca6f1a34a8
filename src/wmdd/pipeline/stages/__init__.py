"""The stages as the runner sees them: which units there are, what they read and write."""

from wmdd.pipeline.stage import Stage
from wmdd.pipeline.stages.barycenters import BarycentersStage
from wmdd.pipeline.stages.evaluation import EvaluationStage
from wmdd.pipeline.stages.relabel import RelabelStage
from wmdd.pipeline.stages.statistics import StatisticsStage
from wmdd.pipeline.stages.synthesis import SynthesisStage
from wmdd.pipeline.stages.teacher import TeacherStage

ALL_STAGES: tuple[Stage, ...] = (
    TeacherStage(),
    StatisticsStage(),
    BarycentersStage(),
    SynthesisStage(),
    RelabelStage(),
    EvaluationStage(),
)

__all__ = ["ALL_STAGES"]
