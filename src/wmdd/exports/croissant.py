"""Croissant metadata (MLCommons, version 1.0) of a set in parquet files: what search engines and loaders read."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wmdd.core.hashing import digest_file

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The vocabulary that the specification asks every file to repeat."""

_FIELDS: tuple[tuple[str, str, str, dict[str, Any], dict[str, Any]], ...] = (
    ("image", "sc:ImageObject", "the distilled image", {}, {"transform": {"jsonPath": "bytes"}}),
    ("label", "sc:Integer", "the number of its class", {}, {}),
    ("weight", "sc:Float", "its share of its class", {}, {}),
    ("logits", "sc:Float", "the teacher's scores of all classes, raw", {"repeated": True}, {}),
)
"""Name, type, description, what else the field has, and what is done to the column."""


def croissant(manifest: Mapping[str, Any], files: Sequence[Path]) -> dict[str, Any]:
    """The metadata of a set whose rows are in the parquet ``files``, which lie in ``data/`` beside it."""
    source = manifest["source"]
    licence = {"license": source["licence"]} if source["licence"] else {}
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": re.sub(r"[^\w-]+", "-", f"{source['name']}-distilled"),
        "description": f"{manifest['images']['count']} images that stand for the {source['train']} training images of "
        f"{source['name']}: dataset distillation by Wasserstein barycenters.",
        "citeAs": "Dataset Distillation via the Wasserstein Metric, arXiv 2311.18531",
        "version": "1.0.0",
        **licence,
        "distribution": list(map(_file, files)),
        "recordSet": [_records(path, "default" if len(files) == 1 else path.stem) for path in files],
    }


def _file(path: Path) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": path.name,
        "name": path.name,
        "contentUrl": f"data/{path.name}",
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": "application/x-parquet",
        "sha256": digest_file(path),
    }


def _records(file: Path, name: str) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": "one record for each image",
        "field": [_field(file, name, *field) for field in _FIELDS],
    }


def _field(
    file: Path, records: str, name: str, kind: str, description: str, more: Mapping[str, Any], transform: Any
) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{records}/{name}",
        "name": name,
        "description": description,
        "dataType": kind,
        **more,
        "source": {"fileObject": {"@id": file.name}, "extract": {"column": name}, **transform},
    }
