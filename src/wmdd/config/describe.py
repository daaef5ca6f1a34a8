"""What a setting may be, in words."""

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, GroupedMetadata, Gt, Le, Lt

_NOUNS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    NoneType: "null",
}
_BOUNDS = {Ge: ("at least", "ge"), Gt: ("above", "gt"), Le: ("at most", "le"), Lt: ("below", "lt")}


def describe(kind: Any) -> str:
    """The values that the type ``kind`` allows: ``auto or a whole number of at least 1``."""
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return " or ".join(describe(part) for part in get_args(kind))
    if origin is Literal:
        *most, last = map(str, get_args(kind))
        return f"{', '.join(most)} or {last}" if most else last
    if origin is tuple:
        return f"a list whose entries are each {describe(get_args(kind)[0])}"
    if origin is Annotated:
        noun, *metadata = get_args(kind)
        return f"{describe(noun)}{_limits(metadata)}"
    return _NOUNS[kind]


def choices(kind: Any) -> str:
    """The values of ``kind`` where they can be listed, in words; empty where any number or text will do."""
    listed = takes_bool(kind) or any(get_origin(k) is Literal and len(get_args(k)) > 1 for k in (kind, *get_args(kind)))
    return describe(kind) if listed else ""


def takes_bool(kind: Any) -> bool:
    """Whether true and false are values of the type ``kind``."""
    return kind is bool or any(takes_bool(part) for part in get_args(kind) if get_origin(kind) is not Literal)


def _limits(metadata: list[Any]) -> str:
    single = [limit for entry in metadata for limit in (entry if isinstance(entry, GroupedMetadata) else [entry])]
    words = [
        f"{word} {getattr(limit, name):g}"
        for limit in single
        for word, name in [_BOUNDS[type(limit)]]
        if abs(getattr(limit, name)) != float("inf")
    ]
    if not words:
        return ""
    return f" {'' if words[0].startswith(('above', 'below')) else 'of '}{' and '.join(words)}"
