"""Run directories as the stages leave them, small and made by hand."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

from wmdd.config import RunConfig
from wmdd.config.load import nested, parse, to_yaml
from wmdd.storage.json import write_sealed

VERSIONS = {"python": "3.11.7", "wmdd": "0.1.0"}


class WrittenRun:
    """A run in ``path`` whose stages are written one by one, or all with :meth:`finish`."""

    def __init__(self, path: Path, names: list[str], side: int = 8, per_group: int = 10, **dotted: Any) -> None:
        self.path, self.names, self.side, self.per_group = path, names, side, per_group
        self.rng = np.random.default_rng(0)
        path.mkdir(parents=True)
        self.configure(**dotted)
        data = {"source": "pets", "fingerprint": "f" * 64, "classes": {n: i for i, n in enumerate(names)}}
        manifest = {"format": 1, "data": data | {"train": 1437, "validation": 360}, "stages": {}}
        write_sealed(path / "manifest.json", manifest)

    def configure(self, **dotted: Any) -> None:
        """Write the settings, of what is yet to be made; what is there already stays."""
        values = {"data.image_size": self.side, "teacher.arch": "convnet3", "evaluation.students": ["convnet3"]}
        self.config: RunConfig = parse(nested(values | {"ipc": 3} | dotted))
        (self.path / "config.yaml").write_text(to_yaml(self.config), encoding="utf-8")

    def write_json(self, name: str, value: Any) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")

    def log(self, **line: Any) -> None:
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def record(self, stage: str, name: str, files: list[str], covers: dict[str, Any]) -> None:
        record = {
            "name": name,
            "key": "k",
            "covers": covers,
            "files": {f"artifacts/{stage}/{file}": "0" * 64 for file in files},
            "seconds": 75.0,
            "peak_mb": 1200.0,
            "machine": "a machine",
            "versions": VERSIONS,
        }
        write_sealed(self.path / f"artifacts/{stage}/units/{name.replace('/', '--')}.json", record)

    def tensors(self, stage: str, name: str, values: dict[str, Any], metadata: dict[str, str] | None = None) -> None:
        file = self.path / "artifacts" / stage / name
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file({key: np.ascontiguousarray(value) for key, value in values.items()}, file, metadata)

    @property
    def groups(self) -> list[list[int]]:
        classes, step = list(range(len(self.names))), self.per_group
        return [classes[first : first + step] for first in range(0, len(classes), step)]

    # --- stages -------------------------------------------------------------------------------------------------------

    def teacher(self, **changes: Any) -> None:
        facts = {
            "arch": "convnet3",
            "stem": "small",
            "stem_is": "the network's own",
            "image_size": self.side,
            "mean": [0.5] * 3,
            "std": [0.2] * 3,
            "class_names": self.names,
            "trained": True,
            "sha256": "a" * 64,
            "parameters": 300426,
            "top1": 97.7778,
            "top5": 100.0,
            "per_class": [90.0] * len(self.names),
            "chance": 10.2778,
            "useless_below": 15.0,
        }
        self.write_json("artifacts/teacher/teacher.json", facts | changes)
        self.record("teacher", "teacher", ["teacher.safetensors", "teacher.json"], {})
        for step in range(1, 6):
            self.log(stage="teacher", unit="teacher", step=step, of=5, loss=3.0 / step, accuracy=15.0 * step)

    def statistics(self, width: int = 6, each: int = 7) -> None:
        for number, classes in enumerate(self.groups):
            name = f"group-{number:03d}"
            centers = self.rng.normal(size=(len(classes), 1, width)) * 3
            features = (centers + self.rng.normal(size=(len(classes), each, width))).reshape(-1, width)
            offsets = np.arange(len(classes) + 1) * each
            values = {"classes": np.array(classes), "offsets": offsets, "features": features.astype(np.float32)}
            self.tensors("statistics", f"{name}.safetensors", values | {"index": np.arange(len(features))})
            self.record("statistics", name, [f"{name}.safetensors"], {"classes": classes})

    def barycenters(self, width: int = 6, *, alike: bool = False) -> None:
        ipc = self.config.ipc
        variance = 0.0 if alike else 4.0
        for number, classes in enumerate(self.groups):
            name, count = f"group-{number:03d}", len(classes)
            values = {
                "atoms": self.rng.normal(size=(count, ipc, width)).astype(np.float32),
                "weights": np.full((count, ipc), 1 / ipc, dtype=np.float32),
                "cost": np.linspace(1, 2, count),
                "iterations": np.arange(count) + 2,
                "converged": np.ones(count, dtype=bool),
                "history": np.array([[3.0, 2.0, np.nan]] * count),
                "curve_ipc": np.array([1, 2, 5, 10]),
                "curve_cost": np.array([[variance, 0.75 * variance, 0.25 * variance, np.nan]] * count),
            }
            self.tensors("barycenters", f"{name}.safetensors", values, {"method": "uniform", "seed": "0"})
            self.record("barycenters", name, [f"{name}.safetensors"], {"classes": classes})
            self.log(stage="barycenters", unit=name, step=1, of=2, cost=1.0)

    def synthesis(self, groups: int | None = None, width: int = 6, *, grey: bool = False) -> None:
        ipc, side = self.config.ipc, self.side
        for number, classes in enumerate(self.groups[:groups]):
            name, files = f"group-{number:03d}", []
            for k in classes:
                folder = f"{name}/class-{k:04d}"
                shape = (ipc, side, side, 1 if grey else 3)
                pixels = np.broadcast_to(self.rng.integers(0, 256, shape, dtype=np.uint8), (ipc, side, side, 3))
                (self.path / "artifacts/synthesis" / folder).mkdir(parents=True)
                for j in range(ipc):
                    files.append(f"{folder}/{j:03d}.png")
                    Image.fromarray(pixels[j].copy()).save(self.path / "artifacts/synthesis" / files[-1])
                values = {
                    "features": self.rng.normal(size=(ipc, width)).astype(np.float32),
                    "logits": np.zeros((ipc, len(self.names)), dtype=np.float32),
                    "nearest_index": np.arange(ipc),
                    "nearest_distance": np.linspace(1, 2, ipc, dtype=np.float32),
                    "nearest_images": pixels.transpose(0, 3, 1, 2),
                }
                self.tensors("synthesis", f"{folder}.safetensors", values)
                files.append(f"{folder}.safetensors")
            self.record("synthesis", name, files, {"classes": classes})
            for step in range(1, 4):
                terms = {"feature": 4.0 / step + number, "statistics": 2.0, "loss": 4.0 / step + number + 2}
                self.log(stage="synthesis", unit=name, step=step, of=3, **terms)

    def protocols(self) -> list[Any]:
        return self.config.evaluation.chosen_protocols(len(self.names) * self.config.ipc)

    def relabel(self) -> None:
        for protocol in self.protocols():
            for images in ("wmdd", *(f"random-real-{seed}" for seed in self.config.evaluation.seeds)):
                unit = f"{protocol.name}/{images}/epochs-0000"
                file = f"{unit.replace('/', '--')}.safetensors"
                self.tensors("relabel", file, {"logits": np.zeros((2, 3, 3), dtype=np.float16)})
                epochs = self.config.evaluation.label_epochs(protocol.epochs)
                covers = {"protocol": protocol.name, "images": images, "epochs": [0, epochs]}
                if self.config.evaluation.labels == "compact":
                    covers["form"] = "compact"
                self.record("relabel", unit, [file], covers)

    def evaluation(self) -> None:
        for protocol in self.protocols():
            for student in self.config.evaluation.students:
                for seed in self.config.evaluation.seeds:
                    for method, base in (("wmdd", 80.0), ("random-real", 70.0)):
                        self.student(protocol, method, student, seed, round(base + 1.7 * seed + (seed % 2), 4))

    def student(self, protocol: Any, method: str, student: str, seed: int, top1: float) -> None:
        unit = f"{protocol.name}/{method}/{student}/seed-{seed}"
        covers = {"protocol": protocol.name, "method": method, "student": student, "seed": seed}
        covers["recipe"] = asdict(protocol)
        file = f"{unit.replace('/', '--')}.json"
        per_class = [top1 - k % 3 for k in range(len(self.names))]
        score = covers | {"top1": top1, "top5": min(100.0, top1 + 15), "per_class": per_class}
        self.write_json(f"artifacts/evaluation/{file}", score)
        self.record("evaluation", unit, [file], covers)
        for step in (1, 2, 3):
            self.log(stage="evaluation", unit=unit, step=step, of=3, loss=10.0 ** (-step) * (seed + 1))

    def finish(self) -> "WrittenRun":
        self.teacher()
        self.statistics()
        self.barycenters()
        self.synthesis()
        self.relabel()
        self.evaluation()
        return self
