"""How a class's features are summarised."""

from dataclasses import dataclass
from typing import Literal

from wmdd.config.settings import Count, setting


@dataclass(frozen=True)
class BarycentersConfig:
    """Settings of the barycenter solver."""

    solver: Literal["exact", "uniform", "floored", "paper"] = setting(
        "uniform",
        "atom weights: free (exact: k-means), equal (uniform), free above a floor (floored); or Algorithm 1 (paper)",
        flag="solver",
    )
    restarts: Count = setting(10, "starts; the cheapest is kept")
    iterations: Count = setting(100, "most Lloyd or transport rounds of a start (paper: its K)")
