"""Sphinx settings. Builds and pages need no network: equations become MathML, and no inventories are fetched."""

import sys
from pathlib import Path

import wmdd

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "wmdd"
author = "The wmdd authors"
project_copyright = author
version = release = wmdd.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib.bibtex",
    "mathml",
    "settings_table",
]
exclude_patterns = ["_build", "_extensions"]
templates_path: list[str] = []

myst_enable_extensions = ["dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False

bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "alpha"
bibtex_reference_style = "label"

html_theme = "furo"
html_title = f"wmdd {release}"
html_math_renderer = "mathml"
html_copy_source = False
html_show_sourcelink = False
