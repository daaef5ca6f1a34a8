"""Are there known vulnerabilities in what is locked? ``python tests/audit.py UV requirements/dev.txt``

Asks PyPI's list by pip-audit, which uv fetches. A known vulnerability is exit code 1; where no list can be asked, or it
does not know the packages, that is said, and is none.
"""

import json
import subprocess
import sys


def audit(uv: str, lock: str) -> int:
    """Print what is found; returns the exit code."""
    command = [uv, "tool", "run", "pip-audit>=2.7", "--require-hashes", "--disable-pip", "-f", "json", "-r", lock]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        sys.stdout.write(f"audit: nothing was audited, pip-audit could not be asked ({reason[:200]})\n")
        return 0
    bad = [(each["name"], each["version"], each["vulns"]) for each in found if each.get("vulns")]
    asked = sum("skip_reason" not in each for each in found)
    for name, version, faults in bad:
        sys.stdout.write(f"audit: {name} {version}: {', '.join(fault['id'] for fault in faults)}\n")
    if not asked:
        sys.stdout.write(f"audit: nothing was audited, as no list here knows any of the {len(found)} packages\n")
    else:
        sys.stdout.write(f"audit: {asked} of {len(found)} packages are on the list, {len(bad)} of them with a fault\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(audit(*sys.argv[1:]))
