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
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The vocabulary that the specification asks every file to repeat."""

_FIELDS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("image", "sc:ImageObject", "the distilled image", {"transform": {"jsonPath": "bytes"}}),
    ("label", "sc:Integer", "the number of its class", {}),
    ("weight", "sc:Float", "its share of its class", {}),
    ("logits", "sc:Float", "the teacher's scores of all classes, raw", {}),
)


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
        "version": "1.0.0",
        **licence,
        "distribution": [*map(_file, files), _all(files)],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "default",
                "name": "default",
                "description": "one record for each image",
                "field": [_field(*field) for field in _FIELDS],
            }
        ],
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


def _all(files: Sequence[Path]) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": "all",
        "name": "all",
        "containedIn": [{"@id": path.name} for path in files],
        "encodingFormat": "application/x-parquet",
        "includes": "train-*.parquet",
    }


def _field(name: str, kind: str, description: str, extract: Mapping[str, Any]) -> dict[str, Any]:
    repeated = {"repeated": True} if name == "logits" else {}
    return {
        "@type": "cr:Field",
        "@id": f"default/{name}",
        "name": name,
        "description": description,
        "dataType": kind,
        **repeated,
        "source": {"fileSet": {"@id": "all"}, "extract": {"column": name}, **extract},
    }
