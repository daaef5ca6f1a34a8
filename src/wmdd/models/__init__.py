"""Networks: timm's by name and the field's ConvNet, stems for small images, and what is observed inside them."""

from wmdd.models.checkpoint import load_weights
from wmdd.models.moments import image_moments
from wmdd.models.registry import build_network, default_arch, resolve_stem
from wmdd.models.taps import norm_layers
from wmdd.models.teacher import Teacher
from wmdd.models.trial import try_student, try_teacher

__all__ = [
    "Teacher",
    "build_network",
    "default_arch",
    "image_moments",
    "load_weights",
    "norm_layers",
    "resolve_stem",
    "try_student",
    "try_teacher",
]
