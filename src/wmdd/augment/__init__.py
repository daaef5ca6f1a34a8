"""Views: rows of numbers that say how an image is cropped, flipped, rolled and mixed; and their rendering."""

from wmdd.augment.apply import column_major, empty_column_major, render, render_mixed
from wmdd.augment.sample import sample_boxes, sample_mixes, sample_views
from wmdd.augment.views import Mixes, Views

__all__ = [
    "Mixes",
    "Views",
    "column_major",
    "empty_column_major",
    "render",
    "render_mixed",
    "sample_boxes",
    "sample_mixes",
    "sample_views",
]
