"""A run's group size once it has begun: it stays what it was, and is halved where a GPU's memory runs out."""

from wmdd.config import RunConfig
from wmdd.core.errors import RunError
from wmdd.pipeline.group_size import group_of, with_group
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.storage.json import read_json, write_json


def as_begun(run: RunDirectory, asked: RunConfig) -> RunConfig:
    """``asked``, with the group size of the begun ``run`` where what is asked for came to that.

    An automatic group stays what it was, however much memory there is today; one that was lowered stays lowered.
    """
    begun = run.config()
    size, wanted = begun.synthesis.group_size, asked.synthesis.group_size
    if size == "auto":  # edited by hand
        return asked
    alike = (asked.ipc, asked.synthesis.batch_size) == (begun.ipc, begun.synthesis.batch_size)
    if (wanted == "auto" and (alike or run.records("synthesis"))) or wanted == _lowered_from(run):
        return with_group(asked, size)
    return asked


def halve_group(run: RunDirectory, config: RunConfig) -> RunConfig | None:
    """Discard what was made with the group size and write down half of it.

    None where it is one class, or where the group is part of the method.

    Raises:
        RunError: other processes are making groups of that size. Nothing has changed.
    """
    size, written = group_of(config), group_of(run.config())
    if written < size:  # another process was first
        return with_group(config, written)
    if size == 1 or config.synthesis.statistics_of == "all":
        return None
    first = _lowered_from(run) or size
    smaller = with_group(config, size // 2)
    try:
        run.discard("synthesis")
    except RunError as error:
        raise RunError(f"a GPU's memory does not hold groups of {size} classes, and {error}") from error
    # The settings last: whoever is cut off before them begins with the whole group again, and comes here again.
    write_json(run.folder("synthesis") / _NAME, {"from": first, "to": group_of(smaller)})
    run.write_config(smaller)
    return smaller


def refuse_another_group(run: RunDirectory, config: RunConfig) -> None:
    """Refuse to keep what was made with a group size that another process has lowered meanwhile."""
    if group_of(run.config()) != group_of(config):
        raise RunError(
            f"another process has lowered synthesis.group_size of {run.path} meanwhile, as its memory ran out: "
            "the same command goes on with the new one."
        )


_NAME = "lowered.json"


def _lowered_from(run: RunDirectory) -> int | None:
    """The group size that was asked for before any memory ran out; None where it never has."""
    path = run.folder("synthesis") / _NAME
    return int(read_json(path)["from"]) if path.is_file() else None
