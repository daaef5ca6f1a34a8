"""How soon anything happens: the import, and a whole process that makes one step of synthesis.

    python benchmarks/startup.py --json FILE [--quick]

All are processes of their own, in turns. The step's process reads a run of the digits with teacher, statistics and
barycenters made, takes one step and writes the images; what `import torch` takes by itself is subtracted.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bars import Bar, Bars
from paired import in_turns

WMDD = Path(sys.executable).with_name("wmdd")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="few repeats")
    arguments = parser.parse_args()
    bars = Bars(("torch",))
    with tempfile.TemporaryDirectory() as folder:
        ready, copy = Path(folder) / "ready", Path(folder) / "copy"
        for stage in (["teacher", "--teacher-epochs", "1"], ["statistics"], ["barycenters"]):
            quietly(str(WMDD), stage[0], str(ready), "--quiet", *stage[1:])

        def step() -> None:
            quietly(str(WMDD), "synthesize", str(copy), "--steps", "1", "--quiet")
            shutil.rmtree(copy)
            shutil.copytree(ready, copy)

        shutil.copytree(ready, copy)
        tasks = {
            "nothing": lambda: python("pass"),
            "wmdd": lambda: python("import wmdd"),
            "help": lambda: quietly(str(WMDD), "--help"),
            "torch": lambda: python("import torch"),
            "step": step,
        }
        seconds = in_turns(tasks, 2 if arguments.quick else 9)
    bars.add(Bar("speed.6", "seconds of `import wmdd`", seconds["wmdd"] - seconds["nothing"], 0.1, "lower"))
    what = "seconds from the start of a process to the end of its first step, beyond `import torch`, digits"
    bars.add(Bar("speed.6", what, seconds["step"] - seconds["torch"], 3, "lower"))
    bars.note("seconds of whole processes", **{name: f"{found:.3f}" for name, found in seconds.items()})
    if arguments.json:
        bars.write(arguments.json)


def python(code: str) -> None:
    quietly(sys.executable, "-c", code)


def quietly(*command: str) -> None:
    # As most users have it: modules stay compiled from the first process on.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(command, check=True, capture_output=True, env=environment)


if __name__ == "__main__":
    main()
