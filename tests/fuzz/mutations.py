"""Bytes that are almost a valid file, and JSON that is almost a valid record."""

import copy
from typing import Any

from hypothesis import strategies as st

_SMALL = st.binary(max_size=24)
_INTERESTING = st.sampled_from(
    [
        *(b"\x00" * 8, b"\xff" * 8, b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\x01", b"-1", b"1e999", b"NaN"),
        *(b"null", b"[" * 2000, b"{", b'"', b"\\ud800", b"../../x", b"/etc/passwd", b"\n", b"\r\n", b"\xed\xa0\x80"),
        *(b"99999999999999", b"PK\x03\x04", b"\x89PNG\r\n\x1a\n", b"\x93NUMPY", b"\x80\x04", b"{}"),
        b"cos\nsystem\n(S'touch /tmp/ran-7f3a91'\ntR.",
    ]
)  # fmt: skip
_WHERE = st.floats(0, 1, exclude_max=True)
_STEP = st.tuples(
    st.sampled_from(["set", "set", "flip", "insert", "remove", "cut", "repeat", "splice"]), _WHERE, _WHERE
)


def spoilt(seeds: list[bytes]) -> st.SearchStrategy[bytes]:
    """Some bytes; mostly one of ``seeds`` with a few changes."""
    changes = st.lists(st.tuples(_STEP, st.one_of(_SMALL, _INTERESTING)), min_size=1, max_size=4)
    nearly = st.builds(_changed, st.sampled_from(seeds), changes, st.sampled_from(seeds))
    return st.one_of(nearly, nearly, nearly, st.binary(max_size=300))


def _changed(seed: bytes, changes: list[tuple[tuple[str, float, float], bytes]], other: bytes) -> bytes:
    for (kind, where, share), piece in changes:
        at = int(where * len(seed))
        end = at + int(share * min(len(seed) - at, 200))
        if kind == "set":
            seed = seed[:at] + piece + seed[at + len(piece) :]
        elif kind == "flip" and at < len(seed):
            seed = seed[:at] + bytes([seed[at] ^ (1 << int(share * 8))]) + seed[at + 1 :]
        elif kind == "insert":
            seed = seed[:at] + piece + seed[at:]
        elif kind == "remove":
            seed = seed[:at] + seed[end:]
        elif kind == "cut":
            seed = seed[:at]
        elif kind == "repeat":
            seed = seed[:at] + seed[at:end] * 3 + seed[end:]
        elif kind == "splice":
            seed = seed[:at] + other[int(share * len(other)) :]
    return seed


HOSTILE: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([10**9, 10**12, 2**63, 2**64, -(2**63), 10**30, 1e308, -0.0, 5e-324]),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["", ".", "..", "../x", "/etc/passwd", "a" * 5000, "\ud800", "\0", "a\nb", "{}", "nan", "auto", "é"]
    ),
    st.lists(st.one_of(st.none(), st.integers(-2, 2), st.text(max_size=3)), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.just([[[[]]]]),
)


@st.composite
def altered(draw: st.DrawFn, value: Any) -> Any:
    """``value``, of dictionaries and lists, with one to three of its entries replaced, taken out or put in."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(value))
        if not places:
            break
        owner, key = draw(st.sampled_from(places))
        act = draw(st.sampled_from(["replace", "replace", "replace", "remove", "add"]))
        if act == "replace":
            owner[key] = copy.deepcopy(draw(HOSTILE))
        elif act == "remove":
            del owner[key]
        elif isinstance(owner, dict):
            owner[draw(st.text(max_size=5))] = copy.deepcopy(draw(HOSTILE))
        else:
            owner.insert(key, copy.deepcopy(draw(HOSTILE)))
    return value


def _places(value: Any) -> Any:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in list(entries):
        yield value, key
        yield from _places(entry)
