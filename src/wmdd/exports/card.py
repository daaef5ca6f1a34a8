"""The card of a Hugging Face data set: what the images are, how they score, and how they are loaded."""

import io
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import yaml
from PIL import Image

from wmdd.core.types import DistilledDataset

PICTURE = "images.png"
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_TILES, _SIDE = 10, 64  # classes and images of a class at most, and pixels of one at most


def card(manifest: Mapping[str, Any]) -> str:
    """``README.md``: the header that the hub and ``datasets`` read, pictures, scores and the recipe."""
    images, source, teacher = manifest["images"], manifest["source"], manifest["teacher"]
    title = f"{source['name']}, distilled"
    made, licence = _origin(manifest), source["licence"] or "not stated"
    return f"""---
{yaml.safe_dump(_header(manifest, title), sort_keys=False, allow_unicode=True)}---

# {_line(title)}

{images["count"]} images, {images["per_class"]} of each of {len(manifest["classes"])} classes, {images["size"]} px
({made}), that stand for the {source["train"]} training images of {_line(source["name"])}: to train networks on, in a
fraction of the time, with the soft labels beside them. Made by `wmdd` {manifest["wmdd"]} (Dataset Distillation via the
Wasserstein Metric, arXiv 2311.18531).

![Some of the images]({PICTURE})

```python
from datasets import load_dataset

images = load_dataset("this/name", split="train")  # image, label, weight, logits
```

`logits` are the teacher's, of the plain image; `weight` is the image's share of its class. Inputs are pixels in
[0, 1], normalised by mean {_numbers(manifest["preprocessing"]["mean"])} and standard deviation
{_numbers(manifest["preprocessing"]["std"])}.

## Scores

Top-1 in percent on the {source["validation"]} real validation images, mean ± standard deviation over seeds. Protocols
with soft labels use the teacher's labels of augmented views, which are not in this set: its `logits` are those of the
plain images, and other labels may give other scores.

{_scores(manifest)}

The teacher is {_line(teacher["arch"])}. `manifest.json` holds the recipe, the classes and the hash of the teacher's
weights.

Licence of the source data, as the maker of this set states it: {_line(licence)}.
"""


def picture(distilled: DistilledDataset) -> bytes:
    """A PNG: some images of some classes, a row for each class; of images that are not RGB the first channel."""
    classes = range(min(len(distilled.class_names), _TILES))
    rows = [distilled.images[distilled.labels == k][:_TILES] for k in classes]
    side = min(_SIDE, distilled.images.shape[-1])
    sheet = Image.new("RGB", (side * max(len(row) for row in rows), side * len(rows)), "white")
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            pixels = (image if len(image) == 3 else image[:1].expand(3, -1, -1)).permute(1, 2, 0).numpy()
            tile = Image.fromarray(np.ascontiguousarray(pixels))
            sheet.paste(tile.resize((side, side), Image.Resampling.BICUBIC), (x * side, y * side))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _header(manifest: Mapping[str, Any], title: str) -> dict[str, Any]:
    licence = manifest["source"]["licence"]
    # The hub refuses licences that it does not know, whatever they are called elsewhere.
    stated = {"license": "other", "license_name": _slug(licence)} if licence else {}
    count = manifest["images"]["count"]
    return {
        **stated,
        "pretty_name": _line(title),
        "task_categories": ["image-classification"],
        "size_categories": [next((name for most, name in _SIZES if count < most), "1M<n<10M")],
        "tags": ["dataset-distillation", "wmdd"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}],
    }


def _origin(manifest: Mapping[str, Any]) -> str:
    """What was done to which images."""
    synthesis = manifest["recipe"]["synthesis"]
    noise, patches = (synthesis["init"] == init for init in ("noise", "patches"))
    if synthesis["steps"]:
        return "optimised from noise" if noise else "real pixels, optimised"
    return "noise" if noise else "crops of real images" if patches else "real images, unchanged"


def _scores(manifest: Mapping[str, Any]) -> str:
    teacher, chance = manifest["teacher"], 100 / len(manifest["classes"])
    lines = [
        "| images | IPC | protocol | student | seeds | top-1 |",
        "|---|---|---|---|---|---|",
        *(
            f"| {row['method']} | {row['ipc']} | {row['protocol']} | {_line(row['student'])} | {row['seeds']} "
            f"| {_score(row)} |"
            for row in manifest["scores"]
        ),
        f"| whole real set (the teacher) | | | {_line(teacher['arch'])} | 1 | {teacher['top1']:.1f} |",
        f"| chance, if classes are even | | | | | {chance:.1f} |",
    ]
    return "\n".join(lines)


def _score(row: Mapping[str, Any]) -> str:
    return f"{row['top1']:.1f}" + (f" ± {row['top1_std']:.1f}" if row["top1_std"] is not None else "")


def _numbers(values: Any) -> str:
    return "(" + ", ".join(f"{value:.4g}" for value in values) + ")"


def _line(text: str) -> str:
    """A name of the user's as one line that Markdown takes for text."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-") or "other"
