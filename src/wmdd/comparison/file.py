"""``comparison.yaml``: what is compared in a folder."""

from pathlib import Path

from wmdd.comparison.methods import check_method
from wmdd.comparison.settings import Comparison
from wmdd.config.load import dump, read_mapping
from wmdd.core.errors import RunError, SettingsError
from wmdd.storage.atomic import write_text
from wmdd.storage.locks import CLAIM_SUFFIX, TEMPORARY_SUFFIX

TEACHER = "teacher"
"""The folder, in a comparison's, of the run that teacher and statistics are taken from."""


def _path(folder: Path) -> Path:
    return folder / "comparison.yaml"


def read_comparison(folder: Path) -> Comparison | None:
    """The comparison in ``folder``; None where none has begun.

    Raises:
        RunError: something else is there, or the file is damaged or has settings that are none.
    """
    path = _path(folder)
    if not path.is_file():
        # A teacher alone is what a comparison leaves that was cut off at its very beginning.
        if not folder.exists() or (folder.is_dir() and all(map(_is_ours, folder.iterdir()))):
            return None
        if not path.is_file():  # still: another process may have begun it between the two looks
            raise RunError(f"{folder} holds something else than a comparison: name an empty or a new folder.")
    try:
        values = read_mapping(path)
        found = Comparison(values["settings"], values["methods"], tuple(values["ipc"]), values["seeds"])
        if not all(isinstance(number, int) and number > 0 for number in (*found.ipc, found.seeds)):
            raise ValueError
        for name, settings in found.methods.items():
            check_method(name, settings, f"method {name!r}")
        list(map(found.config_of, found.members()))
    except SettingsError as error:
        raise RunError(f"{path} is damaged, or of another version of wmdd: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{path} is damaged: begin the comparison again in a new folder.") from error
    return found


def _is_ours(path: Path) -> bool:
    return path.name == TEACHER or path.name.endswith((TEMPORARY_SUFFIX, CLAIM_SUFFIX))


def write_comparison(folder: Path, comparison: Comparison) -> None:
    """Keep what is compared, with the settings that all share in full."""
    values = {
        "settings": comparison.settings,
        "methods": dict(comparison.methods),
        "ipc": list(comparison.ipc),
        "seeds": comparison.seeds,
    }
    write_text(_path(folder), dump(values))
