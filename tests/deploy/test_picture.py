"""The picture of the dashboard shows what there is, and no line where there is no data."""

import xml.etree.ElementTree as ET

import pytest

from tests.deploy.monitoring import PANELS
from tests.deploy.picture import PICTURE, Line, draw, written
from tests.deploy.watched import Phase

SVG = "{http://www.w3.org/2000/svg}"
PHASES = [Phase("all well", 0, 10), Phase("broker away", 10, 20)]


def _titles(picture: str) -> list[str]:
    return [each[1].text or "" for each in ET.fromstring(picture).iter(f"{SVG}g")]


def test_every_panel_is_drawn_with_a_line_for_each_run_of_its_points() -> None:
    line: Line = ("a<b", [(1, 0.0), (2, 1.0), (3, 2.0), (9, 2.0), (10, 1.0)])
    picture = draw([(panel, [line]) for panel in PANELS], PHASES)
    assert _titles(picture) == [panel["title"] for panel in PANELS]
    lines = [panel for panel in PANELS if panel["type"] == "timeseries"]
    assert picture.count("<polyline") == 2 * len(lines)
    assert picture.count("a&lt;b") == len(lines)


def test_the_picture_in_the_docs_is_of_this_dashboard() -> None:
    """`python -m tests.deploy.picture` draws it."""
    assert _titles(PICTURE.read_text()) == [panel["title"] for panel in PANELS]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.0125, "s", "12.5 ms"), (12, "s", "12.0 s"), (0.5, "percentunit", "50%"), (2**31, "bytes", "2.0 GiB")],
)
def test_numbers_are_written_for_people(value: float, unit: str, text: str) -> None:
    assert written(value, unit) == text
