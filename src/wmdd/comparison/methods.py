"""Methods: presets or YAML files of what sets differ in."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from wmdd.config.load import Values, parse, read_yaml
from wmdd.config.presets import OF_A_METHOD, method_presets, method_settings
from wmdd.core.errors import SettingsError

BASELINE = "random"
"""The method that every other is compared with; it takes part always."""

METHODS = (
    *("random", "herding", "k-center", "nearest", "rded", "sre2l", "cda", "dm", "mmd"),
    *("wmdd-paper", "wmdd-noise", "wmdd"),
)
"""What is compared where nothing else is asked for."""


def read_methods(wanted: Sequence[str] | Mapping[str, Values]) -> dict[str, Values]:
    """Methods by name, and the baseline: words name presets, or YAML files by a path that ends in ``.yaml``.

    Raises:
        SettingsError: there is no such preset or file, one sets what all methods must share, or two have one name.
    """
    if isinstance(wanted, Mapping):
        for name, values in wanted.items():
            check_method(name, values, f"method {name!r}")
        if wanted.get(BASELINE, method_settings(BASELINE)) != method_settings(BASELINE):
            raise SettingsError(f"method {BASELINE!r} is what all are compared with: give yours another name.")
        return {**read_methods(()), **wanted}
    found: dict[str, Values] = {}
    for word in map(str, (BASELINE, *wanted)):
        name, values = _read_method(word)
        if found.setdefault(name, values) != values:
            raise SettingsError(f"{word} is not the only method {name!r}: give it another name.")
    return found


def _read_method(word: str) -> tuple[str, Values]:
    if not word.endswith((".yaml", ".yml")):
        known = method_presets()
        if word not in known:
            raise SettingsError(f"there is no method {word!r}: use {', '.join(known)}, or a path to a YAML file.")
        return word, method_settings(word)
    path = Path(word)
    values = read_yaml(path)
    check_method(path.stem, values, str(path))
    return path.stem, values


def check_method(name: str, values: Values, origin: str) -> None:
    """Refuse settings that no method has, or a name that no folder should have; ``origin`` says where they stand.

    Raises:
        SettingsError: they are such.
    """
    for section in values:
        if section not in OF_A_METHOD:
            raise SettingsError(f"{origin} sets {section}, but methods differ in {' and '.join(OF_A_METHOD)} alone.")
    if "seed" in (values.get("synthesis") or {}):
        raise SettingsError(f"{origin} sets synthesis.seed, which is each set's own in a comparison: leave it out.")
    if not name.replace("-", "").replace("_", "").isalnum():
        raise SettingsError(f"{origin} names its method {name!r}: use letters, digits, - and _ alone.")
    parse(values, origin)
