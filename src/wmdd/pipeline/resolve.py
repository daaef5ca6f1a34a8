"""Every "auto" becomes a value, here and nowhere else, before anything is computed."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from wmdd.config import RunConfig, TeacherConfig
from wmdd.config.load import dotted, merge, nested, parse, to_values
from wmdd.core.errors import SettingsError
from wmdd.data import ImageSource, natural_size, open_source
from wmdd.models import Weights, default_arch, is_own, resolve_stem, try_student, try_teacher
from wmdd.runtime.device import default_device, default_precision, default_threads, find_device

_WHOLE_PATCH = 64
"""Largest side in pixels of images that are one patch, in RDED's released scripts."""

_FEW_STEPS_UP_TO = 64
"""Largest side in pixels of images for which more steps of synthesis gained nothing (docs/recipe.md)."""


def resolve(config: RunConfig, source: ImageSource) -> RunConfig:
    """``config`` with every "auto" resolved for these images and this machine, and paths made absolute.

    Raises:
        SettingsError: there are not enough images for the wanted IPC, or settings contradict one another.
    """
    config = config.with_whole_paths()
    data = replace(
        config.data,
        image_size=natural_size(source) if config.data.image_size == "auto" else config.data.image_size,
        channels=_channels(config.data.channels, source.train.channels),
        flip=source.flips if config.data.flip == "auto" else config.data.flip,
    )
    size = data.image_size
    assert isinstance(size, int)
    teacher = replace(
        config.teacher,
        arch=default_arch(size) if config.teacher.arch == "auto" else config.teacher.arch,
        stem=_stem(config.teacher, size),
    )
    device = default_device() if config.runtime.device == "auto" else config.runtime.device
    runtime = replace(
        config.runtime,
        device=device,
        precision=default_precision(device) if config.runtime.precision == "auto" else config.runtime.precision,
        threads=default_threads() if config.runtime.threads == "auto" else config.runtime.threads,
    )
    usual = default_arch(size) if is_own(teacher.arch) else teacher.arch  # an object has no untrained form
    students = tuple(dict.fromkeys(usual if name == "auto" else name for name in config.evaluation.students))
    group = config.synthesis.group_size
    if group == "auto":
        # Statistics of all classes together want many classes in a group; of each class, no more than fill a batch.
        each = 1 if config.synthesis.statistics_of == "all" else config.ipc
        group = max(1, min(len(source.class_names), config.synthesis.batch_size // each))
    steps = config.synthesis.steps
    if steps == "auto":
        steps = 200 if size <= _FEW_STEPS_UP_TO else 1000
    grid = config.synthesis.patch_grid
    if grid == "auto":
        grid = 1 if size <= _WHOLE_PATCH else 2
    resolved = replace(
        config,
        data=data,
        teacher=teacher,
        runtime=runtime,
        evaluation=replace(config.evaluation, students=students),
        synthesis=replace(
            config.synthesis,
            group_size=group,
            patch_grid=grid,
            steps=steps,
            seed=config.seed if config.synthesis.seed == "auto" else config.synthesis.seed,
        ),
    )
    _check(resolved, source)
    return resolved


_FOLLOWS: dict[str, tuple[str, ...]] = {
    "synthesis.seed": ("seed",),
    "synthesis.group_size": ("ipc", "synthesis.batch_size", "synthesis.statistics_of"),
    "synthesis.patch_grid": ("data.image_size",),
    "synthesis.steps": ("data.image_size",),
    "teacher.arch": ("data.image_size",),
    "teacher.stem": ("data.image_size", "teacher.pretrained"),
    "evaluation.students": ("data.image_size", "teacher.arch"),
}
"""What "auto" makes of a setting, and of which others."""


def loosened(begun: RunConfig, changes: Mapping[str, Any]) -> RunConfig:
    """The settings of a ``begun`` run, "auto" again where they follow from others that ``changes`` (nested) replace.

    A run keeps what "auto" came to, not that it was "auto": what is just what that would give counts as such, unless
    ``changes`` name it. So another seed is another one of the images, too.
    """
    was, given = dotted(begun), _leaves(changes)
    changed = {name for name, value in dotted(parse(merge(to_values(begun), changes))).items() if value != was[name]}
    followers = [name for name, of in _FOLLOWS.items() if name not in given and not changed.isdisjoint(of)]
    if not followers:
        return begun
    source, automatic = open_source(begun.data), dotted(RunConfig())
    loose = {
        name: automatic[name]
        for name in followers
        if dotted(resolve(parse(nested({**was, name: automatic[name]})), source))[name] == was[name]
    }
    return parse(nested({**was, **loose}))


def _leaves(values: Mapping[str, Any], prefix: str = "") -> set[str]:
    """The dotted names of what nested ``values`` set."""
    found = set[str]()
    for name, value in values.items():
        found |= _leaves(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}"}
    return found


def try_out(config: RunConfig, source: ImageSource, *, teacher_made: bool = False) -> None:
    """Find out now, not after hours, whether the machine and the networks of resolved settings can be used.

    A teacher that is ``teacher_made`` already has its weights in the run: where they came from may be gone.

    Raises:
        SettingsError: the device is absent.
        ModelError: a network or a checkpoint cannot be used with these images.
    """
    size, stem, classes = config.data.image_size, config.teacher.stem, len(source.class_names)
    assert isinstance(size, int), "settings are resolved before they are tried"
    assert stem != "auto", "settings are resolved before they are tried"
    channels = config.data.channels
    assert channels != "auto", "settings are resolved before they are tried"
    find_device(config.runtime.device)
    images = len(source.train)
    smallest_batch = images // math.ceil(images / config.teacher.batch_size)
    arch = config.teacher.arch
    if not teacher_made:
        try_teacher(arch, classes, size, stem, channels, weights_of(config.teacher), smallest_batch)
    for student in config.evaluation.students:
        if student != config.teacher.arch:
            try_student(student, classes, size, stem, channels)


def weights_of(teacher: TeacherConfig) -> Weights:
    """Where the teacher's weights come from, other than from training."""
    if teacher.pretrained:
        return "published"
    return None if teacher.checkpoint is None else Path(teacher.checkpoint)


def is_trained(teacher: TeacherConfig) -> bool:
    """Whether the teacher is trained here, as its weights come from nowhere else."""
    return weights_of(teacher) is None and not is_own(teacher.arch)


def _stem(teacher: TeacherConfig, size: int) -> Literal["small", "imagenet"]:
    if teacher.pretrained and teacher.checkpoint is not None:
        raise SettingsError("teacher.pretrained and teacher.checkpoint both name weights: give one of them.")
    if teacher.pretrained and teacher.stem == "small":
        raise SettingsError("teacher.stem is small, but published weights have another: give imagenet or auto.")
    if teacher.stem != "auto":
        return teacher.stem
    return "imagenet" if teacher.pretrained else resolve_stem(size)  # published weights are of that one


def _channels(asked: int | Literal["auto"], have: int) -> int:
    if asked == "auto" or asked == have:
        return have
    if (asked, have) != (1, 3):
        raise SettingsError(
            f"data.channels is {asked}, but the images have {have}: give that many{', or 1 for grey' * (have == 3)}."
        )
    return 1


def _check(config: RunConfig, source: ImageSource) -> None:
    counts = source.train.labels.bincount(minlength=len(source.class_names))
    smallest = int(counts.argmin())
    if config.ipc > int(counts[smallest]):
        raise SettingsError(
            f"ipc is {config.ipc}, but class {source.class_names[smallest]!r} has only {int(counts[smallest])} "
            f"training images: use at most that many."
        )
