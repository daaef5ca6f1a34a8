"""Handing a distilled set to other tools, in forms that they read without this package."""

from wmdd.exports.forms import FORMS, export_run, is_export, load_export

__all__ = ["FORMS", "export_run", "is_export", "load_export"]
