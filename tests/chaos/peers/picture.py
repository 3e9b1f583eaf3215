"""The picture: a square for each row and fault, its colour what became of the messages, as one SVG. Pure."""

from collections.abc import Iterator, Mapping
from typing import Final
from xml.sax.saxutils import escape

from tests.chaos.peers.faults import FAULTS
from tests.chaos.peers.lineup import ENTRIES
from tests.chaos.peers.results import Cell

_LABELS: Final = 170
_CELL: Final = 44
_ROW: Final = 24
_TOP: Final = 150
_STYLE: Final = """
text{font:12px system-ui,sans-serif;fill:#1f2328} .title{font-weight:600} .quiet{fill:#59636e} .ours{font-weight:600}
.in{text-anchor:middle;fill:#fff;font-weight:600} .well{fill:#1a7f37} .stuck{fill:#bf8700} .lost{fill:#cf222e}
.none{fill:#eaeef2}
@media(prefers-color-scheme:dark){text{fill:#e6edf3} .quiet{fill:#9198a1} .none{fill:#21262d}
.in{fill:#fff} .well{fill:#238636} .stuck{fill:#9e6a03} .lost{fill:#da3633}}
"""
_LEGEND: Final = (
    ("well", "nothing lost, went on by itself"),
    ("stuck", "nothing lost, needed a person"),
    ("lost", "so many lost"),
    ("none", "not run"),
)


def picture(cells: Mapping[tuple[str, str], Cell]) -> str:
    """The whole file."""
    width, height = _LABELS + len(FAULTS) * _CELL + 60, _TOP + len(ENTRIES) * _ROW + 34
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = "\n".join(_parts(cells, height))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="messages lost, by client and fault">\n'
        f"<style>{_STYLE}</style>\n{parts}\n</svg>\n"
    )


def _parts(cells: Mapping[tuple[str, str], Cell], height: int) -> Iterator[str]:
    yield _text(0, 16, "What became of messages that a publisher believed sent", "title")
    for column, fault in enumerate(FAULTS):
        left = _LABELS + column * _CELL + _CELL / 2
        words = _text(0, 0, fault.key.replace("-", " "))
        yield f'<g transform="translate({left:g} {_TOP - 8}) rotate(-50)">{words}</g>'
    for row, entry in enumerate(ENTRIES):
        top = _TOP + row * _ROW
        yield _text(0, top + 15, entry.label, "ours" if entry.form == "ours" else "")
        for column, fault in enumerate(FAULTS):
            cell = cells.get((entry.key, fault.key))
            left = _LABELS + column * _CELL
            yield _square(left, top, kind(cell))
            if cell and cell.lost:
                yield _text(left + _CELL / 2 - 1, top + 15, f"{cell.lost:,}", "in")
    for number, (name, words) in enumerate(_LEGEND):
        left = number * 218
        yield _square(left, height - 26, name, 16)
        yield _text(left + 22, height - 13, words, "quiet")


def kind(cell: Cell | None) -> str:
    """The class of a square."""
    if cell is None:
        return "none"
    return "lost" if cell.lost else "stuck" if cell.stuck else "well"


def _square(left: float, top: float, name: str, width: float = _CELL - 2) -> str:
    height = min(width, _ROW - 2)
    return f'<rect x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" rx="2" class="{name}"/>'


def _text(x: float, y: float, text: str, style: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}"{f" class={chr(34)}{style}{chr(34)}" if style else ""}>{escape(text)}</text>'
