"""How many inputs are tried: few in every run of the tests, many with ``--hypothesis-profile=long``."""

from hypothesis import HealthCheck, settings

LONG = settings.get_current_profile_name() == "long"


def inputs(short: int, long: int) -> settings:
    """Settings of a test that tries so many inputs, the same ones each time in the short form."""
    return settings(
        max_examples=long if LONG else short,
        derandomize=not LONG,
        database=None,
        deadline=None,  # ``watching`` has one, which machines that are shared do not break
        suppress_health_check=list(HealthCheck),
    )
