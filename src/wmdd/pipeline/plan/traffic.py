"""The bytes that processes read from the folders that they share (the run's and the images') and write there."""

from collections.abc import Mapping, Sequence

from wmdd.core.records import STAGES
from wmdd.data import Split, held_bytes
from wmdd.pipeline.plan.disk import network_bytes
from wmdd.pipeline.plan.parts import labels_of_a_set
from wmdd.pipeline.plan.rehearsal import Rehearsal
from wmdd.pipeline.resolve import is_trained, weights_of
from wmdd.pipeline.units import Unit, classes_per_pass


def folder_bytes(
    rehearsal: Rehearsal, units: Mapping[str, Sequence[Unit]], disk: Mapping[str, int], workers: int
) -> dict[str, int]:
    """Bytes of each stage, of all ``workers`` together; savepoints and records, which are small or seldom, aside.

    Images that fit into memory are read once by each process, others in every pass by those that divide it.
    """
    config, train, validation = rehearsal.config.teacher, rehearsal.source.train, rehearsal.source.validation
    network, distilled = network_bytes(rehearsal), rehearsal.images * rehearsal.image_bytes
    students, each = len(units["evaluation"]), classes_per_pass(rehearsal.classes)

    def first(split: Split, passes: int) -> int:
        return _bytes_of(rehearsal, split) * (passes if _streamed(rehearsal, split) else workers)

    def again(split: Split, images: int) -> int:
        return _bytes_of(rehearsal, split) * images // len(split) if _streamed(rehearsal, split) else 0

    trained = first(train, config.epochs) if is_trained(config) else 0
    read = (
        (network if weights_of(config) else 0) + trained + first(validation, 1),
        workers * network + (again(train, len(train)) if trained else first(train, 1)),
        disk["statistics"],
        # Each unit reads whole files of statistics; images begin as real ones, and are shown beside real ones.
        (disk["statistics"] + disk["barycenters"]) * _files(units["synthesis"], each) // len(units["statistics"])
        + again(train, 2 * rehearsal.images),
        workers * distilled if units["relabel"] else 0,
        workers * distilled + students * (labels_of_a_set(rehearsal) + again(validation, len(validation))),
    )
    return {stage: disk[stage] + mine for stage, mine in zip(STAGES, read, strict=True)}


def _bytes_of(rehearsal: Rehearsal, split: Split) -> int:
    """The files of a split; what is in no files of its own counts as if it were not compressed."""
    if rehearsal.config.data.source == "digits":  # embedded
        return 0
    sizes = [stamp for stamp in split.stamps if isinstance(stamp, int)]
    return sum(sizes) if len(sizes) == len(split) else len(split) * rehearsal.image_bytes


def _streamed(rehearsal: Rehearsal, split: Split) -> bool:
    return not held_bytes(split, rehearsal.work.image_size, rehearsal.config.data)


def _files(units: Sequence[Unit], each: int) -> int:
    """How many files of ``each`` so many classes the units read: those of their own."""
    return sum(len({k // each for k in unit.covers["classes"]}) for unit in units)
