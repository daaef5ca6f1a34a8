"""Nothing in the package can run what a file holds: no pickles, no eval, no loader that would unpickle.

What a run leaves on disk is looked at in ``tests/e2e/test_artifacts_hold_no_code.py``.


``data/inert_pickle.py`` reads CIFAR's published batches, which are pickles. It is the one exception, and takes them
apart with the standard library's disassembler, which looks nothing up and calls nothing.
"""

import ast

import pytest
from source_calls import PACKAGE, calls, imports

EXCEPTION = "data/inert_pickle.py"
EXPORTED = "exports/tensors.py"
"""Writes plain tensors as .pt too, for tools that read nothing else; ``weights_only`` is enough to load them."""
UNPICKLERS = ("pickle", "_pickle", "cPickle", "marshal", "shelve", "dill", "joblib", "cloudpickle", "code", "codeop")
RUNNERS = ("eval", "exec", "compile", "__import__", "os.system", "os.popen", "runpy.run_path")


def keyword(node: ast.Call, name: str) -> object:
    found = [entry.value for entry in node.keywords if entry.arg == name]
    return found[0].value if found and isinstance(found[0], ast.Constant) else None


def test_nothing_that_unpickles_is_imported() -> None:
    found = [(module, name) for module, name in imports() if name.partition(".")[0] in UNPICKLERS]
    assert found == []
    assert [module for module, name in imports() if name == "pickletools"] == [EXCEPTION]


def test_the_exception_takes_pickles_apart_and_never_loads_them() -> None:
    text = (PACKAGE / EXCEPTION).read_text()
    names = {ast.unparse(node) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute | ast.Name)}
    assert {name for name in names if name.startswith("pickletools")} == {"pickletools", "pickletools.genops"}
    assert not {"getattr", "__import__", "import_module", "Unpickler", "loads"} & names


def test_nothing_evaluates_text() -> None:
    assert [(found.module, found.name) for found in calls() if found.name in RUNNERS] == []


def test_nothing_is_pickled_for_others() -> None:
    """Neither in a file, nor on its way to another process, nor is a shell asked for anything."""
    assert {found.module for found in calls() if found.name == "torch.save"} == {EXPORTED}
    assert [found for found in calls() if found.name.endswith(("Unpickler", "_object", "_object_list"))] == []
    assert [found for found in calls() if keyword(found.node, "shell")] == []


def test_loaders_are_told_not_to_unpickle() -> None:
    looked_at = 0
    for module, _, name, node in calls():
        if name in ("torch.load", "load_state_dict_from_url", "hub.load_state_dict_from_url"):
            assert keyword(node, "weights_only") is True, module
        elif name in ("np.load", "numpy.load", "np.save", "numpy.save", "np.lib.format.read_array"):
            assert keyword(node, "allow_pickle") is False, module
        elif name == "yaml.load":
            assert ast.unparse(node.args[1]) == "_Loader", module
        elif name.startswith("yaml.") and "load" in name:
            assert name == "yaml.safe_load", module
        elif name in ("np.fromstring", "torch.jit.load", "torch.hub.load", "pd.read_pickle", "np.fromregex"):
            pytest.fail(f"{module}: {name}")
        else:
            continue
        looked_at += 1
    assert looked_at >= 6  # or the names above are no longer those of the source


def test_the_settings_loader_makes_plain_values() -> None:
    from yaml import SafeLoader

    from wmdd.config.load import _Loader

    assert issubclass(_Loader, SafeLoader)
    made = {tag for tag in _Loader.yaml_constructors if tag is not None and not tag.startswith("tag:yaml.org,2002:")}
    assert made == set()
