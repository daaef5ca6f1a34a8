"""Settings from and to YAML and command-line words; every fault becomes one plain sentence."""

import dataclasses
import difflib
import math
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import yaml

from wmdd.config.describe import choices, describe, takes_bool
from wmdd.config.run import RunConfig
from wmdd.core.bounded import SETTINGS, read_given
from wmdd.core.errors import SettingsError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Values = dict[str, Any]

_MOST = 1_000_000_000
"""The largest whole number a setting may be, seeds excepted: what is counted must fit into memory and integers."""

_SHOWN = 200  # characters of what the user wrote, in a sentence about it

_repr = reprlib.Repr()
_repr.maxlevel = 2  # aliases can make a short YAML text endless
_repr.maxstring = _repr.maxother = _SHOWN


@dataclass(frozen=True)
class Setting:
    """One setting, by its dotted name."""

    name: str
    default: Any
    help: str
    flag: str | None
    many: bool
    choices: str
    """Its values in words where they can be listed, else empty."""

    @property
    def shown(self) -> str:
        """The default as YAML and the command line take it; several with commas between them."""
        values = self.default if self.many else (self.default,)
        return ", ".join("null" if v is None else str(v).lower() if isinstance(v, bool) else str(v) for v in values)


def settings() -> Iterator[Setting]:
    """All settings of a run, in the order of the dataclasses."""
    yield from _settings_of(RunConfig, "")


def _settings_of(kind: type, prefix: str) -> Iterator[Setting]:
    hints = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if field.default is dataclasses.MISSING:
            yield from _settings_of(hints[field.name], f"{field.name}.")
            continue
        yield Setting(
            name=f"{prefix}{field.name}",
            default=field.default,
            help=field.metadata["help"],
            flag=field.metadata["flag"],
            many=isinstance(field.default, tuple),
            choices=choices(hints[field.name]),
        )


def parse(values: Mapping[str, Any], origin: str = "settings") -> RunConfig:
    """Validated settings from nested ``values``; what is not given has its default.

    Raises:
        SettingsError: a key is unknown (the nearest known one is suggested) or a value has the wrong type or range.
    """
    from pydantic import ValidationError

    _refuse_unknown(values, RunConfig, "", origin)
    try:
        config = _checker().validate_python(dict(values))
    except ValidationError as error:
        (first, *_) = error.errors()
        raise SettingsError(f"{origin}: {_sentence(first, values)}.") from None
    _refuse_endless(config, origin)
    return config


@cache
def _checker() -> "TypeAdapter[RunConfig]":
    """What checks settings: made once, for it takes longer to make than to use."""
    from pydantic import TypeAdapter  # 0.1 s, which --help need not pay

    return TypeAdapter(RunConfig)


def _refuse_unknown(values: Any, kind: type, prefix: str, origin: str) -> None:
    if not isinstance(values, Mapping):
        raise SettingsError(
            f"{origin}: {prefix.rstrip('.') or 'the file'} must be a mapping of settings, not {_repr.repr(values)}."
        )
    hints = get_type_hints(kind, include_extras=True)
    for key, value in values.items():
        if key not in hints:
            close = difflib.get_close_matches(str(key)[:_SHOWN], hints, n=1)
            hint = f"did you mean {prefix}{close[0]}?" if close else f"known here are {', '.join(hints)}."
            raise SettingsError(f"{origin}: {prefix}{_short(str(key))} is not a setting; {hint}")
        if dataclasses.is_dataclass(hints[key]):
            _refuse_unknown(value, hints[key], f"{prefix}{key}.", origin)
        elif isinstance(value, bool) and not takes_bool(hints[key]):  # pydantic would take true for 1
            raise SettingsError(f"{origin}: {_wrong(prefix + key, value, hints[key])}.")


def _sentence(error: Any, values: Mapping[str, Any]) -> str:
    """One of pydantic's errors, in our words: a dataclass's own complaint, or what the setting should be."""
    if error["type"] == "value_error":
        return _short(str(error["ctx"]["error"]))
    kind: Any = RunConfig
    value: Any = values
    name = ""
    for part in error["loc"]:
        if not dataclasses.is_dataclass(kind):
            break
        kind = get_type_hints(kind, include_extras=True)[part]
        value, name = value[part], f"{name}.{part}".removeprefix(".")
    return _wrong(name, value, kind)


def _short(text: str) -> str:
    """``text`` without its middle where it is long: a name or a list of the user's may be of any length."""
    return text if len(text) <= 2 * _SHOWN else f"{text[:_SHOWN]} ... {text[-_SHOWN:]}"


def _wrong(name: str, value: Any, kind: Any) -> str:
    finite = not isinstance(value, float) or math.isfinite(value)
    wanted = describe(kind) if finite else describe(kind).replace("a number", "a finite number")
    return f"{name} is {_repr.repr(value)}, but it should be {wanted}"


def _refuse_endless(config: RunConfig, origin: str) -> None:
    for name, value in dotted(config).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise SettingsError(f"{origin}: {name} is {value}, but it should be a finite number.")
        if isinstance(value, int) and value > _MOST and not name.endswith("seed"):
            raise SettingsError(f"{origin}: {name} is {_repr.repr(value)}, but it should be at most {_MOST}.")


_DEEPEST = 20  # brackets within brackets
_MERGED = 10_000  # entries that all merge keys (<<) of a file may lay into mappings
_DIGITS = 100  # of a whole number that is not decimal: one of more in base 60 (1:30:00) would take hours to make


class _Loader(yaml.SafeLoader):
    """YAML's plain types; a key given twice is an error, as the first of the two would have no effect.

    What a short text could keep the library busy with for hours, or fill the memory with, is an error too.
    """

    merged = 0

    def fetch_flow_collection_start(self, TokenClass: Any) -> None:  # noqa: N803
        if self.flow_level >= _DEEPEST:  # each token looks at all brackets that are open
            raise yaml.scanner.ScannerError(None, None, "it is nested too deeply", self.get_mark())
        super().fetch_flow_collection_start(TokenClass)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
                for source in sources:
                    if isinstance(source, yaml.MappingNode):
                        self.flatten_mapping(source)
                        self.merged += len(source.value)
                    if self.merged > _MERGED:
                        raise yaml.constructor.ConstructorError(None, None, "it merges too much", key.start_mark)
        super().flatten_mapping(node)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        plain = node.value.isdecimal() and not node.value.startswith("0")  # Python itself has a bound for those
        if len(node.value) > _DIGITS and not plain:
            raise yaml.constructor.ConstructorError(None, None, "a number has too many digits", node.start_mark)
        return super().construct_yaml_int(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is given twice", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def read_yaml(path: Path) -> Values:
    """The nested values of a settings file.

    Raises:
        SettingsError: the file is missing, not YAML, or has keys that are not settings.
    """
    values = read_mapping(path)
    _refuse_unknown(values, RunConfig, "", f"settings file {path}")
    return values


def read_mapping(path: Path) -> Values:
    """The mapping that a YAML file holds; empty for an empty file.

    Raises:
        SettingsError: the file is missing or not YAML, or holds something else.
    """
    try:
        values = yaml.load(read_given(path, SETTINGS).decode(), _Loader)  # noqa: S506  # a SafeLoader
    except OSError as error:
        raise SettingsError(f"settings file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"settings file {path} is not UTF-8 text: save it as that.") from error
    except Exception as error:  # PyYAML's constructors raise whatever a malformed value makes them stumble over.
        raise SettingsError(f"settings file {path} is not YAML ({_place(error)}): correct it there.") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise SettingsError(f"settings file {path} must hold a mapping of settings, not {_repr.repr(values)}.")
    return values


def _place(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    mark = getattr(error, "problem_mark", None)
    reason = " ".join(str(getattr(error, "problem", None) or getattr(error, "reason", None) or error).split())
    return f"line {mark.line + 1}, column {mark.column + 1}: {reason}" if mark else reason


def read_value(text: str) -> Any:
    """A word of the command line as YAML reads it: a number, true, false, null, or the text itself."""
    try:
        value = yaml.load(text, _Loader)  # noqa: S506  # a SafeLoader
    except Exception:  # as above; whether a text will do is for the setting to say
        return text
    # A text stays as it was typed: YAML would cut a path at " #".
    return value if isinstance(value, int | float | bool) or value is None else text


def to_values(config: RunConfig) -> Values:
    """The nested plain values of ``config``."""
    return {key: _plain(value) for key, value in dataclasses.asdict(config).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return list(value) if isinstance(value, tuple) else value


class _Dumper(yaml.SafeDumper):
    """YAML's own line breaks are escaped: read back inside a word they would be spaces."""

    def analyze_scalar(self, scalar: str) -> Any:
        analysis = super().analyze_scalar(scalar)
        if not _LINE_BREAKS.isdisjoint(scalar):
            analysis.allow_flow_plain = analysis.allow_block_plain = False
            analysis.allow_single_quoted = analysis.allow_block = False
        return analysis


_LINE_BREAKS = frozenset("\x85\u2028\u2029")


def to_yaml(config: RunConfig) -> str:
    """``config`` as a settings file."""
    return dump(to_values(config))


def dump(values: Values) -> str:
    """Plain nested values as YAML that reads back the same."""
    text: str = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
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
