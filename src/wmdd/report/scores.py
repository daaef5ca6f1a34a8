"""Means and standard deviations over seeds, and paired differences."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from wmdd.config import RunConfig
from wmdd.config.protocols import base_name
from wmdd.core.spread import Spread
from wmdd.report.collect import RANDOM_REAL, WMDD, Score, protocol_names


@dataclass(frozen=True)
class Comparison:
    """The students of one architecture under one protocol. ``by_seed[method][seed]`` is a score."""

    protocol: str
    student: str
    recipe: dict[str, Any]
    by_seed: dict[str, dict[int, Score]]

    @property
    def methods(self) -> list[str]:
        """Distilled first, then random real, then any other."""
        return sorted(self.by_seed, key=lambda method: ((WMDD, RANDOM_REAL, method).index(method), method))

    def top1(self, method: str) -> Spread:
        """Top-1 over seeds."""
        return Spread.of([score.top1 for score in self.by_seed[method].values()])

    def top5(self, method: str) -> Spread:
        """Top-5 over seeds."""
        return Spread.of([score.top5 for score in self.by_seed[method].values()])

    @property
    def differences(self) -> dict[int, float]:
        """Top-1 of distilled minus random real images, for each seed that has both."""
        ours, theirs = (self.by_seed.get(method, {}) for method in (WMDD, RANDOM_REAL))
        return {seed: ours[seed].top1 - theirs[seed].top1 for seed in sorted(ours.keys() & theirs.keys())}

    @property
    def gain(self) -> Spread | None:
        """The paired difference over seeds; None where no seed has both."""
        return Spread.of(list(self.differences.values())) if self.differences else None

    @property
    def repeated(self) -> bool:
        """Whether a method has more than one seed, and so a standard deviation."""
        return any(len(scores) > 1 for scores in self.by_seed.values())

    def per_class(self, method: str) -> list[float]:
        """Top-1 of each class, the mean over seeds."""
        rows = [score.per_class for score in self.by_seed[method].values()]
        return [mean(values) for values in zip(*rows, strict=True)]


def comparisons(scores: Sequence[Score], config: RunConfig, num_classes: int) -> list[Comparison]:
    """The scores side by side, in the order in which the settings name protocols and students."""
    wanted = protocol_names(config, num_classes)
    groups: dict[tuple[str, str], Comparison] = {}
    for score in scores:
        group = groups.setdefault(
            (score.protocol, score.student), Comparison(score.protocol, score.student, score.recipe, {})
        )
        group.by_seed.setdefault(score.method, {})[score.seed] = score
    return sorted(groups.values(), key=lambda group: _rank(group, config, wanted))


def _rank(group: Comparison, config: RunConfig, wanted: Sequence[str]) -> tuple[bool, int, str, int, str]:
    """Where a group stands; those that the settings no longer name come last, another number of epochs among them."""
    protocols, students = config.evaluation.protocols, config.evaluation.students
    base = base_name(group.protocol)
    return (
        group.protocol not in wanted,
        protocols.index(base) if base in protocols else len(protocols),
        group.protocol,
        students.index(group.student) if group.student in students else len(students),
        group.student,
    )


def spelled_out(recipe: dict[str, Any]) -> str:
    """A protocol in words."""
    soft = f"soft labels, KL divergence at temperature {recipe.get('temperature', 0):g}"
    parts = [
        soft if recipe.get("labels") == "soft" else "hard labels, cross-entropy",
        f"{recipe.get('epochs')} epochs with batch size {recipe.get('batch_size')}",
        f"AdamW with learning rate {recipe.get('lr', 0):g} and weight decay {recipe.get('weight_decay', 0):g}",
        *([f"warm-up over {100 * recipe['warmup']:g} % of the steps"] if recipe.get("warmup") else []),
        "cosine decay to 0",
        f"crops of at least {100 * recipe.get('min_crop', 0):g} % of the area",
    ]
    parts += ["CutMix"] * bool(recipe.get("cutmix"))
    parts += ["images weighted by barycenter weights"] * bool(recipe.get("weighted"))
    return ", ".join(parts)
