"""What a pickle says, without doing it: no class is looked up, nothing is called, no code can run.

Old data sets (CIFAR) come as pickles of plain containers and NumPy arrays. The standard library's disassembler reads
the instructions; here the few that such files hold build inert Python values. A call of something named in the file
stays a :class:`Call`, which says what should have been called and with what.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Name:
    """Something that the file names: ``numpy ndarray``."""

    text: str


@dataclass
class Call:
    """What a function named in the file should have been given, and the state that its result should have taken."""

    function: Any
    arguments: Any
    state: Any = None


_MARK = object()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_IGNORED = ("PROTO", "FRAME")
_LITERALS = {
    *("BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "BINFLOAT", "FLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}


def read_inert(content: bytes) -> Any:
    """The value that ``content`` describes. Raises ``ValueError`` if it is damaged or holds more than plain values."""
    try:
        return _Machine().run(content)
    except (LookupError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"damaged: {error}") from error


class _Machine:
    """The stack and the memory that a pickle's instructions work on."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memory: dict[int, Any] = {}

    def run(self, content: bytes) -> Any:
        for code, argument, _ in pickletools.genops(content):
            if code.name == "STOP":
                return self.stack.pop()
            if code.name in _LITERALS:
                self.stack.append(argument)
            elif code.name in _CONSTANTS:
                self.stack.append(_CONSTANTS[code.name])
            elif code.name in _EMPTY:
                self.stack.append(_EMPTY[code.name]())
            elif code.name in _STEPS:
                _STEPS[code.name](self, argument)
            elif code.name not in _IGNORED:
                raise ValueError(f"it holds more than arrays and plain values ({code.name})")
        raise ValueError("it has no end")

    def take(self, count: int) -> list[Any]:
        """The last ``count`` values, off the stack."""
        if len(self.stack) < count:
            raise ValueError("damaged: a value is missing")
        values = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return values

    def marked(self) -> list[Any]:
        """The values since the last mark, off the stack with it."""
        place = max(i for i, value in enumerate(self.stack) if value is _MARK)
        values = self.take(len(self.stack) - place)
        return values[1:]

    def put(self, place: int | None) -> None:
        self.memory[len(self.memory) if place is None else place] = self.stack[-1]

    def get(self, place: int) -> None:
        self.stack.append(self.memory[place])

    def extend(self, values: list[Any]) -> None:
        self.stack[-1].extend(values)

    def update(self, values: list[Any]) -> None:
        self.stack[-1].update(_pairs(values))

    def call(self) -> None:
        function, arguments = self.take(2)
        self.stack.append(Call(function, arguments))

    def build(self) -> None:
        (state,) = self.take(1)
        self.stack[-1].state = state

    def name(self) -> None:
        self.stack.append(Name(" ".join(self.take(2))))


def _pairs(values: list[Any]) -> dict[Any, Any]:
    return dict(zip(values[::2], values[1::2], strict=True))


_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": lambda machine, _: machine.stack.append(_MARK),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.get),
    "TUPLE1": lambda machine, _: machine.stack.append(tuple(machine.take(1))),
    "TUPLE2": lambda machine, _: machine.stack.append(tuple(machine.take(2))),
    "TUPLE3": lambda machine, _: machine.stack.append(tuple(machine.take(3))),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.marked())),
    "LIST": lambda machine, _: machine.stack.append(machine.marked()),
    "DICT": lambda machine, _: machine.stack.append(_pairs(machine.marked())),
    "APPEND": lambda machine, _: machine.extend(machine.take(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.marked()),
    "SETITEM": lambda machine, _: machine.update(machine.take(2)),
    "SETITEMS": lambda machine, _: machine.update(machine.marked()),
    "GLOBAL": lambda machine, text: machine.stack.append(Name(text)),
    "STACK_GLOBAL": lambda machine, _: machine.name(),
    "REDUCE": lambda machine, _: machine.call(),
    "BUILD": lambda machine, _: machine.build(),
}
