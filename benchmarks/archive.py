"""Reading a data set from its zip archive, beside reading the same files unpacked.

    python benchmarks/archive.py SET.zip FOLDER --json FILE [--size 64] [--repeats 5]

FOLDER holds what SET.zip does. Every image is read, decoded and resized, by two threads, in turns; opening is included.
"""

import argparse
from functools import partial
from pathlib import Path

from bars import Bar, Bars
from paired import in_turns
from wmdd.config import DataConfig
from wmdd.data import open_source
from wmdd.data.parallel import decode_images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    places = {"archive": arguments.archive, "folder": arguments.folder}
    opened = {name: open_source(DataConfig(source=str(path))) for name, path in places.items()}
    assert opened["archive"].fingerprint == opened["folder"].fingerprint, "the two hold different images"

    def read(path: Path) -> None:
        source = open_source(DataConfig(source=str(path)))
        for split in (source.train, source.validation):
            decode_images(split, range(len(split)), arguments.size, threads=2)

    seconds = in_turns({name: partial(read, path) for name, path in places.items()}, arguments.repeats)
    bars = Bars(("pillow",))
    count = sum(len(split) for split in (opened["folder"].train, opened["folder"].validation))
    bars.note(f"{count} images to {arguments.size} px", **{name: round(value, 2) for name, value in seconds.items()})
    bars.add(
        Bar(
            "data.3", "seconds from the archive / from the folder", seconds["archive"] / seconds["folder"], 1.1, "lower"
        )
    )
    if arguments.json:
        bars.write(arguments.json)


if __name__ == "__main__":
    main()
