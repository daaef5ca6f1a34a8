"""How images are optimised towards the atoms (Algorithm 2)."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval

from wmdd.config.settings import Auto, Count, Fraction, Natural, NonNegative, Positive, setting

FeatureLoss = Literal["squared", "norm", "wasserstein", "sinkhorn", "sliced", "mmd-gaussian", "mmd-energy"]


@dataclass(frozen=True)
class SynthesisConfig:
    """Settings of synthesis. The loss of a class: L_k = L_feature + statistics * L_BN + cross_entropy * L_CE."""

    init: Literal["real", "random", "herding", "k-center", "noise"] = setting(
        "real", "the first images: real ones (nearest to the atoms; or random, herding, k-center), or noise"
    )
    steps: Natural = setting(200, "Adam steps (0 keeps the start)", flag="steps")
    lr: Positive = setting(0.1, "peak learning rate, in units of the normalised pixels; cosine decay")
    feature_loss: FeatureLoss = setting(
        "norm",
        "squared or norm: the distance to the atoms, its square or plain; wasserstein, sinkhorn, sliced, mmd-gaussian "
        "or mmd-energy: that divergence from the class's real features",
    )
    statistics: NonNegative = setting(10.0, "lambda: weight of the per-class statistics loss")
    statistics_loss: Literal["squared", "norm"] = setting("norm", "distance of the statistics: square, or plain norm")
    weighted: bool = setting(
        False, "weight the synthetic images by their atoms' weights, in the statistics and in a divergence"
    )
    cross_entropy: NonNegative = setting(0.0, "weight of the teacher's cross-entropy")
    min_crop: Fraction = setting(0.5, "smallest area of the random resized crop of each step")
    crop_per_image: bool = setting(True, "an own crop for each image, instead of one for a class")
    jitter: Annotated[float, Interval(ge=0, le=1)] = setting(0.0, "largest random roll, as a share of the side")
    batch_size: Count = setting(100, "most images in one forward pass; larger groups are accumulated exactly")
    group_size: Auto | Count = setting(
        "auto", "classes in one unit of work; auto: as many as fill a batch and fit into memory"
    )
