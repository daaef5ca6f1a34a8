"""A folder that is there as a whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wmdd.core.errors import RunError
from wmdd.storage.locks import CLAIM_SUFFIX, TEMPORARY_SUFFIX, claim


@contextmanager
def staged_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which becomes ``path`` when the block ends well and goes when it does not.

    Raises ``RunError`` if something is at ``path``, or if it cannot be written.
    """
    if os.path.lexists(path):
        raise RunError(f"{path} is there already: remove it, or name another with --out.")
    stage, held = (
        path.with_name(f".{path.name}{TEMPORARY_SUFFIX}"),
        claim(path.with_name(f".{path.name}{CLAIM_SUFFIX}")),
    )
    if held is None:
        raise RunError(f"{path} is being written by another process: wait for it.")
    with held:
        try:
            shutil.rmtree(stage, ignore_errors=True)  # of a process that is no more
            stage.mkdir()
            yield stage
            stage.rename(path)
        except OSError as error:
            raise RunError(f"{path} cannot be written: {error.strerror}; nothing is left of it.") from error
        finally:
            shutil.rmtree(stage, ignore_errors=True)
