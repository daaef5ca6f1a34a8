"""matplotlib figures as SVG elements that take colours and fonts from the page around them."""

import io
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_NAMES = ("ink", "muted", "line", "page", "wmdd", "real", "teacher", *(f"k{i}" for i in range(10)))
_TOKENS = {name: f"#01{i:02x}fe" for i, name in enumerate(_NAMES)}


def color(name: str) -> str:
    """A stand-in that becomes the page's colour ``--name``: in light and dark, a chart looks like its surroundings."""
    return _TOKENS[name]


def plain(text: str, most: int = 18) -> str:
    """Text that a chart can show: printable and short."""
    text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    text = f"\N{ZERO WIDTH SPACE}{text}" if text.startswith("_") else text  # matplotlib keeps those out of legends
    return text if len(text) <= most else f"{text[: most - 1]}…"


def chart(label: str, draw: Callable[[Axes], None], *, width: float = 5.0, height: float = 3.0) -> str:
    """What ``draw`` draws, as one ``<svg>`` element with an accessible ``label``; sizes in inches."""
    with matplotlib.style.context(["default", _style(label)]), warnings.catch_warnings():
        # The page's own fonts draw the letters.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure.add_subplot())
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", transparent=True)
    return _embeddable(buffer.getvalue(), label)


def _style(label: str) -> dict[str, object]:
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": label,
        "text.parse_math": False,
        "axes.formatter.use_mathtext": False,
        "axes.unicode_minus": True,
        "font.size": 8.5,
        "axes.titlesize": 9,
        "axes.titlelocation": "left",
        "axes.titlecolor": color("ink"),
        "axes.labelsize": 8.5,
        "axes.labelcolor": color("muted"),
        "axes.edgecolor": color("line"),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": color("line"),
        "grid.linewidth": 0.6,
        "text.color": color("ink"),
        "xtick.color": color("line"),
        "ytick.color": color("line"),
        "xtick.labelcolor": color("muted"),
        "ytick.labelcolor": color("muted"),
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "xtick.minor.size": 0,
        "ytick.minor.size": 0,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
        "legend.handlelength": 1.4,
        "legend.columnspacing": 1.4,
        "legend.borderpad": 0,
        "lines.linewidth": 1.6,
        "lines.solid_capstyle": "round",
    }


def _embeddable(source: bytes, label: str) -> str:
    root = ET.fromstring(source)  # noqa: S314 - matplotlib's own
    _drop(root)
    used = {match for element in root.iter() for value in element.attrib.values() for match in _references(value)}
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
        if (target := element.attrib.pop(f"{{{_XLINK}}}href", None)) is not None:
            element.set("href", target)
        if element.get("id") not in used:
            element.attrib.pop("id", None)
        if "style" in element.attrib:
            element.set("style", _restyled(element.attrib["style"]))
        if "d" in element.attrib:
            element.set("d", _shortened(element.attrib["d"]))
        element.tail = None
        element.text = element.text if element.tag == "text" else None
    root.attrib.clear()
    size = re.search(rb'viewBox="([^"]+)"', source)
    assert size is not None
    root.attrib.update({"viewBox": size[1].decode(), "role": "img", "aria-label": label})
    return ET.tostring(root, encoding="unicode")


def _drop(element: ET.Element) -> None:
    """Take out metadata (it names foreign addresses) and style sheets (they would apply to the whole page)."""
    for child in list(element):
        if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
            element.remove(child)
        else:
            _drop(child)


def _references(value: str) -> list[str]:
    return [first or second for first, second in re.findall(r"^#([\w-]+)$|url\(#([\w-]+)\)", value)]


def _restyled(style: str) -> str:
    """Colours by name, the page's font, and the size of matplotlib's."""
    rules = []
    for rule in style.split(";"):
        name, _, value = rule.strip().partition(": ")
        if name == "font":
            name, value = "font-size", next(iter(re.findall(r"[\d.]+px", value)), "9px")
        if name not in ("font-family", ""):
            rules.append(f"{name}:{value}")
    text = ";".join(rules)
    for name, token in _TOKENS.items():
        text = text.replace(token, f"var(--{name})")
    return text


def _shortened(path: str) -> str:
    return re.sub(
        r"-?\d+\.\d+", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), " ".join(path.split())
    )
