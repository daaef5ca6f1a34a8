"""How a class's features are summarised."""

from dataclasses import dataclass
from typing import Literal

from wmdd.config.settings import Count, setting


@dataclass(frozen=True)
class BarycentersConfig:
    """Settings of the barycenter solver."""

    solver: Literal["exact", "uniform", "paper"] = setting(
        "uniform", "exact (free weights: k-means), uniform (equal weights) or paper (Algorithm 1)", flag="solver"
    )
    restarts: Count = setting(4, "k-means++ starts; the cheapest is kept")
    iterations: Count = setting(100, "most Lloyd or transport rounds of a start (paper: its K)")
