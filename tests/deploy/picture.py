"""`python -m tests.deploy.picture`: docs/dashboard.svg, the dashboard's panels from the data of a real Prometheus."""

import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from tests.deploy.compose import Project
from tests.deploy.monitoring import PANELS, filled
from tests.deploy.prometheus import Prometheus, programs
from tests.deploy.watched import Phase, Watched
from tests.processes import ROOT

PICTURE = ROOT / "docs" / "dashboard.svg"
PHASE, STEP = 15.0, 1.0  # seconds: of each phase at least, and between two points
TOP, COLUMN, ROW = 60, 40, 23  # pixels: the heading, and the units of gridPos
LEFT, ABOVE, BELOW = 56, 26, 48  # of a panel, around its lines
COLOURS = ("#0969da", "#cf222e", "#bf8700", "#1a7f37", "#8250df", "#57606a")
BANDS = {"handler fails": "#bf8700", "broker away": "#cf222e", "memory alarm": "#8250df"}
STYLE = """
text{font:12px system-ui,sans-serif;fill:#1f2328} .title{font-weight:600} .quiet{fill:#59636e;font-size:11px}
.big{font-size:26px;font-weight:600} .frame{fill:none;stroke:#8c959f;stroke-opacity:.4}
polyline{fill:none;stroke-width:1.5}
@media(prefers-color-scheme:dark){text{fill:#e6edf3} .quiet{fill:#9198a1}}
"""
Line = tuple[str, list[tuple[float, float]]]  # its name in the legend, and (time, value)


def lines(prometheus: Prometheus, panel: dict[str, Any], start: float, end: float) -> list[Line]:
    """The series of a panel, as Grafana would ask for them."""
    found: list[Line] = []
    for target in panel["targets"]:
        expression = filled(target["expr"], "compose", "10s")
        for series in prometheus.ranges(expression, start, end, STEP):
            metric = series["metric"]
            name = re.sub(r"{{(\w+)}}", lambda match, metric=metric: metric.get(match[1], ""), target["legendFormat"])
            found.append((name, [(at, float(text)) for at, text in series["values"] if text != "NaN"]))
    return found


def written(value: float, unit: str) -> str:
    """A number of Grafana's `unit`, for people."""
    if unit == "s":
        return f"{value:,.1f} s" if value >= 1 or not value else f"{value * 1000:.3g} ms"
    if unit == "bytes":
        return f"{value / 2**30:.1f} GiB"
    return f"{value:.0%}" if unit == "percentunit" else f"{value:,.3g}" + "/s" * (unit == "mps")


def draw(data: Sequence[tuple[dict[str, Any], list[Line]]], phases: Sequence[Phase]) -> str:
    """The whole file, of panels and their lines."""
    start, end = phases[0].start, phases[-1].end
    height = TOP + ROW * max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel, _ in data)
    size = f'viewBox="0 0 {24 * COLUMN} {height}" width="{24 * COLUMN}" height="{height}"'
    parts = [_text(0, 16, f"The panels of the dashboard over {end - start:.0f} seconds", "title")]
    parts.append(_text(0, 34, "Drawn from Prometheus' data, not a screenshot of Grafana. Shaded:", "quiet"))
    for number, (name, colour) in enumerate(BANDS.items()):
        parts.append(f'<rect x="{390 + number * 110}" y="24" width="12" height="12" fill="{colour}" opacity=".3"/>')
        parts.append(_text(407 + number * 110, 34, name, "quiet"))
    for panel, found in data:
        place = panel["gridPos"]
        parts.append(f'<g transform="translate({place["x"] * COLUMN},{TOP + place["y"] * ROW})">')
        parts += _panel(panel, found, phases, place["w"] * COLUMN - 12, place["h"] * ROW - 12)
        parts.append("</g>")
    label = 'role="img" aria-label="the dashboard\'s panels"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {label}>\n<style>{STYLE}</style>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _panel(
    panel: dict[str, Any], found: list[Line], phases: Sequence[Phase], width: float, height: float
) -> Iterator[str]:
    unit = panel["fieldConfig"]["defaults"]["unit"]
    yield f'<rect class="frame" width="{width}" height="{height}" rx="4"/>'
    yield _text(8, 17, panel["title"], "title")
    if panel["type"] == "stat":
        yield _text(8, 54, " ".join(written(points[-1][1], unit) for _, points in found if points), "big")
        return
    start, end = phases[0].start, phases[-1].end
    most = panel["fieldConfig"]["defaults"].get("max") or max((v for _, points in found for _, v in points), default=0)
    across, down = (width - LEFT - 8) / (end - start), (height - ABOVE - BELOW) / (most or 1)
    bottom = height - BELOW
    for phase in phases:
        if phase.name in BANDS:
            at, wide = LEFT + (phase.start - start) * across, (phase.end - phase.start) * across
            yield f'<rect x="{at:.0f}" y="{ABOVE}" width="{wide:.0f}" height="{bottom - ABOVE}" {_shade(phase.name)}/>'
    yield f'<path class="frame" d="M{LEFT} {ABOVE}V{bottom}H{width - 8}"/>'
    yield _text(LEFT - 6, ABOVE + 8, written(most, unit), "quiet", "end")
    yield _text(LEFT - 6, bottom, written(0, unit), "quiet", "end")
    x, y = 8, height - 34
    for number, (name, points) in enumerate(found):
        colour = COLOURS[number % len(COLOURS)]
        for run in _runs(points):
            line = " ".join(f"{LEFT + (at - start) * across:.1f},{bottom - v * down:.1f}" for at, v in run)
            yield f'<polyline points="{line}" stroke="{colour}"/>'
        if x + 14 + 6.5 * len(name) > width:
            x, y = 8, y + 15
        yield f'<rect x="{x:.0f}" y="{y}" width="10" height="10" fill="{colour}"/>'
        yield _text(x + 14, y + 9, name, "quiet")
        x += 28 + 6.5 * len(name)


def _runs(points: list[tuple[float, float]]) -> Iterator[list[tuple[float, float]]]:
    """Without a line over where there is no data."""
    run: list[tuple[float, float]] = []
    for point in points:
        if run and point[0] - run[-1][0] > 1.5 * STEP:
            yield run
            run = []
        run.append(point)
    yield run


def _shade(name: str) -> str:
    return f'fill="{BANDS[name]}" opacity=".12"'


def _text(x: float, y: float, text: str, style: str, anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{style}" text-anchor="{anchor}">{escape(text)}</text>'


def main() -> None:
    """Play the troubles, and draw them."""
    with tempfile.TemporaryDirectory() as name:
        folder, debian, project = Path(name), Path(name, "debian"), Project()
        debian.mkdir()
        pair = Watched(project, programs(debian), folder)
        try:
            pair.start()
            pair.play(PHASE)
            start, end = pair.phases[0].start, pair.phases[-1].end
            data = [(panel, lines(pair.prometheus, panel, start, end)) for panel in PANELS]
        finally:
            project.remove()
    PICTURE.write_text(draw(data, pair.phases))
    print(PICTURE)


if __name__ == "__main__":
    main()
