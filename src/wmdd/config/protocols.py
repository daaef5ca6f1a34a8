"""Named evaluation protocols: how a student is trained on a small labelled set and scored."""

from dataclasses import dataclass, replace
from math import ceil
from typing import Annotated, Literal

from annotated_types import Ge, Le

from wmdd.config.settings import Count, Fraction, Natural, NonNegative, Positive


@dataclass(frozen=True)
class Protocol:
    """One way to train a student: AdamW, random resized crops and flips, soft or hard labels.

    There are ``epochs`` passes over the images, or as many more as make ``least_steps`` steps. The learning rate rises
    in the share ``warmup`` of them, and falls along half a cosine to 0.
    """

    name: str
    summary: str
    labels: Literal["soft", "hard"]
    epochs: Count
    batch_size: Count
    least_steps: Natural = 0
    lr: Positive = 1e-3
    warmup: Annotated[float, Ge(0), Le(1)] = 0.0
    weight_decay: NonNegative = 0.01
    temperature: Positive = 20.0
    min_crop: Fraction = 0.08
    cutmix: bool = True
    weighted: bool = False

    def for_images(self, count: int) -> "Protocol":
        """The same protocol with as many epochs as a set of ``count`` images needs."""
        enough = ceil(self.least_steps / ceil(count / self.batch_size))
        return replace(self, epochs=max(self.epochs, enough))


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "wmdd",
            "soft labels, KL at T = 20, CutMix, 100 epochs in batches of 20, at least 500 steps",
            labels="soft",
            epochs=100,
            batch_size=20,
            least_steps=500,
            lr=2e-3,
            warmup=0.1,
        ),
        # arXiv 2311.18531, section 5: FKD labels, 300 epochs, images weighted by their atoms; SRe2L's evaluator, whose
        # learning rate ends at 0 (RDED's ends at half).
        Protocol(
            "wmdd-paper",
            "soft labels, KL at T = 20, CutMix, 300 epochs in batches of 100, barycenter weights",
            labels="soft",
            epochs=300,
            batch_size=100,
            weighted=True,
        ),
        Protocol(
            "hard-label",
            "class labels only, cross-entropy, 300 epochs in batches of 100",
            labels="hard",
            epochs=300,
            batch_size=100,
            cutmix=False,
        ),
    )
}


def base_name(protocol: str) -> str:
    """The name that ``protocol``, a score's, has without a number of epochs of its own; itself where it is unknown."""
    known = [name for name in PROTOCOLS if f"{protocol}-".startswith(f"{name}-")]
    return max(known, key=len, default=protocol)
