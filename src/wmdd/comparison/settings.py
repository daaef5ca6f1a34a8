"""What is compared: ``comparison.yaml`` of a comparison's folder. It only ever grows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wmdd.config import PROTOCOLS, RunConfig
from wmdd.config.load import (
    Values,
    dotted,
    dump,
    merge,
    nested,
    parse,
    read_mapping,
    read_yaml,
    to_values,
)
from wmdd.config.presets import OF_A_METHOD, method_presets, method_settings
from wmdd.core.errors import RunError, SettingsError
from wmdd.core.paths import absolute
from wmdd.storage.atomic import write_text
from wmdd.storage.locks import CLAIM_SUFFIX, TEMPORARY_SUFFIX

TEACHER = "teacher"
"""The folder, in a comparison's, of the run that teacher and statistics are taken from."""

BASELINE = "random"
"""The method that every other is compared with; it takes part always."""

METHODS = (
    *("random", "herding", "k-center", "nearest", "rded", "sre2l", "cda", "dm", "mmd"),
    *("wmdd-paper", "wmdd-noise", "wmdd"),
)
"""What is compared where nothing else is asked for."""

OWN = ("ipc", "synthesis.seed", "evaluation.seeds", "evaluation.random_real")
"""Settings that each set has for itself."""

_NEW: Values = {"evaluation": {"protocols": list(PROTOCOLS)}}
"""What a comparison begins with: what one protocol says of methods, another may deny."""

_FREE = (
    *("evaluation.protocols", "evaluation.students", "runtime.device", "runtime.threads"),
    *("data.convert", "data.workers", "data.memory_gb"),
)


@dataclass(frozen=True)
class Member:
    """One set to make and to score: a method, images per class, and the seed of set and student."""

    method: str
    ipc: int
    seed: int

    @property
    def folder(self) -> str:
        """Where its run lies in the comparison's folder."""
        return f"sets/{self.method}/ipc-{self.ipc:03d}/seed-{self.seed}"


@dataclass(frozen=True)
class Comparison:
    """``settings`` (nested) that all share, ``methods`` with those in which each differs, and how many sets."""

    settings: Values
    methods: Mapping[str, Values]
    ipc: tuple[int, ...]
    seeds: int

    @property
    def shared(self) -> RunConfig:
        """The settings of the run that teacher and statistics are taken from, which makes no images."""
        return parse(merge(self.settings, {"ipc": 1}))

    def members(self) -> Iterator[Member]:
        """All sets, so that a table of all methods is there early."""
        for ipc in sorted(self.ipc):
            for seed in range(self.seeds):
                for method in sorted(self.methods, key=lambda name: name != BASELINE):
                    yield Member(method, ipc, seed)

    def config_of(self, member: Member) -> RunConfig:
        """The settings of a member's run: its own seed for the set and the student, and no baseline of its own."""
        own = {
            "ipc": member.ipc,
            "synthesis.seed": member.seed,
            "evaluation.seeds": [member.seed],
            "evaluation.random_real": False,
        }
        return parse(merge(merge(self.settings, self.methods[member.method]), nested(own)), member.method)

    def with_all_of(self, other: "Comparison", folder: Path) -> "Comparison":
        """What is compared here, begun in ``folder``, and what ``other`` adds.

        Raises:
            RunError: ``other`` has other settings, or another method of the same name.
        """
        was, now = dotted(self.shared), dotted(other.shared)
        for name in (name for name in now if now[name] != was[name] and name not in _FREE):
            raise RunError(
                f"{name} was {was[name]!r} when the comparison in {folder} was begun and is {now[name]!r} now: "
                "use a new folder."
            )
        for name in (
            name for name in other.methods if self.methods.get(name, other.methods[name]) != other.methods[name]
        ):
            raise RunError(
                f"the comparison in {folder} has another method {name!r}, with other settings: leave it out to go on "
                "with that one, give this one another name, or use a new folder."
            )
        return replace(
            other,
            methods={**self.methods, **other.methods},
            ipc=tuple(sorted({*self.ipc, *other.ipc})),
            seeds=max(self.seeds, other.seeds),
        )


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
        to_values(_with_whole_paths(shared)),
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
    return synthesis.init == "patches" if name == "synthesis.patch_grid" else synthesis.steps > 0


def _with_whole_paths(config: RunConfig) -> RunConfig:
    """Settings that mean the same from any folder."""
    data, teacher = config.data, config.teacher
    if data.is_path:
        data = replace(data, source=absolute(data.source))
    if teacher.checkpoint is not None:
        teacher = replace(teacher, checkpoint=absolute(teacher.checkpoint))
    return replace(config, data=data, teacher=teacher)


def read_methods(wanted: Sequence[str] | Mapping[str, Values]) -> dict[str, Values]:
    """Methods by name, and the baseline: words name presets, or YAML files by a path that ends in ``.yaml``.

    Raises:
        SettingsError: there is no such preset or file, one sets what all methods must share, or two have one name.
    """
    if isinstance(wanted, Mapping):
        for name, values in wanted.items():
            _check_method(name, values, f"method {name!r}")
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
    _check_method(path.stem, values, str(path))
    return path.stem, values


def _check_method(name: str, values: Values, origin: str) -> None:
    for section in values:
        if section not in OF_A_METHOD:
            raise SettingsError(f"{origin} sets {section}, but methods differ in {' and '.join(OF_A_METHOD)} alone.")
    if "seed" in (values.get("synthesis") or {}):
        raise SettingsError(f"{origin} sets synthesis.seed, which is each set's own in a comparison: leave it out.")
    if not name.replace("-", "").replace("_", "").isalnum():
        raise SettingsError(f"{origin} names its method {name!r}: use letters, digits, - and _ alone.")
    parse(values, origin)


def _path(folder: Path) -> Path:
    return folder / "comparison.yaml"


def read_comparison(folder: Path) -> Comparison | None:
    """The comparison in ``folder``; None where none has begun.

    Raises:
        RunError: something else is there, or the file is damaged.
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
            _check_method(name, settings, str(path))
        list(map(found.config_of, found.members()))
    except (ValueError, KeyError, TypeError, AttributeError, SettingsError) as error:
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
