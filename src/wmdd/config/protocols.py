"""Named evaluation protocols: how a student is trained on a small labelled set and scored."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge

from wmdd.config.settings import Count, Fraction, NonNegative, Positive


@dataclass(frozen=True)
class Protocol:
    """One way to train a student: AdamW, random resized crops and flips, soft or hard labels.

    The learning rate falls along half a cosine that is stretched to ``stretch`` times the training: 1 ends at 0, 2 at
    half of ``lr``, as the evaluators of SRe2L, RDED and WMDD have it (EDC, arXiv 2404.13733, says why: few steps).
    """

    name: str
    summary: str
    labels: Literal["soft", "hard"]
    epochs: Count
    batch_size: Count
    lr: Positive = 1e-3
    stretch: Annotated[float, Ge(1)] = 1.0
    weight_decay: NonNegative = 0.01
    temperature: Positive = 20.0
    min_crop: Fraction = 0.08
    cutmix: bool = True
    weighted: bool = False


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "wmdd",
            "soft labels, KL at T = 20, CutMix, 100 epochs in batches of 20",
            labels="soft",
            epochs=100,
            batch_size=20,
            stretch=2.0,
        ),
        # arXiv 2311.18531, section 5: FKD labels, 300 epochs, images weighted by their atoms.
        Protocol(
            "wmdd-paper",
            "soft labels, KL at T = 20, CutMix, 300 epochs in batches of 100, barycenter weights",
            labels="soft",
            epochs=300,
            batch_size=100,
            stretch=2.0,
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
