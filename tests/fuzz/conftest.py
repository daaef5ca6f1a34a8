"""No more memory than the process has, and some; how many inputs each test has tried."""

import resource
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

MORE = 3 * 2**30
tried: dict[str, Counter[str]] = defaultdict(Counter)
"""Of each kind (readers, settings, command_line), by what was tried."""


@pytest.fixture(scope="module", autouse=True)  # other tests of the session may need more
def little_memory() -> Iterator[None]:
    """What asks for more than 3 GB besides is refused, and ends in an error."""
    import datasets  # noqa: F401  # what is imported later would count
    import pyarrow.parquet  # noqa: F401
    import torch  # noqa: F401

    # Of what is written to, not of what is only mapped or set aside.
    used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (used + MORE, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_DATA, before)


@pytest.fixture
def count(request: pytest.FixtureRequest) -> Callable[[], None]:
    """Count one input of this test; readers and forms of exports are told apart, other parameters are not."""
    test = request.node
    kind = test.path.stem.removeprefix("test_fuzz_")
    what = test.name if kind == "readers" else test.originalname

    def one() -> None:
        tried[kind][what] += 1

    return one


@pytest.hookimpl
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many inputs were tried."""
    if tried:
        terminalreporter.write_line(f"fuzz: {sum(each.total() for each in tried.values()):,} inputs")
        for kind, numbers in sorted(tried.items()):
            terminalreporter.write_line(f"{numbers.total():>9,} {kind.replace('_', ' ')}")
            for what, number in sorted(numbers.items()):
                terminalreporter.write_line(f"{number:>17,} {what}")
