"""What stages need now and then is not imported by all of them: a start would take seconds more."""

import subprocess
import sys

LATER = ("matplotlib", "timm", "ot", "sklearn", "scipy.cluster", "torch._inductor")


def test_the_library_starts_without_what_few_stages_need() -> None:
    program = f"import sys, wmdd.api; print([name for name in {LATER} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"
