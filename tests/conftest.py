"""Profiles of hypothesis, and a core for each of several testers.

``pytest tests/fuzz --hypothesis-profile=long`` tries a hundred times as many inputs. With ``-n`` each process keeps to
one core, and so do the runs that it starts: threads of several would wait for one another.
"""

import os

from hypothesis import settings

settings.register_profile("long", print_blob=True)


def pytest_configure() -> None:
    tester = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    if tester and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(tester) % len(cores)]})
