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
from wmdd.pipeline.plan.line import probe_batch
from wmdd.pipeline.plan.probe import Part, Probe, Shared, Task, probe_once, repeated
from wmdd.pipeline.plan.rehearsal import Rehearsal
from wmdd.pipeline.resolve import is_trained
from wmdd.pipeline.stages.relabel import RelabelStage
from wmdd.pipeline.units import Unit
from wmdd.stages.barycenters import find_barycenters
from wmdd.stages.evaluation import LabelSource, online_labels, stored_labels, train_student
from wmdd.stages.relabel import label_epoch, plan_epoch
from wmdd.stages.scoring import score
from wmdd.stages.statistics import collect_statistics
from wmdd.stages.synthesis import SynthesisProblem, synthesize
from wmdd.stages.teacher import train_teacher
from wmdd.stages.training import Log, silent, total_steps
from wmdd.storage.images import write_png
from wmdd.storage.savepoint import Savepoint

_DECODED = 64  # real images that are read to see how long that takes
_SOLVED = 2  # classes whose barycenters are found at least
_SOLVING_SECONDS = 2.0  # for so long: more classes together take less each
_BATCHES = 8  # of images that a student, or a teacher on small batches, is trained on


@dataclass(frozen=True)
class Parts:
    """What a stage does: its ``parts``, and the bytes that it holds in a run and not in its probes.

    ``on_device`` are bytes of images, ``on_host`` of what the CPU alone sees. A unit is kept at ``savepoints`` moments.
    """

    parts: Sequence[Part]
    on_device: int = 0
    on_host: int = 0
    savepoints: int = 1


def teacher_parts(rehearsal: Rehearsal, units: Sequence[Unit]) -> Parts:
    """Reading the images, training, and scoring once."""
    config = rehearsal.config.teacher
    trains = is_trained(config)
    parts = _training(rehearsal) if trains else []
    reading = _reading(rehearsal, config.epochs if trains else 0)
    return Parts(
        [*parts, _scoring(rehearsal, config.arch, [*units]), reading],
        on_device=rehearsal.held,
        savepoints=config.epochs if trains else 1,
    )


def _saving(rehearsal: Rehearsal, task: Callable[[Log, Savepoint], object]) -> Part:
    """The memory that a savepoint takes: it is a copy of all that is trained. Its time is next to nothing."""
    with tempfile.TemporaryDirectory() as folder:
        savepoint = Savepoint(Path(folder) / "savepoint.safetensors", seconds=0.0)
        return Part(probe_once(partial(task, silent, savepoint), rehearsal.machine.device), 0)


def _training(rehearsal: Rehearsal) -> list[Part]:
    config = rehearsal.config.teacher

    def train(log: Log, savepoint: Savepoint | None, images: Images, batch: int, epochs: int) -> None:
        train_teacher(
            rehearsal.network(config.arch),
            images,
            rehearsal.preprocessing,
            replace(config, epochs=epochs, batch_size=batch),
            rehearsal.machine,
            rehearsal.config.seed,
            flip=rehearsal.work.flip,
            log=log,
            savepoint=savepoint,
        )

    steps = total_steps(config.epochs, len(rehearsal.train), config.batch_size)

    def some(images: int) -> Images:
        return rehearsal.generated(rehearsal.source.train.labels[:images])

    def task(batch: int) -> Task:
        images = rehearsal.train if batch == size else some(_BATCHES * batch)
        return partial(train, savepoint=None, images=images, batch=batch, epochs=config.epochs)

    size = min(config.batch_size, len(rehearsal.train))
    found = probe_batch(task, size, rehearsal.machine.device, divided=rehearsal.divided)
    return [
        Part(found.probe, steps, shared=Shared(found.fixed, gradient_bytes(rehearsal, config.arch))),
        _saving(rehearsal, partial(train, images=some(found.measured), batch=size, epochs=1)),
    ]


def gradient_bytes(rehearsal: Rehearsal, arch: str) -> int:
    """What a step of the network ``arch`` has to tell all processes that train it together."""
    return sum(parameter.nbytes for parameter in rehearsal.network(arch).parameters())


def _reading(rehearsal: Rehearsal, epochs: int) -> Part:
    """Decoding: each image once where they are held in memory, else in every pass."""
    split, config, size = rehearsal.source.train, rehearsal.config.data, rehearsal.work.image_size
    sample = range(0, len(split), -(-len(split) // _DECODED))
    found = probe_once(
        partial(decode_images, split, sample, size, config.workers, channels=rehearsal.work.channels),
        rehearsal.machine.device,
    )
    held = held_bytes(split, size, config) > 0
    images = (1 if held else epochs) * len(split) + len(rehearsal.source.validation)
    return Part(found, images / len(sample), shared=Shared(), everyone=held)


def _scoring(rehearsal: Rehearsal, arch: str, units: Sequence[Unit]) -> Part:
    """Scoring the networks of ``units``; a step is a batch."""
    images, size = len(rehearsal.validation), rehearsal.config.runtime.batch_size
    network = rehearsal.machine.place(rehearsal.network(arch))

    def task(batch: int) -> Task:
        sample = rehearsal.generated(rehearsal.source.validation.labels[:batch])
        return repeated(
            partial(score, network, sample, rehearsal.classes, rehearsal.preprocessing, rehearsal.machine, batch)
        )

    size = min(size, images)
    found = probe_batch(task, size, rehearsal.machine.device, divided=False)
    return Part(found.probe, len(units) * images / size, shared=Shared(), units=_names(units))


def _names(units: Sequence[Unit]) -> tuple[str, ...]:
    return tuple(unit.name for unit in units)


def statistics_parts(rehearsal: Rehearsal, units: Sequence[Unit]) -> Parts:
    """The observing pass; a step is a batch."""
    classes = units[0].covers["classes"]
    mine = sum(rehearsal.counts[k] for k in classes)

    def task(batch: int) -> Task:
        return lambda log: collect_statistics(
            rehearsal.teacher, rehearsal.train, classes, rehearsal.machine, batch, log=log
        )

    size = min(rehearsal.config.runtime.batch_size, mine)
    found = probe_batch(task, size, rehearsal.machine.device, divided=False)
    parts = [Part(found.probe, len(rehearsal.train) / size, len(units))]
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
    first = solve(few)
    again = solve(few) if first.first < _SOLVING_SECONDS else first  # which is little beside so long a time
    many = max(few, min(len(classes), round(few * _SOLVING_SECONDS / max(again.first, 1e-9))))
    found = solve(many) if many > few or again is not first else first
    found = replace(found, cold=max(0.0, first.first - again.first), peak_mb=max(first.peak_mb, found.peak_mb))
    images = sum(rehearsal.counts[k] for k in classes)
    read = statistics_bytes(rehearsal, len(classes), images)
    return Parts([Part(found, rehearsal.classes / many)], rehearsal.held, 2 * read)


def synthesis_parts(rehearsal: Rehearsal, units: Sequence[Unit]) -> Parts:
    """The optimisation of a group, and writing its images."""
    config, classes = rehearsal.config, units[0].covers["classes"]
    size = len(classes) * config.ipc
    whole = rehearsal.problem(classes, config.ipc)

    def optimise(log: Log, savepoint: Savepoint | None, problem: SynthesisProblem, steps: int) -> None:
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

    def some(images: int) -> SynthesisProblem:
        return whole if images == size else rehearsal.problem(classes[:1], images)

    def task(images: int) -> Task:
        return partial(optimise, savepoint=None, problem=some(images), steps=config.synthesis.num_steps)

    steps = config.synthesis.num_steps * rehearsal.classes / len(classes)
    found = probe_batch(task, size, rehearsal.machine.device, divided=False)
    saving = partial(optimise, problem=some(found.measured), steps=min(1, config.synthesis.num_steps))
    images = sum(rehearsal.counts[k] for k in classes)
    return Parts(
        [
            Part(found.probe, steps, len(units)),
            _saving(rehearsal, saving),
            _writing(rehearsal),
        ],
        rehearsal.held,
        2 * statistics_bytes(rehearsal, len(classes), images),
        max(1, config.synthesis.num_steps),
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
    rows = min(rehearsal.images, config.runtime.batch_size)
    parts = []
    for protocol in rehearsal.work.protocols:
        same = [unit for unit in units if unit.covers["protocol"] == protocol.name]
        if not same:
            continue

        def label(protocol: Protocol, images: torch.Tensor) -> None:
            plan = plan_epoch(
                protocol, 0, len(images), rehearsal.work.image_size, config.seed, flip=rehearsal.work.flip
            )
            label_epoch(rehearsal.teacher, images, plan, rehearsal.machine, config.runtime.batch_size)

        def task(images: int, protocol: Protocol = protocol) -> Task:
            return repeated(partial(label, protocol, _distilled(rehearsal, images)))

        found = probe_batch(task, rows, rehearsal.machine.device, divided=False)
        steps = sum(epochs_of(unit) for unit in same) * rehearsal.images / rows
        parts.append(Part(found.probe, steps, units=_names(same)))
    largest = max((label_bytes(rehearsal, unit) for unit in units), default=0)
    return Parts(parts, rehearsal.held + rehearsal.images * rehearsal.image_bytes, 2 * largest)


def epochs_of(unit: Unit) -> int:
    """How many epochs a unit of labels has."""
    first, last = unit.covers["epochs"]
    return int(last - first)


def _distilled(rehearsal: Rehearsal, rows: int) -> torch.Tensor:
    """As many images as ``rows``, in place of a distilled set."""
    return rehearsal.train.take(torch.arange(rows))


def evaluation_parts(rehearsal: Rehearsal, units: Sequence[Unit]) -> Parts:
    """A student of each protocol and network, and its score."""
    parts = []
    for protocol in rehearsal.work.protocols:
        for student in rehearsal.config.evaluation.students:
            same = [u for u in units if u.covers["protocol"] == protocol.name and u.covers["student"] == student]
            parts += [*_student(rehearsal, protocol, student, same), _scoring(rehearsal, student, same)]
    sets = 2 if rehearsal.config.evaluation.random_real else 1
    return Parts(
        parts,
        rehearsal.held + sets * rehearsal.images * rehearsal.image_bytes,
        2 * labels_of_an_epoch(rehearsal),  # what is read, and the tensor made of it
        min(protocol.epochs for protocol in rehearsal.work.protocols),
    )


def _student(rehearsal: Rehearsal, protocol: Protocol, student: str, units: Sequence[Unit]) -> list[Part]:
    config = rehearsal.config

    def train(log: Log, savepoint: Savepoint | None, rows: int, batch: int, epochs: int) -> None:
        train_student(
            rehearsal.network(student),
            _distilled(rehearsal, rows),
            torch.arange(rows) % rehearsal.classes,
            torch.full((rows,), 1 / config.ipc),
            _label_source(rehearsal, protocol, rows),
            replace(protocol, epochs=epochs, batch_size=batch),
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

    def task(batch: int) -> Task:
        rows = min(rehearsal.images, _BATCHES * batch)
        return partial(train, savepoint=None, rows=rows, batch=batch, epochs=protocol.epochs)

    size = min(rehearsal.images, protocol.batch_size)
    found = probe_batch(task, size, rehearsal.machine.device, divided=rehearsal.divided)
    shared = Shared(found.fixed, gradient_bytes(rehearsal, student))
    return [
        Part(found.probe, len(units) * steps, len(units), shared, _names(units)),
        _saving(rehearsal, partial(train, rows=found.measured, batch=size, epochs=1)),
    ]


def _label_source(rehearsal: Rehearsal, protocol: Protocol, rows: int) -> LabelSource:
    if rehearsal.config.evaluation.labels == "online":
        return online_labels(rehearsal.teacher, rehearsal.machine)
    return stored_labels(torch.zeros(1, 1, rehearsal.classes).half().expand(protocol.epochs, rows, -1))


def labels_of_a_set(rehearsal: Rehearsal) -> int:
    """The most bytes of soft labels that a student reads."""
    found: dict[tuple[str, str], int] = {}
    for unit in RelabelStage().units(rehearsal.work):
        which = unit.covers["protocol"], unit.covers["images"]
        found[which] = found.get(which, 0) + label_bytes(rehearsal, unit)
    return max(found.values(), default=0)


def labels_of_an_epoch(rehearsal: Rehearsal) -> int:
    """The most bytes of soft labels that a student holds at a time."""
    units = RelabelStage().units(rehearsal.work)
    return max((label_bytes(rehearsal, unit) // epochs_of(unit) for unit in units), default=0)
