"""Networks by name or a caller's own, their weights, stems for small images, and what is observed inside them."""

from wmdd.models.checkpoint import load_weights
from wmdd.models.initial import Weights, initial_teacher
from wmdd.models.moments import image_moments
from wmdd.models.own import OwnNetwork, is_own, lent, lent_network
from wmdd.models.published import published
from wmdd.models.registry import build_network, default_arch, resolve_stem
from wmdd.models.taps import norm_layers
from wmdd.models.teacher import Teacher
from wmdd.models.trial import try_student, try_teacher

__all__ = [
    "OwnNetwork",
    "Teacher",
    "Weights",
    "build_network",
    "default_arch",
    "image_moments",
    "initial_teacher",
    "is_own",
    "lent",
    "lent_network",
    "load_weights",
    "norm_layers",
    "published",
    "resolve_stem",
    "try_student",
    "try_teacher",
]
