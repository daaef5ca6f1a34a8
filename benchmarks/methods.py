"""Finished comparisons for the docs: their record, tables in Markdown, and a panel of every method's images.

    wmdd compare FOLDER --data ... --methods ...
    python benchmarks/methods.py FOLDER [FOLDER ...] --json FILE --panel FILE.png
    python benchmarks/methods.py FILE                 the tables of an existing record

With --ipc N all of that is of the sets of N images per class alone.

Several FOLDERs are comparisons with the same teacher, such as one for each number of images. They are only read. Three
tables are printed. The first: top-1 by IPC and protocol, with the difference from random real images beside it and the
best figures in bold. A star marks a difference that chance alone would exceed, either way, once in twenty: by Student's
t, 4.3 standard errors for three seeds. The last columns say how close images stay to real ones: the root mean square
difference, in grey levels of 255, from the real images that they started as, where the comparison has those as a
method, and from the real image of nearest features; lowest, median and highest over the images of seed 0 at the
method's largest IPC in the first FOLDER (or at N), which the panel shows too. The second table: `wmdd` minus every
other method, paired by seed, with the standard error and the same star. The third: time, memory and bytes of a set, and
hard-label recovery (arXiv 2505.13300).
"""

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from scipy.stats import t as student_t

from spread import paired_difference
from wmdd.report.gallery import strip
from wmdd.storage.images import read_png
from wmdd.storage.json import read_json, write_json
from wmdd.storage.tensors import read_tensors

OURS = "wmdd"
STARTS = {"wmdd": "nearest", "dm": "random", "mmd": "random"}
"""Methods, and those whose images they start as."""

Row = Mapping[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comparisons", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--json", type=Path, help="the comparisons' records as one")
    parser.add_argument("--panel", type=Path, help="the images of every method, PNG")
    parser.add_argument("--ipc", type=int, help="the sets of so many images per class alone")
    arguments = parser.parse_args()
    first = arguments.comparisons[0]
    if arguments.panel and first.is_file():
        parser.error("a record has no images to draw: give the comparison's folder, or leave out --panel")
    found = read_json(first) if first.is_file() else together(arguments.comparisons)
    if arguments.ipc:
        found = of_ipc(found, arguments.ipc)
    if len({row["student"] for row in found["rows"]}) > 1:
        parser.error("a table holds one student, and this comparison has several")
    places = {name: [folder / "sets" / name for folder in arguments.comparisons] for name in found.get("methods", ())}
    made = {name: [sets for place in of for sets in _sets(place, arguments.ipc)] for name, of in places.items()}
    shown = {name: sets[0] for name, sets in made.items() if sets}  # in the first folder that has them
    print(table(found["rows"], {name: closeness(shown, name) for name in shown}))
    print(f"\n{lead_table(leads(found['scores']))}")
    print(f"\n{cost_table(found['rows'])}")
    if arguments.json:
        write_json(arguments.json, found)
    if arguments.panel:
        draw_panel({name: shown[name] for name in found["methods"] if name in shown}, arguments.panel)


def together(folders: Sequence[Path]) -> dict[str, Any]:
    """The records of comparisons that share their teacher, as one: their lists after one another, and the leads."""
    records = [read_json(folder / "comparison.json") for folder in folders]
    for folder, record in zip(folders, records, strict=True):
        if record["teacher"] != records[0]["teacher"]:
            raise SystemExit(f"{folder} has another teacher than {folders[0]}: give it a table of its own.")
    lists = {name: _each_once(name, records) for name in ("rows", "scores", "costs")}
    methods: dict[str, Any] = {}
    for folder, record in zip(folders, records, strict=True):
        for name, settings in record["methods"].items():
            if methods.setdefault(name, settings) != settings:
                raise SystemExit(f"{folder} has another method {name}: give it a table of its own.")
    machines = sorted({name for record in records for name in record.get("machines", ())})
    kept = {name: value for name, value in records[0].items() if name != "epochs"}  # the protocols' names have them
    return kept | {"methods": methods, "machines": machines} | lists | {"leads": leads(lists["scores"])}


def _each_once(name: str, records: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The entries of all records; one that several have must be the same in each, as that of a copied set is."""
    found: dict[tuple[Any, ...], Row] = {}
    for entry in (entry for record in records for entry in record[name]):
        key = tuple(entry.get(field) for field in ("method", "ipc", "seed", "protocol", "student"))
        if found.setdefault(key, entry) != entry:
            raise SystemExit(f"{name} of {entry['method']}, IPC {entry['ipc']}, differ between the comparisons.")
    return list(found.values())


def of_ipc(found: Mapping[str, Any], ipc: int) -> dict[str, Any]:
    """The record without what is of another IPC."""
    lists = ("rows", "scores", "costs", "leads")
    kept = {name: [row for row in found[name] if row["ipc"] == ipc] for name in lists if name in found}
    if not kept["rows"]:
        raise SystemExit(f"the comparison has no scores of {ipc} images per class.")
    return {**found, **kept}


def leads(scores: Sequence[Row]) -> list[dict[str, Any]]:
    """By protocol, student, IPC and other method: the mean of `wmdd`'s top-1 minus the other's of the same seed.

    ``error`` is its standard error, None for a single seed.
    """
    top1: dict[tuple[str, str, int], dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for score in scores:
        top1[score["protocol"], score["student"], score["ipc"]][score["method"]][score["seed"]] = score["top1"]
    found = []
    for (protocol, student, ipc), by_method in top1.items():
        ours = by_method.get(OURS, {})
        for method, theirs in by_method.items():
            seeds = sorted(ours.keys() & theirs.keys())
            if method != OURS and seeds:
                mine, others = [ours[seed] for seed in seeds], [theirs[seed] for seed in seeds]
                lead, error = paired_difference(mine, others) if len(seeds) > 1 else (mine[0] - others[0], None)
                found.append(
                    {
                        "protocol": protocol,
                        "student": student,
                        "ipc": ipc,
                        "less": method,
                        "lead": lead,
                        "error": error,
                        "seeds": len(seeds),
                    }
                )
    return found


def lead_table(found: Sequence[Row]) -> str:
    """A line for each other method, a column for each protocol and IPC."""
    columns = sorted({(row["protocol"], row["ipc"]) for row in found}, key=lambda key: (key[1], key[0]))
    lines = [
        [f"`{OURS}` minus", *(f"IPC {ipc}, `{protocol}`" for protocol, ipc in columns)],
        ["---"] * (len(columns) + 1),
    ]
    for method in dict.fromkeys(row["less"] for row in found):
        cells = {(row["protocol"], row["ipc"]): row for row in found if row["less"] == method}
        lines.append([f"`{method}`", *(_lead(cells.get(column)) for column in columns)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _lead(row: Row | None) -> str:
    if row is None or row["error"] is None:
        return "–" if row is None else f"{row['lead']:+.1f}"
    return f"{row['lead']:+.1f} ± {row['error']:.1f}" + _star(row["lead"], row["error"], row["seeds"])


def table(rows: Sequence[Row], differences: Mapping[str, tuple[str, str]]) -> str:
    """A line for each method, a column for each protocol and IPC; the best mean over all columns first."""
    columns = sorted({(row["protocol"], row["ipc"]) for row in rows}, key=lambda key: (key[1], key[0]))
    cells = {(row["method"], row["protocol"], row["ipc"]): row for row in rows}
    best = {column: max(row["top1"] for row in rows if (row["protocol"], row["ipc"]) == column) for column in columns}
    methods = sorted(dict.fromkeys(row["method"] for row in rows), key=lambda name: -_mean_top1(name, columns, cells))
    lines = [
        [
            "method",
            "real pixels",
            *(f"IPC {ipc}, `{protocol}`" for protocol, ipc in columns),
            "from start",
            "from real",
        ],
        ["---"] * (len(columns) + 4),
    ]
    for method in methods:
        mine = [cells.get((method, *column)) for column in columns]
        known = [row for row in mine if row is not None]
        shown = [_cell(row, best[column]) for row, column in zip(mine, columns, strict=True)]
        lines.append(
            [
                f"`{method}`",
                "yes" if known[0]["real_pixels"] else "no",
                *shown,
                *differences.get(method, ("–", "–")),
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
    shown = "" if error is None else f" ± {error:.1f}{_star(row['gain'], error, row['seeds'])}"
    return f"{top1} ({row['gain']:+.1f}{shown})"


def _star(difference: float, error: float, seeds: int) -> str:
    """Marks a mean over ``seeds`` whose distance from 0 chance would exceed once in twenty (Student's t)."""
    return "*" if abs(difference) > student_t.ppf(0.975, seeds - 1) * error else ""


def cost_table(rows: Sequence[Row]) -> str:
    """A line for each method: seconds, peak memory and bytes of images and labels at each IPC; hard-label recovery."""
    lines = [["method", "IPC", "time", "peak memory", "images", "labels", "hard-label recovery"], ["---"] * 7]
    for method, ipc in sorted(dict.fromkeys((row["method"], row["ipc"]) for row in rows if "seconds" in row)):
        mine = [row for row in rows if (row["method"], row["ipc"]) == (method, ipc)]
        labels = max(row["label_bytes"] for row in mine)
        recovery = [row["hard_label_recovery"] for row in mine if row["hard_label_recovery"] is not None]
        lines.append(
            [
                *(f"`{method}`", str(ipc), f"{mine[0]['seconds']:.0f} s", f"{mine[0]['peak_mb']:.0f} MB"),
                f"{mine[0]['image_bytes'] / 1e3:.0f} kB",
                f"{labels / 1e3:.0f} kB" if labels else "online",
                *([f"{value:.1f}" for value in recovery] or ["–"]),
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def draw_panel(homes: Mapping[str, Path], path: Path) -> None:
    """The first image of some classes, a row for each method with the folder of its sets."""
    strips = {name: images for name, home in homes.items() if (images := strip(home / "seed-0")) is not None}
    height, width = next(iter(strips.values())).shape[:2]
    with matplotlib.style.context(["default", {"font.size": 8}]):
        figure = Figure(figsize=(1.2 + 6.4, 6.4 * height / width * len(strips) * 1.06), layout="constrained")
        for axes, (name, images) in zip(figure.subplots(len(strips), squeeze=False)[:, 0], strips.items(), strict=True):
            axes.imshow(images, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.set_ylabel(name, rotation=0, ha="right", va="center")
            axes.spines[:].set_visible(False)
        figure.savefig(path, dpi=130, bbox_inches="tight", metadata={"Software": None})


def _sets(method: Path, ipc: int | None) -> list[Path]:
    """The folders of the method's sets, most images first; of ``ipc`` images per class alone where that is given."""
    return sorted(method.glob("ipc-*" if ipc is None else f"ipc-{ipc:03d}"), reverse=True)


def _classes(sets: Path) -> list[Path]:
    """The folders with a class's images, of seed 0."""
    return sorted(sets.glob("seed-0/artifacts/synthesis/*/class-*/"), key=lambda path: path.name)


def closeness(homes: Mapping[str, Path], method: str) -> tuple[str, str]:
    """How far the images of ``method`` are from those they started as, and from the real ones of nearest features."""
    mine, start = _classes(homes[method]), homes.get(STARTS.get(method, ""))
    nearest = [read_tensors(folder.with_suffix(".safetensors"))[0]["nearest_images"].numpy() for folder in mine]
    images = [_images(folder) for folder in mine]
    begun = [_images(folder) for folder in _classes(start)] if start else []
    return _levels(images, begun), _levels(images, nearest)


def _levels(images: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> str:
    """Root mean square differences in grey levels: lowest, median, highest."""
    pairs = zip(images, others, strict=True) if others else ()
    found = [np.sqrt(np.square(mine.astype(np.float64) - theirs).mean((1, 2, 3))) for mine, theirs in pairs]
    return " / ".join(f"{value:.0f}" for value in np.quantile(np.concatenate(found), (0, 0.5, 1))) if found else "–"


def _images(folder: Path) -> np.ndarray:
    """All images of a class, ``[m, C, S, S]``."""
    return np.stack([read_png(path).numpy() for path in sorted(folder.iterdir())])


if __name__ == "__main__":
    main()
