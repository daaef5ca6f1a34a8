"""The table of a comparison on standard output."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from wmdd.comparison.table import NAME, Row
from wmdd.config.protocols import base_name
from wmdd.runtime.progress import print_table
from wmdd.storage.json import read_json


def print_comparison(folder: Path) -> None:
    """One table for each student: every method under each protocol, beside random real images, and its cost."""
    found = read_json(folder / NAME)
    rows, teacher = [Row(**row) for row in found["rows"]], found["teacher"]
    for student in dict.fromkeys(row.student for row in rows):
        mine = [row for row in rows if row.student == student]
        protocols = list(dict.fromkeys(row.protocol for row in mine))
        hard = any(row.hard_label_recovery is not None for row in mine)
        columns = ["IPC", "images", "real\npixels", "seeds", *map(_heading, protocols)]
        columns += ["hard-label\nrecovery"] * hard + ["seconds,\nMB", "kB: images,\nlabels"]
        best_first = dict.fromkeys((row.ipc, row.method) for row in mine)  # under the first protocol
        sets = sorted(best_first, key=lambda key: key[0])
        lines = [
            _line({row.protocol: row for row in mine if (row.ipc, row.method) == key}, protocols, hard=hard)
            for key in sets
        ]
        print_table(f"Top-1 % of {student} (in parentheses: minus random real)", columns, lines)
    print(f"full training set (teacher): {teacher['arch']}, {teacher['top1']:.1f} %; chance {found['chance']:.1f} %")
    print("seconds and MB are for barycenters and images; the shared teacher and statistics are not counted")
    print(f"page: {folder / 'report' / 'index.html'}")


def _line(scored: Mapping[str, Row], protocols: Sequence[str], *, hard: bool) -> list[str]:
    """The cells of a set, whose rows are by protocol."""
    first = next(iter(scored.values()))
    recovery = [row.hard_label_recovery for row in scored.values() if row.hard_label_recovery is not None]
    return [
        str(first.ipc),
        first.method,
        "yes" if first.real_pixels else "no",
        str(max(row.seeds for row in scored.values())),
        *(_top1(scored.get(protocol)) for protocol in protocols),
        *([", ".join(f"{value:.1f}" for value in recovery)] if hard else []),
        f"{first.seconds:.1f}, {first.peak_mb:.0f}",
        f"{first.image_bytes / 1e3:.0f}, {sum(row.label_bytes for row in scored.values()) / 1e3:.0f}",
    ]


def _heading(protocol: str) -> str:
    """Its name in two lines, if it has a number of epochs of its own."""
    name = base_name(protocol)
    return f"{name}\n{protocol.removeprefix(name)}".strip()


def _top1(row: Row | None) -> str:
    """Mean and standard deviation, and below them the paired difference from random real images."""
    if row is None:
        return ""
    lead = "" if row.gain is None else f"\n({row.gain:+.1f}{_error(row.gain_error)})"
    return f"{row.top1:.1f}{_error(row.top1_std)}{lead}"


def _error(deviation: float | None) -> str:
    return "" if deviation is None else f" ± {deviation:.1f}"
