"""The machine: device, precision, threads, and how much it takes at once."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval

from wmdd.config.settings import Auto, Count, setting


@dataclass(frozen=True)
class RuntimeConfig:
    """Settings of the machine."""

    device: str = setting("auto", "cpu, cuda or cuda:N; auto: a GPU where there is one", flag="device")
    precision: Auto | Literal["float64", "float32", "bfloat16"] = setting(
        "auto", "arithmetic of the networks; auto: bfloat16 where the processor multiplies it, else float32"
    )
    threads: Auto | Annotated[int, Interval(ge=1, le=1024)] = setting(
        "auto", "CPU threads; auto: all cores, divided among torchrun's processes"
    )
    batch_size: Count = setting(256, "images per forward pass where nothing is trained: statistics, labels, scores")
