"""Shipped settings: of datasets (``data/*.yaml``) and of methods (``methods/*.yaml``)."""

from importlib.resources import files
from typing import Any

import yaml

from wmdd.config.load import Values, merge
from wmdd.core.errors import SettingsError

OF_A_METHOD = ("barycenters", "synthesis")
"""The sections of settings in which methods differ."""


def method_presets() -> list[str]:
    """Names of the presets that say how a set is made."""
    return _names("methods")


def presets() -> list[str]:
    """Names of all presets."""
    return sorted([*_names("data"), *_names("methods")])


def read_preset(words: str) -> Values:
    """The nested values of a preset; of several, with commas between them, the later laid over the earlier.

    ``NAME-ipcN`` is preset ``NAME`` with ``N`` images per class.

    Raises:
        SettingsError: there is no such preset.
    """
    values: Values = {}
    for word in words.split(","):
        values = merge(values, _read(word.strip()))
    return values


def method_settings(name: str) -> Values:
    """What preset ``name`` says of how a set is made, without its teacher and its evaluation.

    Raises:
        SettingsError: there is no such preset.
    """
    return {section: values for section, values in read_preset(name).items() if section in OF_A_METHOD}


def shared_settings(words: str) -> Values:
    """What the presets ``words`` say of everything but how a set is made: what methods of a comparison can share.

    Raises:
        SettingsError: there is no such preset, one says only how a set is made, or how many images a class has.
    """
    values: Values = {}
    for word in map(str.strip, words.split(",")):
        mine = _read(word)
        if "ipc" in mine:
            name, _, ipc = word.rpartition("-ipc")
            raise SettingsError(f"preset {word} is {name} with {ipc} images per class: give {name}, and --ipc {ipc}.")
        shared = {section: value for section, value in mine.items() if section not in OF_A_METHOD}
        if not shared:
            raise SettingsError(f"preset {word} says only how a set is made: name it among --methods.")
        values = merge(values, shared)
    return values


def _read(word: str) -> Values:
    known = presets()
    name, _, ipc = (word, "", "") if word in known else word.rpartition("-ipc")
    if name not in known or (name != word and not (ipc.isascii() and ipc.isdecimal() and len(ipc) < 10)):
        raise SettingsError(
            f"there is no preset {word!r}: use one of {', '.join(known)}, or NAME-ipcN for N images per class."
        )
    folder = "methods" if name in method_presets() else "data"
    text = (files(__name__) / folder / f"{name}.yaml").read_text(encoding="utf-8")
    values: dict[str, Any] = yaml.safe_load(text) or {}
    return {"ipc": int(ipc), **values} if ipc else values


def _names(folder: str) -> list[str]:
    found = (path.name for path in (files(__name__) / folder).iterdir())
    return sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml"))
