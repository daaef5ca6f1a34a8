"""Finished comparisons for the docs: their record, one table in Markdown, and a panel of every method's images.

    wmdd compare FOLDER --data ... --methods ...
    python benchmarks/methods.py FOLDER [FOLDER ...] --json FILE --panel FILE.png

Several FOLDERs are comparisons with the same teacher, such as one for each number of images. They are only read. The
table goes to the terminal: top-1 by IPC and protocol, the difference from random real images beside it, best figures
bold. A difference of more than twice its standard error has a star. The last column says how close images stay to real
ones: the root mean square difference, in grey levels of 255, from the real image of nearest features, the median over
the images of seed 0 at the method's largest IPC in the first FOLDER, which the panel shows, too.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.figure import Figure

from wmdd.report.gallery import read_png
from wmdd.storage.json import read_json, write_json
from wmdd.storage.tensors import read_tensors

MOST_CLASSES = 10

Row = Mapping[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comparisons", type=Path, nargs="+")
    parser.add_argument("--json", type=Path, help="the comparisons' records as one")
    parser.add_argument("--panel", type=Path, help="the images of every method, PNG")
    arguments = parser.parse_args()
    first, found = arguments.comparisons[0], together(arguments.comparisons)
    shown = [name for name in found["methods"] if (first / "sets" / name).is_dir()]
    print(table(found["rows"], {name: _difference(first / "sets" / name) for name in shown}))
    if arguments.json:
        write_json(arguments.json, found)
    if arguments.panel:
        draw_panel(first, shown, arguments.panel)


def together(folders: Sequence[Path]) -> dict[str, Any]:
    """The records of comparisons that share their teacher, as one: the lists of all after one another."""
    records = [read_json(folder / "comparison.json") for folder in folders]
    for folder, record in zip(folders, records, strict=True):
        if record["teacher"] != records[0]["teacher"]:
            raise SystemExit(f"{folder} has another teacher than {folders[0]}: make a table of its own of it.")
    lists = {name: [entry for record in records for entry in record[name]] for name in ("rows", "scores", "costs")}
    methods = {name: settings for record in records for name, settings in record["methods"].items()}
    kept = {name: value for name, value in records[0].items() if name != "epochs"}  # the protocols' names have them
    return kept | {"methods": methods} | lists


def table(rows: Sequence[Row], differences: Mapping[str, float]) -> str:
    """A line for each method, a column for each protocol and IPC; the best mean over all columns first."""
    columns = sorted({(row["protocol"], row["ipc"]) for row in rows}, key=lambda key: (key[1], key[0]))
    cells = {(row["method"], row["protocol"], row["ipc"]): row for row in rows}
    best = {column: max(row["top1"] for row in rows if (row["protocol"], row["ipc"]) == column) for column in columns}
    methods = sorted({row["method"] for row in rows}, key=lambda name: -_mean_top1(name, columns, cells))
    lines = [
        ["method", "real pixels", *(f"IPC {ipc}, `{protocol}`" for protocol, ipc in columns), "made in", "from real"],
        ["---"] * (len(columns) + 4),
    ]
    for method in methods:
        mine = [cells.get((method, *column)) for column in columns]
        known = [row for row in mine if row is not None]
        shown = [_cell(row, best[column]) for row, column in zip(mine, columns, strict=True)]
        seconds = " / ".join(f"{row['seconds']:.0f}" for row in {row["ipc"]: row for row in known}.values())
        lines.append(
            [
                f"`{method}`",
                "yes" if known[0]["real_pixels"] else "no",
                *shown,
                f"{seconds} s",
                f"{differences[method]:.0f}" if method in differences else "–",
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _mean_top1(method: str, columns: Sequence[tuple[str, int]], cells: Mapping[tuple[str, str, int], Row]) -> float:
    known: list[float] = [cells[method, *column]["top1"] for column in columns if (method, *column) in cells]
    return sum(known) / len(known)


def _cell(row: Row | None, best: float) -> str:
    if row is None:
        return "–"
    top1 = f"{row['top1']:.1f}" + ("" if row["top1_std"] is None else f" ± {row['top1_std']:.1f}")
    top1 = f"**{top1}**" if row["top1"] == best else top1
    if row["gain"] is None:
        return top1
    error = row["gain_error"]
    clear = error is not None and abs(row["gain"]) > 2 * error
    return f"{top1} ({row['gain']:+.1f}{'' if error is None else f' ± {error:.1f}'}{'*' if clear else ''})"


def draw_panel(folder: Path, methods: Sequence[str], path: Path) -> None:
    """The first image of some classes, a row for each method, at its largest IPC."""
    strips = {name: _strip(folder / "sets" / name) for name in methods}
    height, width = next(iter(strips.values())).shape[:2]
    with matplotlib.style.context(["default", {"font.size": 8}]):
        figure = Figure(figsize=(1.2 + 6.4, 6.4 * height / width * len(strips) * 1.06), layout="constrained")
        for axes, (name, strip) in zip(figure.subplots(len(strips), squeeze=False)[:, 0], strips.items(), strict=True):
            axes.imshow(strip, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.set_ylabel(name, rotation=0, ha="right", va="center")
            axes.spines[:].set_visible(False)
        figure.savefig(path, dpi=130, bbox_inches="tight", metadata={"Software": None})


def _classes(method: Path) -> list[Path]:
    """The folders with a class's images: of seed 0, at the largest IPC."""
    largest = max(method.iterdir(), key=lambda path: path.name)
    return sorted(largest.glob("seed-0/artifacts/synthesis/*/class-*/"), key=lambda path: path.name)


def _difference(method: Path) -> float:
    """Grey levels by which images differ from the real ones of nearest features, root mean square; the median."""
    found = []
    for folder in _classes(method):
        real = read_tensors(folder.with_suffix(".safetensors"))[0]["nearest_images"].numpy().astype(np.float64)
        for path, beside in zip(sorted(folder.iterdir()), real, strict=True):
            found.append(np.sqrt(np.square(read_png(path).transpose(2, 0, 1) - beside).mean()))
    return float(np.median(found))


def _strip(method: Path) -> np.ndarray:
    files = [folder / "000.png" for folder in _classes(method)]
    return np.concatenate([read_png(path) for path in files[:: -(-len(files) // MOST_CLASSES)]], axis=1)


if __name__ == "__main__":
    main()
