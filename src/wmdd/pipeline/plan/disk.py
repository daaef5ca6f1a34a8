"""The bytes that stages leave on disk, from the shapes of their artifacts."""

from wmdd.core.records import STAGES
from wmdd.pipeline.plan.rehearsal import Rehearsal
from wmdd.pipeline.units import Unit
from wmdd.stages.barycenters import CURVE_IPC

_SCORE, _SCORE_OF_A_CLASS = 900, 16  # bytes of JSON


def disk_bytes(rehearsal: Rehearsal, units: dict[str, list[Unit]]) -> dict[str, int]:
    """Bytes of each stage's artifacts. Images count as if PNG did not compress them: those of synthesis hardly are."""
    made = (
        network_bytes(rehearsal),
        statistics_bytes(rehearsal, rehearsal.classes, len(rehearsal.source.train)),
        _barycenters(rehearsal),
        _synthesis(rehearsal),
        sum(label_bytes(rehearsal, unit) for unit in units["relabel"]),
        len(units["evaluation"]) * (_SCORE + _SCORE_OF_A_CLASS * rehearsal.classes),
    )
    return dict(zip(STAGES, made, strict=True))


def network_bytes(rehearsal: Rehearsal) -> int:
    """The teacher's weights and buffers."""
    return sum(tensor.nbytes for tensor in rehearsal.teacher.network.state_dict().values())


def statistics_bytes(rehearsal: Rehearsal, classes: int, images: int) -> int:
    """Features and index of ``images``, and float64 means and variances of ``classes``."""
    return images * (4 * rehearsal.width + 8) + classes * 2 * 8 * sum(rehearsal.layers.values())


def _barycenters(rehearsal: Rehearsal) -> int:
    """Atoms, weights, and per class the cost, its history and its curve."""
    of_a_class = 8 * (2 + rehearsal.config.barycenters.iterations + len(CURVE_IPC))
    return rehearsal.images * 4 * (rehearsal.width + 1) + rehearsal.classes * of_a_class


def _synthesis(rehearsal: Rehearsal) -> int:
    """The images and the nearest real ones, features, logits, index and distance."""
    return rehearsal.images * (2 * rehearsal.image_bytes + 4 * (rehearsal.width + rehearsal.classes) + 12)


def label_bytes(rehearsal: Rehearsal, unit: Unit) -> int:
    """A unit of soft labels: logits, box, flip, and where views are mixed partner and box."""
    protocol = rehearsal.work.protocol(unit.covers["protocol"])
    first, last = map(int, unit.covers["epochs"])
    logits = 4 + rehearsal.classes / 2 if unit.covers.get("form") == "compact" else 2 * rehearsal.classes
    of_a_view = logits + 8 + 1 + (4 + 8 if protocol.cutmix else 0)
    return round((last - first) * rehearsal.images * of_a_view)
