"""How images are optimised towards the atoms (Algorithm 2)."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from annotated_types import Interval

from wmdd.config.settings import Auto, Count, Fraction, Natural, NonNegative, Positive, setting

FeatureLoss = Literal[
    "squared", "norm", "wasserstein", "sinkhorn", "sliced", "mmd-gaussian", "mmd-energy", "mmd-linear"
]


PUBLISHED_BATCH = 100
"""Images whose classes share the published statistics loss (arXiv 2311.18531)."""


@dataclass(frozen=True)
class SynthesisConfig:
    """Settings of synthesis. A class's loss: L_k = feature * L_feature + statistics * L_BN + cross_entropy * L_CE."""

    init: Literal["real", "random", "herding", "k-center", "patches", "noise"] = setting(
        "real",
        "the first images: real ones (those nearest to the atoms; or random, herding, k-center), stitched patches of "
        "real ones that the teacher knows best, or noise",
    )
    patch_grid: Auto | Count = setting(
        "auto", "for init patches: patches along each side of an image; auto: 1 up to 64 px, else 2, as RDED has them"
    )
    seed: Auto | Natural = setting("auto", "seed of the set: of atoms, first images and all views; auto: the run's")
    steps: Auto | Natural = setting(
        "auto", "Adam steps (0 keeps the start); auto: 200 up to 64 px, else 1,000", flag="steps"
    )
    lr: Positive = setting(0.1, "peak learning rate, in units of the normalised pixels; cosine decay")
    feature: NonNegative = setting(1.0, "weight of the feature loss")
    feature_loss: FeatureLoss = setting(
        "norm",
        "what images are compared with. Their atoms, one each: norm (the distance) or squared. Or all real features of "
        "the class: wasserstein, sinkhorn, sliced, mmd-gaussian, mmd-energy or mmd-linear (of mean features); "
        "statistics_loss squared then means squared here, too",
    )
    statistics: NonNegative = setting(10.0, "lambda: weight of the statistics loss")
    statistics_per: Literal["class", "batch"] = setting(
        "class",
        "what lambda weighs: the statistics loss of each class (class), or its mean over the classes that share a "
        "batch of a hundred (batch), as it is published",
    )
    statistics_of: Literal["class", "all"] = setting(
        "class",
        "match the statistics of each class by all its images (class), or those of all real images by one image of "
        "every class in a group (all, as SRe2L)",
    )
    statistics_loss: Literal["squared", "norm", "relative"] = setting(
        "norm",
        "distance of the statistics: squared, the plain norm, or the norm relative to the size of each layer's real "
        "statistics",
    )
    weighted: bool = setting(
        False, "weight the synthetic images by their atoms' weights, in the statistics and in a divergence"
    )
    cross_entropy: NonNegative = setting(0.0, "weight of the teacher's cross-entropy")
    min_crop: Fraction = setting(0.5, "smallest area of the random resized crop of each step")
    min_crop_start: Fraction | None = setting(
        None, "min_crop at the first step, from where it changes along half a cosine (CDA); null: min_crop throughout"
    )
    crop_per_image: bool = setting(True, "a crop of its own for each image, instead of one per class")
    jitter: Annotated[float, Interval(ge=0, le=1)] = setting(0.0, "largest random roll, as a share of the image size")
    batch_size: Count = setting(100, "most images in one forward pass; larger groups are accumulated exactly")
    group_size: Auto | Count = setting(
        "auto", "classes in one unit of work; auto: as many as fill a batch and fit into memory"
    )

    @property
    def num_steps(self) -> int:
        """``steps`` of resolved settings."""
        assert self.steps != "auto", "settings are resolved before images are made"
        return self.steps

    @property
    def follows_atoms(self) -> bool:
        """Whether image j of a class belongs to atom j, by its start or by its loss."""
        drawn = self.steps != 0 and self.feature > 0 and self.feature_loss in ("squared", "norm")
        return drawn or self.init == "real"

    @property
    def real_pixels(self) -> bool:
        """Whether the images are real ones, or started from them: what matters for privacy and licences."""
        return self.init != "noise"

    def per_class(self, num_classes: int, ipc: int) -> "SynthesisConfig":
        """The same with the weights of each class's losses where lambda is that of a batch.

        Of the K_b classes in a batch the feature loss is published as a sum, the other two as means: a K_b-th.
        """
        if self.statistics_per == "class":
            return self
        together = min(num_classes, max(1, PUBLISHED_BATCH // ipc))  # K_b
        return replace(
            self,
            statistics=self.statistics / together,
            cross_entropy=self.cross_entropy / together,
            statistics_per="class",
        )

    def __post_init__(self) -> None:
        if self.steps and not (self.feature or self.statistics or self.cross_entropy):
            raise ValueError(
                "synthesis has nothing to minimise: give synthesis.feature, synthesis.statistics or "
                "synthesis.cross_entropy a weight above 0, or set synthesis.steps to 0"
            )
