"""Settings: frozen dataclasses without torch, one file per stage, and their YAML form."""

from wmdd.config.barycenters import BarycentersConfig
from wmdd.config.data import DataConfig
from wmdd.config.evaluation import EvaluationConfig
from wmdd.config.protocols import PROTOCOLS, Protocol
from wmdd.config.run import RunConfig
from wmdd.config.runtime import RuntimeConfig
from wmdd.config.synthesis import SynthesisConfig
from wmdd.config.teacher import TeacherConfig

__all__ = [
    "PROTOCOLS",
    "BarycentersConfig",
    "DataConfig",
    "EvaluationConfig",
    "Protocol",
    "RunConfig",
    "RuntimeConfig",
    "SynthesisConfig",
    "TeacherConfig",
]
