"""The parts of each stage: its very functions, on a rehearsal's shapes, and how often a run does them."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from wmdd.config import Protocol
from wmdd.data import Images, held_bytes
from wmdd.data.parallel import decode_images
from wmdd.pipeline.plan.disk import label_bytes, statistics_bytes
from wmdd.pipeline.plan.probe import Part, Probe, probe, probe_once, repeated
from wmdd.pipeline.plan.rehearsal import Rehearsal
from wmdd.pipeline.resolve import is_trained
from wmdd.pipeline.stages.relabel import RelabelStage
from wmdd.pipeline.units import Unit
from wmdd.stages.barycenters import find_barycenters
from wmdd.stages.evaluation import LabelSource, online_labels, stored_labels, train_student
from wmdd.stages.relabel import label_epoch, plan_epoch
from wmdd.stages.scoring import score
from wmdd.stages.statistics import collect_statistics
from wmdd.stages.synthesis import synthesize
from wmdd.stages.teacher import train_teacher
from wmdd.stages.training import Log, silent, total_steps
from wmdd.storage.images import write_png
from wmdd.storage.savepoint import Savepoint

_DECODED = 64  # real images that are read to see how long that takes
_SOLVED = 2  # classes whose barycenters are found at least
_SOLVING_SECONDS = 2.0  # for so long: more classes together take less each
_STUDENT_BATCHES = 8  # of images that a student is trained on


@dataclass(frozen=True)
class Parts:
    """What a stage does: its ``parts``, and the bytes that it holds in a run and not in its probes.

    ``on_device`` are bytes of images, ``on_host`` of what the CPU alone sees.
    """

    parts: Sequence[Part]
    on_device: int = 0
    on_host: int = 0


def teacher_parts(rehearsal: Rehearsal, units: Sequence[Unit]) -> Parts:
    """Reading the images, training, and scoring once."""
    config = rehearsal.config.teacher
    trains = is_trained(config)
    parts = _training(rehearsal) if trains else []
    reading = _reading(rehearsal, config.epochs if trains else 0)
    return Parts([*parts, _scoring(rehearsal, config.arch, 1), reading], on_device=rehearsal.held)


def _saving(rehearsal: Rehearsal, task: Callable[[Log, Savepoint], object]) -> Part:
    """The memory that a savepoint takes: it is a copy of all that is trained. Its time is next to nothing."""
    with tempfile.TemporaryDirectory() as folder:
        savepoint = Savepoint(Path(folder) / "savepoint.safetensors", seconds=0.0)
        return Part(probe_once(partial(task, silent, savepoint), rehearsal.machine.device), 0)


def _training(rehearsal: Rehearsal) -> list[Part]:
    config = rehearsal.config.teacher
    batch = rehearsal.generated(rehearsal.source.train.labels[: config.batch_size])

    def train(log: Log, savepoint: Savepoint | None, images: Images, epochs: int) -> None:
        train_teacher(
            rehearsal.network(config.arch),
            images,
            rehearsal.preprocessing,
            replace(config, epochs=epochs),
            rehearsal.machine,
            rehearsal.config.seed,
            flip=rehearsal.work.flip,
            log=log,
            savepoint=savepoint,
        )

    steps = total_steps(config.epochs, len(rehearsal.train), config.batch_size)
    whole = partial(train, savepoint=None, images=rehearsal.train, epochs=config.epochs)
    return [
        Part(probe(whole, rehearsal.machine.device), steps),
        _saving(rehearsal, partial(train, images=batch, epochs=1)),
    ]


def _reading(rehearsal: Rehearsal, epochs: int) -> Part:
    """Decoding: each image once where they are held in memory, else in every pass."""
    split, config, size = rehearsal.source.train, rehearsal.config.data, rehearsal.work.image_size
    sample = range(0, len(split), -(-len(split) // _DECODED))
    found = probe_once(
        partial(decode_images, split, sample, size, config.workers, channels=rehearsal.work.channels),
        rehearsal.machine.device,
    )
    passes = 1 if held_bytes(split, size, config) else epochs
    images = passes * len(split) + len(rehearsal.source.validation)
    return Part(found, images / len(sample))


def _scoring(rehearsal: Rehearsal, arch: str, networks: int) -> Part:
    """Scoring ``networks`` networks; a step is a batch."""
    images, batch = len(rehearsal.validation), rehearsal.config.evaluation.batch_size
    network = rehearsal.machine.place(rehearsal.network(arch))
    sample = rehearsal.generated(rehearsal.source.validation.labels[:batch])
    task = partial(score, network, sample, rehearsal.classes, rehearsal.preprocessing, rehearsal.machine, batch)
    return Part(probe(repeated(task), rehearsal.machine.device), networks * images / len(sample))


def statistics_parts(rehearsal: Rehearsal, units: Sequence[Unit]) -> Parts:
    """The observing pass; a step is a batch."""
    classes = units[0].covers["classes"]
    batch = rehearsal.config.evaluation.batch_size
    mine = sum(rehearsal.counts[k] for k in classes)

    def observe(log: Log) -> None:
        collect_statistics(rehearsal.teacher, rehearsal.train, classes, rehearsal.machine, batch, log=log)

    steps = len(rehearsal.train) / min(batch, mine)
    parts = [Part(probe(observe, rehearsal.machine.device), steps, len(units))]
    if not held_bytes(rehearsal.source.train, rehearsal.work.image_size, rehearsal.config.data):
        parts.append(_reading(rehearsal, 1))
    return Parts(parts, rehearsal.held, 2 * statistics_bytes(rehearsal, len(classes), mine))


def barycenter_parts(rehearsal: Rehearsal, units: Sequence[Unit]) -> Parts:
    """The solver, on generated features of a few classes; a step is a class."""
    classes, config, device = units[0].covers["classes"], rehearsal.config, rehearsal.machine.device

    def solve(count: int) -> Probe:
        mine = classes[:count]
        statistics = rehearsal.statistics(mine)
        task = partial(find_barycenters, statistics, mine, config.ipc, config.barycenters, config.seed, device=device)
        return probe_once(task, device)

    # Found three times: what the first time takes besides (imports) a run pays once, however many classes it has.
    few = min(_SOLVED, len(classes))
    first, again = solve(few), solve(few)
    many = max(few, min(len(classes), round(few * _SOLVING_SECONDS / max(again.first, 1e-9))))
    found = solve(many)
    found = replace(found, cold=max(0.0, first.first - again.first), peak_mb=max(first.peak_mb, found.peak_mb))
    images = sum(rehearsal.counts[k] for k in classes)
    read = statistics_bytes(rehearsal, len(classes), images)
    return Parts([Part(found, rehearsal.classes / many)], rehearsal.held, 2 * read)


def synthesis_parts(rehearsal: Rehearsal, units: Sequence[Unit]) -> Parts:
    """The optimisation of a group, and writing its images."""
    config, classes = rehearsal.config, units[0].covers["classes"]
    problem = rehearsal.problem(classes, config.ipc)

    def optimise(log: Log, savepoint: Savepoint | None, steps: int) -> None:
        synthesize(
            rehearsal.teacher,
            problem,
            replace(config.synthesis, steps=steps),
            rehearsal.machine,
            config.seed,
            flip=rehearsal.work.flip,
            log=log,
            savepoint=savepoint,
        )

    steps = config.synthesis.steps * rehearsal.classes / len(classes)
    whole = partial(optimise, savepoint=None, steps=config.synthesis.steps)
    images = sum(rehearsal.counts[k] for k in classes)
    return Parts(
        [
            Part(probe(whole, rehearsal.machine.device), steps, len(units)),
            _saving(rehearsal, partial(optimise, steps=min(1, config.synthesis.steps))),
            _writing(rehearsal),
        ],
        rehearsal.held,
        2 * statistics_bytes(rehearsal, len(classes), images),
    )


def _writing(rehearsal: Rehearsal) -> Part:
    """Writing the images, outside any run; a step is an image."""
    with tempfile.TemporaryDirectory() as folder:
        task = partial(write_png, Path(folder) / "image.png", _distilled(rehearsal, 1)[0])
        for _ in range(2):  # the first also imports what writes images
            found = probe_once(task, rehearsal.machine.device)
    return Part(found, rehearsal.images)


def relabel_parts(rehearsal: Rehearsal, units: Sequence[Unit]) -> Parts:
    """Views and labels of each protocol; a step is a batch."""
    config = rehearsal.config
    rows = min(rehearsal.images, config.evaluation.batch_size)
    images = _distilled(rehearsal, rows)
    parts = []
    for protocol in rehearsal.work.protocols:
        epochs = [unit.covers["epochs"] for unit in units if unit.covers["protocol"] == protocol.name]
        if not epochs:
            continue

        def label(protocol: Protocol = protocol) -> None:
            plan = plan_epoch(protocol, 0, rows, rehearsal.work.image_size, config.seed, flip=rehearsal.work.flip)
            label_epoch(rehearsal.teacher, images, plan, rehearsal.machine, config.evaluation.batch_size)

        steps = sum(last - first for first, last in epochs) * rehearsal.images / rows
        parts.append(Part(probe(repeated(label), rehearsal.machine.device), steps))
    largest = max((label_bytes(rehearsal, unit) for unit in units), default=0)
    return Parts(parts, rehearsal.held + rehearsal.images * rehearsal.image_bytes, 2 * largest)


def _distilled(rehearsal: Rehearsal, rows: int) -> torch.Tensor:
    """As many images as ``rows``, in place of a distilled set."""
    return rehearsal.train.take(torch.arange(rows))


def evaluation_parts(rehearsal: Rehearsal, units: Sequence[Unit]) -> Parts:
    """A student of each protocol and network, and its score."""
    parts = []
    for protocol in rehearsal.work.protocols:
        for student in rehearsal.config.evaluation.students:
            same = [u for u in units if u.covers["protocol"] == protocol.name and u.covers["student"] == student]
            parts += [*_student(rehearsal, protocol, student, len(same)), _scoring(rehearsal, student, len(same))]
    return Parts(parts, rehearsal.held + rehearsal.images * rehearsal.image_bytes, 2 * _labels_of_a_set(rehearsal))


def _student(rehearsal: Rehearsal, protocol: Protocol, student: str, count: int) -> list[Part]:
    config = rehearsal.config
    few = min(rehearsal.images, protocol.batch_size)
    many = min(rehearsal.images, _STUDENT_BATCHES * protocol.batch_size)

    def train(log: Log, savepoint: Savepoint | None, rows: int, epochs: int) -> None:
        train_student(
            rehearsal.network(student),
            _distilled(rehearsal, rows),
            torch.arange(rows) % rehearsal.classes,
            torch.full((rows,), 1 / config.ipc),
            _label_source(rehearsal, protocol, rows),
            replace(protocol, epochs=epochs),
            partial(
                plan_epoch,
                protocol,
                count=rows,
                size=rehearsal.work.image_size,
                seed=config.seed,
                flip=rehearsal.work.flip,
            ),
            rehearsal.preprocessing,
            rehearsal.machine,
            config.seed,
            log=log,
            savepoint=savepoint,
        )

    steps = total_steps(protocol.epochs, rehearsal.images, protocol.batch_size)
    whole = partial(train, savepoint=None, rows=many, epochs=protocol.epochs)
    return [
        Part(probe(whole, rehearsal.machine.device), count * steps, count),
        _saving(rehearsal, partial(train, rows=few, epochs=1)),
    ]


def _label_source(rehearsal: Rehearsal, protocol: Protocol, rows: int) -> LabelSource:
    if rehearsal.config.evaluation.labels == "online":
        return online_labels(rehearsal.teacher, rehearsal.machine)
    return stored_labels(torch.zeros(1, 1, rehearsal.classes).half().expand(protocol.epochs, rows, -1))


def _labels_of_a_set(rehearsal: Rehearsal) -> int:
    """The most bytes of soft labels that a student reads."""
    found: dict[tuple[str, str], int] = {}
    for unit in RelabelStage().units(rehearsal.work):
        which = unit.covers["protocol"], unit.covers["images"]
        found[which] = found.get(which, 0) + label_bytes(rehearsal, unit)
    return max(found.values(), default=0)
