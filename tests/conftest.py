"""Profiles of hypothesis: ``pytest tests/fuzz --hypothesis-profile=long`` tries a hundred times as many inputs."""

from hypothesis import settings

settings.register_profile("long", print_blob=True)
