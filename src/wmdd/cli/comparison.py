"""The table of a comparison on standard output."""

from pathlib import Path

from wmdd.comparison.table import NAME, Row
from wmdd.runtime.progress import print_table
from wmdd.storage.json import read_json


def print_comparison(folder: Path) -> None:
    """One table for each protocol and student: every method beside random real images."""
    found = read_json(folder / NAME)
    rows = [Row(**row) for row in found["rows"]]
    teacher = found["teacher"]
    columns = [
        "IPC",
        "images",
        "real pixels",
        "seeds",
        "top-1 %",
        "less random real",
        "seconds",
        "MB",
        "images kB",
        "labels kB",
    ]
    for protocol, student in dict.fromkeys((row.protocol, row.student) for row in rows):
        mine = [row for row in rows if (row.protocol, row.student) == (protocol, student)]
        hard = any(row.hard_label_recovery is not None for row in mine)
        lines = [_line(row) + ([_number(row.hard_label_recovery)] if hard else []) for row in mine]
        print_table(f"{student}, protocol {protocol}", columns + (["hard-label recovery"] if hard else []), lines)
    print(f"teacher, of the whole real set: {teacher['arch']}, {teacher['top1']:.1f} %; chance {found['chance']:.1f} %")
    print("seconds and MB: barycenters and images; teacher and statistics are shared and not counted")
    print(f"page: {folder / 'report' / 'index.html'}")


def _line(row: Row) -> list[str]:
    return [
        str(row.ipc),
        row.method,
        "yes" if row.real_pixels else "no",
        str(row.seeds),
        _number(row.top1, row.top1_std),
        "" if row.gain is None else f"{row.gain:+.1f}" + _error(row.gain_error),
        f"{row.seconds:.1f}",
        f"{row.peak_mb:.0f}",
        f"{row.image_bytes / 1e3:.0f}",
        f"{row.label_bytes / 1e3:.0f}",
    ]


def _number(value: float | None, spread: float | None = None) -> str:
    return "" if value is None else f"{value:.1f}" + _error(spread)


def _error(spread: float | None) -> str:
    return "" if spread is None else f" ± {spread:.1f}"
