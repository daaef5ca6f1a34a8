"""The paper's figures and tables, each a few lines over the library. This module imports no torch."""

EXPERIMENTS = {"figure2": "barycenters of circles and of crosses under KL, MMD and Wasserstein"}

__all__ = ["EXPERIMENTS"]
