"""Every call in the package, as it reads in the source."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import wmdd

PACKAGE = Path(wmdd.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))


class Found(NamedTuple):
    """A call: the module (``data/npz.py``), the function it is in (``_read``), what is called, and the node."""

    module: str
    within: str
    name: str
    node: ast.Call


def calls() -> Iterator[Found]:
    for path in MODULES:
        yield from calls_in(path.read_text(), path.relative_to(PACKAGE).as_posix())


def calls_in(source: str, module: str) -> Iterator[Found]:
    def walk(node: ast.AST, within: str) -> Iterator[Found]:
        for inner in ast.iter_child_nodes(node):
            if isinstance(inner, ast.Call):
                yield Found(module, within, ast.unparse(inner.func), inner)
            is_function = isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from walk(inner, inner.name if is_function else within)

    yield from walk(ast.parse(source), "")


def imports() -> Iterator[tuple[str, str]]:
    """Module and what it imports, from wherever in the file."""
    for path in MODULES:
        module = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((module, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield module, node.module
