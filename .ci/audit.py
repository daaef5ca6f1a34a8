"""Has anything that requirements/dev.txt locks a known vulnerability? Run as ``make audit``; takes the path of uv.

pip-audit asks OSV, or else PyPI, about each locked version. It runs in an environment of its own, which uv makes: what
the project needs and what looks at it are kept apart. Where neither can be asked, that is said, and is no failure: a
fork without a network can be tested too. What pip-audit cannot look up it calls free of vulnerabilities, so its answers
are counted here, and a version that is known to be vulnerable is asked about first.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

LOCK = Path(__file__).parent.parent / "requirements" / "dev.txt"
TOOL = "pip-audit>=2.9,<3"
VULNERABLE = "jinja2==2.10"  # CVE-2019-10906: a service that does not know of it knows of nothing
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def ask(uv: str, service: str, requirements: str, seconds: int) -> list[dict] | None:
    """What ``service`` says of each requirement; None where it cannot be asked."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "requirements.txt"
        listed.write_text(requirements)
        options = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--timeout", "10", "--format", "json"]
        words = [uv, "tool", "run", "--quiet", "--from", TOOL, "pip-audit", "-s", service, "-r", str(listed), *options]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=seconds, check=False)
            return json.loads(done.stdout)["dependencies"]
        except (OSError, ValueError, KeyError, subprocess.TimeoutExpired):
            return None


def main() -> int:
    """0: nothing is known, or nobody could be asked; 1: something is."""
    uv = sys.argv[1]
    locked = sorted({f"{name}=={version}" for name, version in _PINNED.findall(LOCK.read_text())})
    for service in ("osv", "pypi"):
        known = ask(uv, service, VULNERABLE, 60)
        if known and known[0].get("vulns"):
            break
    else:
        print(f"audit: none of the {len(locked)} locked packages was audited, as no service could be asked (OSV, PyPI)")
        return 0
    found = ask(uv, service, "\n".join(locked), 600)
    if found is None:
        print(f"audit: none of the {len(locked)} locked packages was audited, as {service} stopped answering")
        return 0
    asked = [entry for entry in found if "vulns" in entry]
    faults = [(entry, each) for entry in asked for each in entry["vulns"]]
    for entry, each in faults:
        fixed = ", ".join(each.get("fix_versions") or ["no version yet"])
        print(f"audit: {entry['name']} {entry['version']} has {each['id']}, mended in {fixed}")
    print(f"audit: {len(asked)} of {len(locked)} locked packages audited by {service}, {len(faults)} vulnerabilities")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
