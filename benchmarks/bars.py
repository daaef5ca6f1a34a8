"""What every benchmark writes: the machine, the versions, and a list of bars with what was measured."""

import argparse
import json
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch


@dataclass(frozen=True)
class Bar:
    """One measured figure beside its limit."""

    bar: str
    what: str
    value: float
    limit: float
    better: Literal["lower", "higher"]

    @property
    def holds(self) -> bool:
        return self.value <= self.limit if self.better == "lower" else self.value >= self.limit


@dataclass
class Bars:
    """The figures of a benchmark, printed as they come."""

    packages: tuple[str, ...]
    bars: list[Bar] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)

    def add(self, bar: Bar) -> None:
        self.bars.append(bar)
        sign = "<=" if bar.better == "lower" else ">="
        print(
            f"{'ok  ' if bar.holds else 'FAIL'} {bar.bar}: {bar.what}: {bar.value:.6g} ({sign} {bar.limit:g})",
            flush=True,
        )

    def note(self, what: str, **values: Any) -> None:
        """A figure without a limit."""
        self.notes.append({"what": what, **values})
        print(f"     {what}: " + ", ".join(f"{name} {value}" for name, value in values.items()), flush=True)

    def write(self, path: Path) -> None:
        content = {
            "machine": machine(),
            "versions": {"python": platform.python_version()} | {name: version(name) for name in self.packages},
            "date": datetime.now(UTC).date().isoformat(),
            "bars": [asdict(bar) | {"holds": bar.holds} for bar in self.bars],
            "notes": self.notes,
        }
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def network_parser(description: str | None) -> argparse.ArgumentParser:
    """What the scripts that time a network are told."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="few repeats of the smaller case")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--arch", default="resnet18")
    return parser


def machine() -> dict[str, Any]:
    """Processor, threads, and the device if there is one."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    found: dict[str, Any] = {"cpu": names[0] if names else platform.processor(), "threads": torch.get_num_threads()}
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found
