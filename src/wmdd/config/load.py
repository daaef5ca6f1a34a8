"""Settings from and to YAML and command-line words; every fault becomes one plain sentence."""

import dataclasses
import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml

from wmdd.config.run import RunConfig
from wmdd.core.errors import SettingsError

Values = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """One setting, by its dotted name."""

    name: str
    default: Any
    help: str
    flag: str | None
    choices: tuple[str, ...]
    many: bool


def settings() -> Iterator[Setting]:
    """All settings of a run, in the order of the dataclasses."""
    yield from _settings_of(RunConfig, "")


def _settings_of(kind: type, prefix: str) -> Iterator[Setting]:
    hints = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if field.default is dataclasses.MISSING:
            yield from _settings_of(hints[field.name], f"{field.name}.")
            continue
        words = tuple(word for word in get_args(hints[field.name]) if isinstance(word, str))
        yield Setting(
            name=f"{prefix}{field.name}",
            default=field.default,
            help=field.metadata["help"],
            flag=field.metadata["flag"],
            choices=words,
            many=isinstance(field.default, tuple),
        )


def parse(values: Mapping[str, Any], origin: str = "settings") -> RunConfig:
    """Validated settings from nested ``values``; what is not given has its default.

    Raises:
        SettingsError: a key is unknown (the nearest known one is suggested) or a value has the wrong type or range.
    """
    # pydantic takes 0.1 s to import, which --help need not pay.
    from pydantic import TypeAdapter, ValidationError

    _refuse_unknown(values, RunConfig, "", origin)
    try:
        return TypeAdapter(RunConfig).validate_python(dict(values))
    except ValidationError as error:
        raise SettingsError(f"{origin}: {_sentence(error.errors())}") from None


def _refuse_unknown(values: Any, kind: type, prefix: str, origin: str) -> None:
    if not isinstance(values, Mapping):
        raise SettingsError(
            f"{origin}: {prefix.rstrip('.') or 'the file'} must be a mapping of settings, not {values!r}."
        )
    hints = get_type_hints(kind)
    for key, value in values.items():
        if key not in hints:
            close = difflib.get_close_matches(str(key), hints, n=1)
            hint = f"did you mean {prefix}{close[0]}?" if close else f"known here are {', '.join(hints)}."
            raise SettingsError(f"{origin}: {prefix}{key} is not a setting; {hint}")
        if dataclasses.is_dataclass(hints[key]):
            _refuse_unknown(value, hints[key], f"{prefix}{key}.", origin)


def _sentence(errors: Any) -> str:
    known = {setting.name for setting in settings()}
    name = ""
    for part in errors[0]["loc"]:
        if name in known:
            break
        name = f"{name}.{part}" if name else str(part)
    reasons = dict.fromkeys(
        entry["msg"].removeprefix("Value error, ").replace("Input should be", "it should be")
        for entry in errors
        if entry["loc"][: len(name.split("."))] == errors[0]["loc"][: len(name.split("."))]
    )
    given = "" if name not in known else f" is {errors[0]['input']!r}, but"
    return f"{name}{given or ':'} {', or '.join(reason[0].lower() + reason[1:] for reason in reasons)}."


def read_yaml(path: Path) -> Values:
    """The nested values of a settings file.

    Raises:
        SettingsError: the file is missing or not YAML.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"settings file {path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"settings file {path} is not YAML ({' '.join(str(error).split())}).") from error
    if values is not None and not isinstance(values, dict):
        raise SettingsError(f"settings file {path} must hold a mapping of settings, not {type(values).__name__}.")
    return values or {}


def presets() -> list[str]:
    """Names of the shipped presets."""
    return sorted(
        path.name.removesuffix(".yaml")
        for path in files("wmdd.config.presets").iterdir()
        if path.name.endswith(".yaml")
    )


def read_preset(name: str) -> Values:
    """The nested values of a shipped preset.

    Raises:
        SettingsError: there is no such preset.
    """
    if name not in presets():
        raise SettingsError(f"there is no preset {name!r}: use one of {', '.join(presets())}.")
    return yaml.safe_load((files("wmdd.config.presets") / f"{name}.yaml").read_text(encoding="utf-8")) or {}


def to_values(config: RunConfig) -> Values:
    """The nested plain values of ``config``."""
    return {key: _plain(value) for key, value in dataclasses.asdict(config).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return list(value) if isinstance(value, tuple) else value


def to_yaml(config: RunConfig) -> str:
    """``config`` as a settings file."""
    text: str = yaml.safe_dump(to_values(config), sort_keys=False, allow_unicode=True)
    return text


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> Values:
    """``base`` with ``changes`` laid over it, section by section."""
    merged = dict(base)
    for key, value in changes.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, Mapping) else value
    return merged


def nested(dotted: Mapping[str, Any]) -> Values:
    """``{"synthesis.steps": 3}`` as ``{"synthesis": {"steps": 3}}``."""
    values: Values = {}
    for name, value in dotted.items():
        *sections, last = name.split(".")
        place = values
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return values


def dotted(config: RunConfig) -> Values:
    """``config`` as a flat mapping from dotted names to plain values."""
    flat: Values = {}
    for key, value in to_values(config).items():
        flat |= {f"{key}.{name}": entry for name, entry in value.items()} if isinstance(value, dict) else {key: value}
    return flat
