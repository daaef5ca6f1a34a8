"""``make audit``: what is known fails, and what could not be asked is never called free of vulnerabilities."""

import subprocess
import sys
from pathlib import Path

import pytest

AUDIT = Path(__file__).parents[2] / ".ci" / "audit.py"
HIT = {"name": "jinja2", "version": "2.10", "vulns": [{"id": "CVE-2019-10906", "fix_versions": ["2.10.1"]}]}
CLEAN = {"name": "numpy", "version": "2.0", "vulns": []}
UNKNOWN = {"name": "torch", "version": "2.6", "skip_reason": "not found"}


def audit(tmp_path: Path, probe: object, answer: object) -> tuple[int, str]:
    """The script with a ``uv`` that answers so: about a version that is known to be vulnerable, and about all."""
    uv = tmp_path / "uv"
    uv.write_text(
        f"#!{sys.executable}\nimport sys, json\n"
        "path = sys.argv[sys.argv.index('-r') + 1]\n"
        f"said = {probe!r} if open(path).read().strip() == 'jinja2==2.10' else {answer!r}\n"
        "sys.exit('no route to host') if said is None else print(json.dumps({'dependencies': said}))\n"
    )
    uv.chmod(0o755)
    done = subprocess.run([sys.executable, AUDIT, uv], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.mark.parametrize("probe", [None, [UNKNOWN], [{**HIT, "vulns": []}]])
def test_where_nobody_can_be_asked_that_is_said(tmp_path: Path, probe: object) -> None:
    code, said = audit(tmp_path, probe, [CLEAN])
    assert code == 0
    assert "none of the" in said
    assert len(said.splitlines()) == 1


def test_a_service_that_stops_answering(tmp_path: Path) -> None:
    code, said = audit(tmp_path, [HIT], None)
    assert code == 0
    assert "stopped answering" in said


def test_a_known_vulnerability_fails(tmp_path: Path) -> None:
    code, said = audit(tmp_path, [HIT], [CLEAN, HIT, UNKNOWN])
    assert code == 1
    assert "jinja2 2.10 has CVE-2019-10906, mended in 2.10.1" in said


def test_only_what_was_audited_is_counted(tmp_path: Path) -> None:
    code, said = audit(tmp_path, [HIT], [CLEAN, UNKNOWN])
    assert code == 0
    assert said.startswith("audit: 1 of ")
    assert "0 vulnerabilities" in said


def test_without_uv(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, AUDIT, tmp_path / "gone"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "none of the" in done.stdout


def test_ci_audits() -> None:
    makefile = (AUDIT.parents[1] / "Makefile").read_text()
    assert "\ntest: lint docs audit\n" in makefile
    assert (AUDIT.parent / "run").read_text().endswith("make test\n")
