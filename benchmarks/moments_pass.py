"""The statistics pass against bare inference.

    python benchmarks/moments_pass.py --json FILE [--data FOLDER] [--quick] [--device cuda]

The pass takes features and the per-class moments of all norm layers of images in memory; bare inference normalises and
forwards the same batches, in the same precision and layout, and keeps nothing. With --data the pass also streams the
folder's training images from their files, against decoding them alone with as many workers.
"""

import argparse
from collections.abc import Callable

import torch

from bars import Bar, Bars, network_parser
from paired import in_turns
from wmdd.config.data import DataConfig
from wmdd.core.types import Preprocessing
from wmdd.data import open_source
from wmdd.data.images import Images, MemoryImages, StreamedImages
from wmdd.models import Teacher, build_network
from wmdd.runtime.allocator import keep_freed
from wmdd.runtime.device import open_machine
from wmdd.stages.statistics import collect_statistics

CASES = ((64, 400), (224, 60))  # side, images
CLASSES, BATCH, WORKERS = 10, 100, 2


def main() -> None:
    parser = network_parser(__doc__)
    parser.add_argument("--data", help="folder of images to stream")
    arguments = parser.parse_args()
    keep_freed()
    bars = Bars(("torch", "timm", "pillow"))
    for side, count in CASES[:1] if arguments.quick else CASES:
        in_memory(bars, side, count, arguments)
    if arguments.data:
        streamed(bars, arguments)
    if arguments.json:
        bars.write(arguments.json)


def teacher_of(side: int, arguments: argparse.Namespace) -> Teacher:
    torch.manual_seed(0)
    machine = open_machine(arguments.device, "float32", torch.get_num_threads())
    network = machine.place(build_network(arguments.arch, CLASSES, side, "imagenet"))
    names = tuple(map(str, range(CLASSES)))
    preprocessing = Preprocessing(side)
    return Teacher(network, arch=arguments.arch, stem="imagenet", preprocessing=preprocessing, class_names=names)


def in_memory(bars: Bars, side: int, count: int, arguments: argparse.Namespace) -> None:
    teacher, labels = teacher_of(side, arguments), torch.arange(count) % CLASSES
    pixels = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, device=arguments.device)
    images = MemoryImages(pixels, labels)
    tasks = {"pass": observe(teacher, images, arguments), "bare": infer(teacher, images, arguments)}
    seconds = in_turns(tasks, 2 if arguments.quick else 7)
    where = f"{arguments.arch}, {side} px, float32, batch {BATCH}, {arguments.device}"
    what = f"images a second, pass / bare inference, {where}"
    bars.add(Bar("speed.2", what, seconds["bare"] / seconds["pass"], 0.9, "higher"))
    bars.note(f"images a second, {where}", **{name: f"{count / found:.0f}" for name, found in seconds.items()})


def streamed(bars: Bars, arguments: argparse.Namespace) -> None:
    source = open_source(DataConfig(source=arguments.data))
    side = CASES[0][0]
    teacher = teacher_of(side, arguments)
    images = StreamedImages(source.train, side, WORKERS, torch.device(arguments.device))
    chunks = torch.arange(len(images)).split(BATCH)
    tasks: dict[str, Callable[[], object]] = {
        "pass": observe(teacher, images, arguments),
        "decoding": lambda: [None for _ in images.batches(chunks)],
        "bare": infer(teacher, MemoryImages(images.take(chunks[0]), images.labels[chunks[0]]), arguments),
    }
    seconds = in_turns(tasks, 1)
    # What cannot overlap on these cores: decoding and the network take them in turns.
    floor = seconds["decoding"] + seconds["bare"] * len(images) / len(chunks[0])
    what = f"(decoding + bare inference, each alone) / streamed pass, {arguments.arch}, {side} px, {len(images)} images"
    bars.add(Bar("speed.2", what, floor / seconds["pass"], 0.9, "higher"))
    bars.note("seconds, streamed", **{name: f"{found:.2f}" for name, found in seconds.items()})


def observe(teacher: Teacher, images: Images, arguments: argparse.Namespace) -> Callable[[], object]:
    machine = open_machine(arguments.device, "float32", torch.get_num_threads())
    return lambda: collect_statistics(teacher, images, range(CLASSES), machine, BATCH)


def infer(teacher: Teacher, images: Images, arguments: argparse.Namespace) -> Callable[[], object]:
    machine = open_machine(arguments.device, "float32", torch.get_num_threads())
    chunks = torch.arange(len(images)).split(BATCH)

    @torch.no_grad()
    def run() -> None:
        for batch, _ in images.batches(chunks):
            teacher.logits(machine.layout(teacher.preprocessing.normalize(batch)))

    return run


if __name__ == "__main__":
    main()
