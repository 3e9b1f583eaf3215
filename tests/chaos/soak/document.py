"""docs/soak.md and its picture: the figures of a soak, as the command writes them. Pure."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape

from tests.chaos.soak.figures import WARM, Sample, Soak, at

_WIDTH: Final = 360
_HEIGHT: Final = 120
_STYLE: Final = """
text{font:12px system-ui,sans-serif;fill:#1f2328} .title{font-weight:600} .quiet{fill:#59636e} .axis{stroke:#d1d9e0}
polyline{fill:none;stroke-width:1.5} .producer{stroke:#bf8700} .consumer,.pause{stroke:#0969da}
text.producer{fill:#bf8700;stroke:none} text.consumer{fill:#0969da;stroke:none}
@media(prefers-color-scheme:dark){text{fill:#e6edf3} .quiet{fill:#9198a1} .axis{stroke:#3d444d}}
"""
_PANELS: Final[dict[str, Callable[[Sample], float]]] = {
    "memory, MiB": lambda each: each.memory,
    "open descriptors": lambda each: each.descriptors,
    "threads": lambda each: each.threads,
}
_TEXT: Final = """\
# A soak: hours of lost connections

`make soak HOURS={hours:g}` wrote this page. A producer and a consumer work at 200 messages a second while one
connection is reset every half a second ({resets:,} in all) and a second producer and a second consumer beside them, at
the same rate, are ended and started again, by SIGTERM and SIGKILL in turn ({restarts:,} times). `make test` runs two
minutes of it.

![memory, descriptors, threads and pauses over time](soak.svg)

| at minute | service | memory, MiB | descriptors | threads |
|---|---|---|---|---|
{rows}

The figures are medians of the {window:.3g} minutes before. {messages:,} messages: {verdict}. Duplicates:
{duplicated:,}, of what was in flight when a connection or process was lost. The longest time without a handled message
was {pause:.1f} s.
"""


def document(soak: Soak, complaints: Sequence[str]) -> str:
    """The page."""
    return _TEXT.format(
        hours=soak.seconds / 3600,
        resets=soak.resets,
        restarts=soak.restarts,
        rows="\n".join(_rows(soak)),
        window=soak.seconds * WARM / 60,
        messages=soak.messages,
        verdict="; ".join(complaints) or "lost 0, unexpected 0, and nothing grew",
        duplicated=soak.duplicated,
        pause=max(pause for _, pause in soak.pauses),
    )


def _rows(soak: Soak) -> Iterator[str]:
    for share in (WARM, 0.5, 1.0):
        for name, samples in soak.services.items():
            one = at(soak, samples, share)
            yield f"| {one.at / 60:.3g} | {name} | {one.memory:.1f} | {one.descriptors} | {one.threads} |"


def picture(soak: Soak) -> str:
    """The whole file: a panel for each figure."""
    width, height = 2 * (_WIDTH + 60), 2 * (_HEIGHT + 64) + 24
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    label = "memory, descriptors, threads and pauses over time"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{label}">\n'
        f"<style>{_STYLE}</style>\n" + "\n".join(_parts(soak)) + "\n</svg>\n"
    )


def _parts(soak: Soak) -> Iterator[str]:
    yield _text(0, 16, f"{soak.seconds / 60:.3g} minutes, a connection lost twice a second", "title")
    yield _text(480, 16, "producer", "producer")
    yield _text(550, 16, "consumer", "consumer")
    for number, (title, of) in enumerate(_PANELS.items()):
        lines = {name: [(each.at, of(each)) for each in samples] for name, samples in soak.services.items()}
        yield from _panel(number, title, lines, soak.seconds)
    yield from _panel(3, "longest pause between two handled messages, s", {"pause": soak.pauses}, soak.seconds)


def _panel(number: int, title: str, lines: dict[str, list[tuple[float, float]]], seconds: float) -> Iterator[str]:
    left, top = number % 2 * (_WIDTH + 60), 44 + number // 2 * (_HEIGHT + 64)
    bottom, most = top + 8 + _HEIGHT, 1.2 * max(value for line in lines.values() for _, value in line) or 1.0
    yield _text(left, top, title, "quiet")
    yield f'<path class="axis" d="M{left} {top + 8}V{bottom}H{left + _WIDTH}"/>'
    yield _text(left + _WIDTH + 4, top + 16, f"{most:.3g}", "quiet")
    yield _text(left + _WIDTH + 4, bottom, "0", "quiet")
    yield _text(left + _WIDTH - 40, bottom + 16, f"{seconds / 60:.3g} min", "quiet")
    for name, line in lines.items():
        points = " ".join(
            f"{left + _WIDTH * at / seconds:.1f},{bottom - _HEIGHT * value / most:.1f}" for at, value in line
        )
        yield f'<polyline class="{name}" points="{points}"/>'


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{style}">{escape(text)}</text>'
