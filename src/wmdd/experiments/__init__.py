"""The paper's figures and tables, each a few lines over the library. This module imports no torch."""

from wmdd.experiments.studies import STUDIES

FIGURE2 = "figure2"

EXPERIMENTS = {FIGURE2: "barycenters of circles and of crosses under KL, MMD and Wasserstein"} | {
    name: study.summary for name, study in STUDIES.items()
}

__all__ = ["EXPERIMENTS", "FIGURE2", "STUDIES"]
