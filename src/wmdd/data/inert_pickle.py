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


_LONGEST = 1000  # letters of a name
_KEYS = (str, bytes, int, float, bool, type(None))
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
    """The stack and the memory that a pickle's instructions work on.

    ``stack`` has the values since the last mark alone, and ``below`` those between the marks before it.
    """

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memory: dict[int, Any] = {}

    def run(self, content: bytes) -> Any:
        for code, argument, _ in pickletools.genops(content):
            if code.name == "STOP":
                return self.stack.pop()
            if code.name in _LITERALS:
                self.push(argument)
            elif code.name in _CONSTANTS:
                self.push(_CONSTANTS[code.name])
            elif code.name in _EMPTY:
                self.push(_EMPTY[code.name]())
            elif code.name in _STEPS:
                _STEPS[code.name](self, argument)
            elif code.name not in _IGNORED:
                raise ValueError(f"it holds more than arrays and plain values ({code.name})")
        raise ValueError("it has no end")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def take(self, count: int) -> list[Any]:
        """The last ``count`` values, off the stack."""
        if len(self.stack) < count:
            raise ValueError("damaged: a value is missing")
        values = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return values

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def marked(self) -> list[Any]:
        """The values since the last mark, off the stack with it."""
        values, self.stack = self.stack, self.below.pop()
        return values

    def put(self, place: int | None) -> None:
        self.memory[len(self.memory) if place is None else place] = self.stack[-1]

    def get(self, place: int) -> None:
        self.push(self.memory[place])

    def extend(self, values: list[Any]) -> None:
        self.stack[-1].extend(values)

    def update(self, values: list[Any]) -> None:
        self.stack[-1].update(_pairs(values))

    def call(self) -> None:
        function, arguments = self.take(2)
        self.push(Call(function, arguments))

    def build(self) -> None:
        (state,) = self.take(1)
        self.stack[-1].state = state

    def name(self) -> None:
        text = " ".join(self.take(2))
        if len(text) > _LONGEST:  # one string can stand in a million names
            raise ValueError(f"it has a name of {len(text):,} letters")
        self.push(Name(text))


def _pairs(values: list[Any]) -> dict[Any, Any]:
    # To hash what holds other values goes as deep as they are nested, to the end of the interpreter.
    if not all(isinstance(key, _KEYS) for key in values[::2]):
        raise ValueError("it has a key that is no plain value")
    return dict(zip(values[::2], values[1::2], strict=True))


_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": lambda machine, _: machine.mark(),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.get),
    "TUPLE1": lambda machine, _: machine.push(tuple(machine.take(1))),
    "TUPLE2": lambda machine, _: machine.push(tuple(machine.take(2))),
    "TUPLE3": lambda machine, _: machine.push(tuple(machine.take(3))),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.marked())),
    "LIST": lambda machine, _: machine.push(machine.marked()),
    "DICT": lambda machine, _: machine.push(_pairs(machine.marked())),
    "APPEND": lambda machine, _: machine.extend(machine.take(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.marked()),
    "SETITEM": lambda machine, _: machine.update(machine.take(2)),
    "SETITEMS": lambda machine, _: machine.update(machine.marked()),
    "GLOBAL": lambda machine, text: machine.push(Name(text)),
    "STACK_GLOBAL": lambda machine, _: machine.name(),
    "REDUCE": lambda machine, _: machine.call(),
    "BUILD": lambda machine, _: machine.build(),
}
