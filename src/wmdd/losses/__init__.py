"""Losses: features against atoms, statistics against the real ones, students against soft labels. Pure functions."""

from wmdd.losses.distill import hard_label_loss, soft_label_loss
from wmdd.losses.feature import feature_loss
from wmdd.losses.pooling import class_moments
from wmdd.losses.statistics import statistics_loss

__all__ = ["class_moments", "feature_loss", "hard_label_loss", "soft_label_loss", "statistics_loss"]
