"""The page: collect what a run holds, draw it, write one self-contained HTML file. No torch."""

from wmdd.report.comparison import write_comparison_page
from wmdd.report.page import write_report

__all__ = ["write_comparison_page", "write_report"]
