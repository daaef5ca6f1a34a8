"""Handing a distilled set to other tools, in forms that they read without this package."""

from wmdd.exports.forms import FORMS, export_run, is_export, load_export
from wmdd.exports.hub import pull, push

__all__ = ["FORMS", "export_run", "is_export", "load_export", "pull", "push"]
