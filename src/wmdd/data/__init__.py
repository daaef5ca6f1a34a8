"""Real images: where they come from, how they are decoded, split and served in batches."""

from wmdd.data.check import Checked, Finding, check_source
from wmdd.data.decode import read_image, to_square
from wmdd.data.generated import GeneratedImages
from wmdd.data.images import Images, MemoryImages, StreamedImages, held_bytes, load_images
from wmdd.data.known import KNOWN, stand_in
from wmdd.data.open import natural_size, open_source
from wmdd.data.own import Data, OwnData, as_own, lent_data
from wmdd.data.source import ImageSource, Split

__all__ = [
    "KNOWN",
    "Checked",
    "Data",
    "Finding",
    "GeneratedImages",
    "ImageSource",
    "Images",
    "MemoryImages",
    "OwnData",
    "Split",
    "StreamedImages",
    "as_own",
    "check_source",
    "held_bytes",
    "lent_data",
    "load_images",
    "natural_size",
    "open_source",
    "read_image",
    "stand_in",
    "to_square",
]
