"""Nothing in the package, and nothing that it writes, can run code when it is read."""

import ast
from pathlib import Path

import pytest
import torch

import wmdd

PACKAGE = Path(wmdd.__file__).parent
FORBIDDEN = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
INERT = "data/inert_pickle.py"
"""Reads CIFAR's python batches opcode by opcode, with pickletools, and builds plain values only."""
EXPORTED = "exports/tensors.py"
"""Writes plain tensors as .pt too, for tools that read nothing else; ``weights_only`` is enough to load them."""
SUFFIXES = {".json", ".jsonl", ".yaml", ".safetensors", ".png", ".html"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imported(tree: ast.AST) -> set[str]:
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names}


def calls(tree: ast.AST) -> list[tuple[str, dict[str, object]]]:
    """Every call: its dotted name, and its keywords that are constants."""
    return [
        (ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords if word.arg})
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    ]


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_module_can_run_what_it_reads(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not imported(tree) & FORBIDDEN
    for name, words in calls(tree):
        if name == "torch.load":
            assert words.get("weights_only") == "True"
        if name in ("np.load", "numpy.load"):
            assert words.get("allow_pickle") == "False"
        assert name not in ("eval", "exec", "os.system", "yaml.unsafe_load", "yaml.full_load")
        if name == "torch.save":
            assert path.relative_to(PACKAGE).as_posix() == EXPORTED
        assert not name.endswith((".Unpickler", "broadcast_object_list", "all_gather_object"))
        assert words.get("shell", "False") == "False"


def test_pickles_of_others_are_read_without_being_unpickled() -> None:
    tree = ast.parse((PACKAGE / INERT).read_text(encoding="utf-8"))
    assert "pickletools" in imported(tree)
    assert not imported(tree) & FORBIDDEN


def test_a_run_holds_nothing_that_could_run(pristine_run: Path, tmp_path: Path) -> None:
    files = [path for path in pristine_run.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= SUFFIXES
    for path in files:
        head = path.read_bytes()[:2]
        assert not (head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05"), f"{path} begins like a pickle"
        assert head != b"PK", f"{path} is an archive, as torch.save writes them"
    out = wmdd.export(pristine_run, "tensors", tmp_path / "out")
    (plain,) = out.glob("*.pt")
    values = torch.load(plain, weights_only=True)
    assert all(isinstance(value, torch.Tensor) for value in values.values())
