"""The machine: device, precision, threads."""

from dataclasses import dataclass
from typing import Literal

from wmdd.config.settings import Auto, Count, setting


@dataclass(frozen=True)
class RuntimeConfig:
    """Settings of the machine."""

    device: str = setting("auto", "cpu, cuda or cuda:N; auto: a GPU where there is one", flag="device")
    precision: Auto | Literal["float64", "float32", "bfloat16"] = setting(
        "auto", "arithmetic of the networks; auto: bfloat16 where the processor multiplies it, else float32"
    )
    threads: Auto | Count = setting("auto", "CPU threads; auto: all cores")
