"""Known vulnerabilities of what this package is built on, for where no service can be asked (``make audit`` asks one).

The list is kept by hand: those that concern untrusted files, text or servers, up to the date of writing. None is
in what is locked, in what runs here, or in the oldest version that a user may install.
"""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).parents[2]

ADVISORIES = [
    ("CVE-2025-32434", "torch", "<2.6.0", "torch.load(weights_only=True) runs code"),
    ("CVE-2024-31580", "torch", "<2.2.0", "the interpreter of scripts reads beyond its memory"),
    ("CVE-2023-4863", "pillow", "<10.0.1", "WebP images write beyond their memory"),
    ("CVE-2023-50447", "pillow", "<10.2.0", "ImageMath runs code"),
    ("CVE-2024-28219", "pillow", "<10.3.0", "colour profiles write beyond their memory"),
    ("CVE-2025-48379", "pillow", ">=11.2.0,<11.3.0", "DDS images write beyond their memory"),
    ("CVE-2020-14343", "pyyaml", "<5.4", "full_load runs code"),
    ("CVE-2024-34064", "jinja2", "<3.1.4", "attributes of another's making"),
    ("CVE-2024-56201", "jinja2", "<3.1.5", "names of templates run code"),
    ("CVE-2025-27516", "jinja2", "<3.1.6", "the attr filter leaves the sandbox"),
    ("CVE-2024-5206", "scikit-learn", "<1.5.0", "TfidfVectorizer keeps what it should not"),
    ("CVE-2022-21797", "joblib", "<1.2.0", "pre_dispatch runs code"),
    ("CVE-2023-47248", "pyarrow", ">=0.14.0,<14.0.1", "parquet and arrow files run code"),
    ("CVE-2023-45139", "fonttools", ">=4.28.2,<4.43.0", "SVG in fonts reads files"),
    ("CVE-2024-3772", "pydantic", "<2.4.0", "addresses keep a regular expression busy"),
    ("CVE-2024-34062", "tqdm", "<4.66.3", "its command line runs code"),
    ("CVE-2024-47081", "requests", "<2.32.4", "passwords go to another host"),
    ("CVE-2025-50181", "urllib3", "<2.5.0", "redirects are followed though they should not be"),
    ("CVE-2023-37920", "certifi", "<2023.7.22", "a root that is not trusted any more"),
    ("CVE-2024-3651", "idna", "<3.7", "names keep it busy"),
    ("CVE-2025-43859", "h11", "<0.16.0", "chunked bodies are taken for others"),
    ("CVE-2025-47273", "setuptools", "<78.1.1", "archives are written elsewhere"),
    ("CVE-2024-53899", "virtualenv", "<20.26.6", "names of environments run code"),
]

LOCKED = {
    name.lower(): found
    for name, found in re.findall(
        r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", (ROOT / "requirements" / "dev.txt").read_text(), re.MULTILINE
    )
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ASKED_FOR = [Requirement(text) for text in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["hf"]]]
OLDEST = {
    wanted.name: min((each.version for each in wanted.specifier if each.operator in (">=", "==")), key=Version)
    for wanted in ASKED_FOR
}


@pytest.mark.parametrize(
    ("advisory", "package", "affected", "what"), ADVISORIES, ids=[entry[0] for entry in ADVISORIES]
)
def test_no_vulnerable_version_is_locked_or_let_in(advisory: str, package: str, affected: str, what: str) -> None:
    hit = SpecifierSet(affected)
    assert package in LOCKED, "nothing depends on it any more: take it out of the list"
    for found in (LOCKED[package], version(package), OLDEST.get(package)):
        assert found is None or Version(found) not in hit, f"{advisory}: {what}"


def test_the_lock_pins_every_package_by_hash() -> None:
    text = (ROOT / "requirements" / "dev.txt").read_text()
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
    assert len(blocks) == len(re.findall(r"^[A-Za-z0-9._-]+==", text, re.MULTILINE)) > 100
    assert all("--hash=sha256:" in block for block in blocks)
