"""What a command asks for, added to what a comparison has."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from wmdd.comparison.file import read_comparison
from wmdd.comparison.methods import METHODS, read_methods
from wmdd.comparison.settings import Comparison
from wmdd.config import PROTOCOLS, RunConfig
from wmdd.config.load import Values, dotted, merge, parse, to_values
from wmdd.config.presets import OF_A_METHOD
from wmdd.core.errors import SettingsError

OWN = ("ipc", "synthesis.seed", "evaluation.seeds", "evaluation.random_real")
"""Settings that each set has for itself."""

_NEW: Values = {"evaluation": {"protocols": list(PROTOCOLS)}}
"""What a comparison begins with: what one protocol says of methods, another may deny."""


def asked_for(
    folder: Path,
    changes: Values,
    methods: Sequence[str] | Mapping[str, Values] | None = None,
    ipc: Sequence[int] | None = None,
    seeds: int | None = None,
) -> Comparison:
    """The comparison that ``folder`` holds with what is asked for besides, or a new one; nothing is written.

    ``changes`` (nested) are laid over its settings; ``methods`` (:func:`read_methods`), ``ipc`` and ``seeds`` are
    added to what it has.

    Raises:
        WmddError: the folder holds something else, settings cannot be, or do not agree with what is there.
    """
    there = read_comparison(folder)
    known = there or Comparison(_NEW, {}, (), 1)
    shared = parse(merge(known.settings, changes))
    for number in (*(ipc or ()), *([] if seeds is None else [seeds])):
        if not isinstance(number, int) or number < 1:
            raise SettingsError(
                f"a comparison has {number!r} for an IPC or for its seeds, but needs numbers from 1 on."
            )
    for name in OWN:
        section, _, key = name.rpartition(".")
        if key in (changes.get(section, {}) if section else changes):
            raise SettingsError(f"{name} is each set's own in a comparison: leave it out (and see --ipc and --seeds).")
    chosen = read_methods(methods if methods is not None else () if there else METHODS)
    _refuse_without_effect(shared, changes, {**known.methods, **chosen})
    wanted = Comparison(
        to_values(shared.with_whole_paths()),
        chosen,
        tuple(sorted(set(ipc))) if ipc else known.ipc or (10,),
        seeds if seeds is not None else known.seeds if there else 3,
    )
    return there.with_all_of(wanted, folder) if there else wanted


def _refuse_without_effect(shared: RunConfig, changes: Values, methods: Mapping[str, Values]) -> None:
    """Refuse what all are to share, but a method has for itself, or no method makes use of."""
    now = dotted(shared)
    for name in [f"{section}.{key}" for section in OF_A_METHOD for key in changes.get(section, {})]:
        section, _, key = name.partition(".")
        makers = {method: own for method, own in methods.items() if _uses(name, own)}
        if not makers:
            raise SettingsError(f"{name} has no effect on {', '.join(methods)}: leave it out.")
        for method, own in makers.items():
            if key in own.get(section, {}) and dotted(parse(own))[name] != now[name]:
                raise SettingsError(
                    f"{name} is method {method}'s own ({own[section][key]}), so {now[name]} would have no effect "
                    f"on it: leave one of the two out, or make a method of a YAML file that has {now[name]}."
                )


def _uses(name: str, own: Values) -> bool:
    """Whether a method with these settings makes use of setting ``name``: of atoms if its images belong to them."""
    synthesis = parse(own).synthesis
    if name.startswith("barycenters."):
        return synthesis.follows_atoms
    return synthesis.init == "patches" if name == "synthesis.patch_grid" else synthesis.steps != 0
