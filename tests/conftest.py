"""Profiles of hypothesis: ``pytest tests/fuzz --hypothesis-profile=long`` tries a hundred times as many inputs."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile("long", print_blob=True, deadline=None)
# The same inputs every time, however slow the machine is.
settings.register_profile("usual", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("usual")

for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
    os.environ.pop(name, None)  # output is compared as it is without a terminal
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"  # servers of tests are here
