"""``{settings-table} SECTION``: the settings of a section as the code has them, so that the page cannot fall behind."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from wmdd.config.load import Setting, settings


class SettingsTable(SphinxDirective):
    """A table of name, default and meaning; without an argument, of the settings that belong to no section."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        section = self.arguments[0] if self.arguments else ""
        chosen = [setting for setting in settings() if _section(setting) == section]
        if not chosen:
            raise self.error(f"there are no settings in section {section!r}")
        return [_table([_row(setting) for setting in chosen])]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("settings-table", SettingsTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _section(setting: Setting) -> str:
    return setting.name.partition(".")[0] if "." in setting.name else ""


def _row(setting: Setting) -> list[list[nodes.Node]]:
    name: list[nodes.Node] = [_code(setting.name)]
    if setting.flag:
        name += [nodes.Text(", flag "), _code(f"--{setting.flag}")]
    choices = f" ({setting.choices})" if setting.choices else ""
    return [name, [_code(setting.shown)], [nodes.Text(setting.help + choices)]]


def _code(text: str) -> nodes.Node:
    return nodes.literal(text, text)


def _table(rows: list[list[list[nodes.Node]]]) -> nodes.table:
    group = nodes.tgroup(cols=3)
    group += [nodes.colspec(colwidth=width) for width in (30, 15, 55)]
    group += nodes.thead("", _entries([[nodes.Text(title)] for title in ("Setting", "Default", "Meaning")]))
    group += nodes.tbody("", *(_entries(row) for row in rows))
    return nodes.table("", group)


def _entries(cells: list[list[nodes.Node]]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", *cell)) for cell in cells))
