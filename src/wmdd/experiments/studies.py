"""The paper's experiments as comparisons: which sets are made, and with which students they are scored."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from wmdd.config.load import Values, merge
from wmdd.config.presets import method_settings, shared_settings

Scale = Literal["small", "paper"]
SCALES: tuple[Scale, ...] = ("small", "paper")

SETTINGS: Mapping[Scale, Values] = {
    "small": merge(shared_settings("digits-resnet18"), {"evaluation": {"protocols": ["wmdd"], "labels": "online"}}),
    "paper": shared_settings("imagenette,wmdd-paper"),
}
"""Data, teacher and protocol: the digits on two cores, with the cheap stem and with students of so many steps that they
differ little by chance; or ImageNette at 224 px as the paper has it."""

_SMALL_STEPS = 200
_PAPER = "wmdd-paper"

FOR_EACH_DATA = ("statistics", "lr")
"""Settings of synthesis that the paper has for each dataset: lambda and the learning rate."""

SEEDS: Mapping[Scale, int] = {"small": 2, "paper": 3}


@dataclass(frozen=True)
class Study:
    """``methods`` by name, each a preset and the settings laid over it; ``shows`` says what the figure draws.

    ``ipc`` is the paper's. On the digits ten images of a class leave little to choose between methods: there it is
    ``small_ipc``.
    """

    summary: str
    methods: Mapping[str, tuple[str, Values]]
    ipc: tuple[int, ...] = (10,)
    small_ipc: tuple[int, ...] = (1,)
    students: tuple[str, ...] = ("auto",)
    shows: Literal["accuracy", "students", "lambda", "cost", "features"] = "accuracy"

    def ipc_at(self, scale: Scale) -> tuple[int, ...]:
        """Images per class where none are asked for."""
        return self.small_ipc if scale == "small" else self.ipc

    def follows(self, key: str) -> bool:
        """Whether a method has what is published for ``key`` of synthesis, which differs between datasets."""
        return any(
            preset == _PAPER and key not in changes.get("synthesis", {}) for preset, changes in self.methods.values()
        )

    def methods_at(
        self, scale: Scale, steps: int | None = None, published: Mapping[str, Any] | None = None
    ) -> dict[str, Values]:
        """Settings of barycenters and synthesis of every method, with ``steps`` (None: the scale's) if it makes any.

        ``published`` is what the paper has of ``FOR_EACH_DATA`` for other data than ImageNette.
        """
        steps = _SMALL_STEPS if steps is None and scale == "small" else steps
        few = {} if steps is None else {"synthesis": {"steps": steps}}
        found = {}
        for name, (preset, changes) in self.methods.items():
            base = method_settings(preset)
            if preset == _PAPER:
                base = merge(base, _synthesis(**(published or {})))
            own = merge(base, changes)
            makes = own.get("synthesis", {}).get("steps", 1) > 0
            found[name] = merge(own, few) if makes else own
        return found


def _synthesis(**settings: Any) -> Values:
    return {"synthesis": settings}


def _preset(name: str) -> tuple[str, Values]:
    return name, {}


def _paper(**settings: Any) -> tuple[str, Values]:
    return _PAPER, _synthesis(**settings)


_CROSS_ENTROPY = {"feature": 0.0, "cross_entropy": 1.0}
_NO_STATISTICS = {"statistics": 0.0}
LAMBDAS = (0.1, 1.0, 10.0, 100.0, 1000.0)

STUDIES: Mapping[str, Study] = {
    "main": Study(
        "the main table: methods by images per class",
        {name: _preset(name) for name in ("random", "dm", "sre2l", "cda", "wmdd-paper", "wmdd")},
        ipc=(1, 10, 50, 100),
        small_ipc=(1, 10),
    ),
    "cross-architecture": Study(
        "students of other architectures than the teacher",
        {"random": _preset("random"), "wmdd-paper": _preset("wmdd-paper")},
        students=(
            *("resnet18", "resnet50", "resnet101"),
            *("vit_tiny_patch16_224", "vit_small_patch16_224", "convnext_tiny"),
        ),
        small_ipc=(10,),
        shows="students",
    ),
    "ablation": Study(
        "Wasserstein or cross-entropy, statistics of each class or of all",
        {
            "wasserstein-class": _paper(),
            "cross-entropy-class": _paper(**_CROSS_ENTROPY),
            "wasserstein-all": _paper(statistics_of="all"),
            "cross-entropy-all": _paper(**_CROSS_ENTROPY, statistics_of="all"),
        },
    ),
    "mmd": Study(
        "Wasserstein or maximum mean discrepancy, without the statistics loss",
        {
            "wasserstein": _paper(**_NO_STATISTICS),
            "mmd": _paper(**_NO_STATISTICS, feature_loss="mmd-gaussian"),
        },
        ipc=(1, 10, 50),
        small_ipc=(1, 10),
    ),
    "sliced": Study(
        "atoms of the barycenter, or sliced Wasserstein to the real features",
        {"wasserstein": _paper(), "sliced": _paper(feature_loss="sliced")},
    ),
    "lambda": Study(
        "the weight of the statistics loss",
        {f"lambda-{value:g}".replace(".", "_"): _paper(statistics=value) for value in LAMBDAS},
        shows="lambda",
    ),
    "cost": Study(
        "seconds of an iteration",
        {name: _preset(name) for name in ("dm", "sre2l", "wmdd-paper")},
        shows="cost",
    ),
    "figure5": Study(
        "features of real and of synthetic images, SRe2L beside WMDD",
        {name: _preset(name) for name in ("sre2l", "wmdd-paper")},
        small_ipc=(10,),
        shows="features",
    ),
}
