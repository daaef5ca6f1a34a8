"""All settings of a run."""

from dataclasses import dataclass, field, replace

from wmdd.config.barycenters import BarycentersConfig
from wmdd.config.data import DataConfig
from wmdd.config.evaluation import EvaluationConfig
from wmdd.config.runtime import RuntimeConfig
from wmdd.config.settings import Count, Natural, setting
from wmdd.config.synthesis import SynthesisConfig
from wmdd.config.teacher import TeacherConfig
from wmdd.core.paths import absolute


@dataclass(frozen=True)
class RunConfig:
    """Everything a run depends on.

    Two runs with equal settings, data, versions and threads give equal bytes, unless processes of torchrun train
    networks together.
    """

    ipc: Count = setting(10, "synthetic images per class", flag="ipc")
    seed: Natural = setting(0, "seed of every random stream", flag="seed")
    data: DataConfig = field(default_factory=DataConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    barycenters: BarycentersConfig = field(default_factory=BarycentersConfig)
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)

    def with_whole_paths(self) -> "RunConfig":
        """The same, with paths that mean the same from any folder."""
        data, checkpoint = self.data, self.teacher.checkpoint
        source = absolute(data.source) if data.is_path else data.source
        return replace(
            self,
            data=replace(data, source=source, root=absolute(data.root)),
            teacher=replace(self.teacher, checkpoint=checkpoint and absolute(checkpoint)),
        )
