"""Numbers for people."""

import pytest

from wmdd.core.quantities import duration, size


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0 bytes"), (218_400, "218 kB"), (4.2e6, "4.2 MB"), (999.7e6, "1 GB"), (7.5e9, "7.5 GB"), (2e12, "2 TB")],
)
def test_bytes(value: float, words: str) -> None:
    assert size(value) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (2.64, "2.6 s"),
        (59.96, "1 min 00 s"),
        (61, "1 min 01 s"),
        (119.7, "2 min 00 s"),
        (3599.6, "1 h 00 min"),
        (7260, "2 h 01 min"),
        (172_799, "47 h 59 min"),
        (180_000, "2 d 02 h"),
    ],
)
def test_seconds(seconds: float, words: str) -> None:
    assert duration(seconds) == words
