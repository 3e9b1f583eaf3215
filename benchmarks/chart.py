"""The chart: three panels of bars, messages a second at 256 bytes, as one SVG that follows a light or dark page."""

from collections.abc import Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape

from benchmarks.client import Client
from benchmarks.goals import OURS
from benchmarks.runs import Runs

_PANELS: Final = {
    "publish": "published and confirmed",
    "consume": "consumed and acknowledged",
    "end-to-end": "end to end",
}
_ROW: Final = 22
_TOP: Final = 54
_LABELS: Final = 230
_BAR: Final = 170
_PANEL: Final = _BAR + 70
_STYLE: Final = """
text{font:12px system-ui,sans-serif;fill:#1f2328} .title{font-weight:600} .quiet{fill:#59636e} rect{fill:#8c959f}
.ours rect{fill:#0969da} .ours text{font-weight:600}
@media(prefers-color-scheme:dark){text{fill:#e6edf3} .quiet{fill:#9198a1} rect{fill:#656c76} .ours rect{fill:#4493f8}}
"""


def chart(runs: Runs, clients: Sequence[Client]) -> str:
    """The whole file."""
    width, height = _LABELS + len(_PANELS) * _PANEL, _TOP + len(clients) * _ROW + 12
    parts = "\n".join(_parts(runs, clients))
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="messages a second, by client">\n'
        f"<style>{_STYLE}</style>\n{parts}\n</svg>\n"
    )


def _parts(runs: Runs, clients: Sequence[Client]) -> Iterator[str]:
    yield _text(0, 16, "Messages a second, 256 bytes, durable quorum queue, each confirmed", "title")
    for panel, (measure, title) in enumerate(_PANELS.items()):
        left = _LABELS + panel * _PANEL
        yield _text(left, 40, title, "quiet")
        rates = {client.key: found.middle for client in clients if (found := runs.spread(measure, "rate", client.key))}
        for row, client in enumerate(clients):
            if client.key in rates:
                yield from _bar(left, row, client.key, rates[client.key], max(rates.values()))
    for row, client in enumerate(clients):
        yield f"<g{_class(client.key)}>{_text(0, _TOP + row * _ROW + 13, client.label)}</g>"


def _bar(left: int, row: int, key: str, rate: float, most: float) -> Iterator[str]:
    top, width = _TOP + row * _ROW, max(1.0, _BAR * rate / most)
    yield f'<g{_class(key)}><rect x="{left}" y="{top}" width="{width:.1f}" height="16" rx="2"/>'
    yield f"{_text(left + width + 6, top + 13, f'{rate:,.0f}')}</g>"


def _class(key: str) -> str:
    return ' class="ours"' if key == OURS else ""


def _text(x: float, y: float, text: str, style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}"{f" class={chr(34)}{style}{chr(34)}" if style else ""}>{escape(text)}</text>'
