"""A soak that grows is told, by what and how much; page and picture show what was measured."""

import xml.etree.ElementTree as ET

import pytest

from tests.chaos.soak.document import document, picture
from tests.chaos.soak.figures import Sample, Soak, at, flat

HOUR = 3600.0


def grown(memory: float = 0.0, descriptors: int = 0, threads: int = 0) -> Soak:
    """An hour in which a consumer grows evenly by so much; both fill their caches in the first minutes."""
    samples: dict[str, list[Sample]] = {"producer": [], "consumer": []}
    for step in range(1, 361):
        share = step / 360
        warm = min(step, 20) / 4
        samples["producer"].append(Sample(step * 10.0, 30 + warm, 12, 6))
        more = Sample(
            step * 10.0, 30 + warm + memory * share, 12 + round(descriptors * share), 6 + round(threads * share)
        )
        samples["consumer"].append(more)
    return Soak(HOUR, samples, [(step * 10.0, 0.4) for step in range(1, 361)], 7200, 240, 1_440_000, 900, ())


def test_what_stays_as_it_is_after_the_first_minutes_is_flat() -> None:
    assert flat(grown()) == []


@pytest.mark.parametrize(
    ("soak", "told"),
    [
        (grown(memory=3.0), "the consumer grew by 2.5 MiB"),
        (grown(descriptors=4), "the consumer has 4 more descriptors"),
        (grown(threads=2), "the consumer has 2 more threads"),
    ],
)
def test_what_grows_is_told(soak: Soak, told: str) -> None:
    assert flat(soak) == [told]


def test_a_service_that_was_seen_once_has_figures() -> None:
    one = [Sample(1.0, 30.0, 10, 5)]
    assert at(grown()._replace(services={"producer": one}), one, 0.5)[1:] == (30.0, 10, 5)


def test_the_page_has_the_figures_of_each_service_and_the_verdict() -> None:
    page = document(grown(), [])
    assert "| 60 | consumer | 35.0 | 12 | 6 |" in page
    assert "1,440,000 messages: lost 0, unexpected 0, and nothing grew." in page
    assert "the consumer grew" in document(grown(memory=9.0), flat(grown(memory=9.0)))


def test_the_picture_has_a_line_for_each_service_and_figure() -> None:
    lines = ET.fromstring(picture(grown())).findall(".//{http://www.w3.org/2000/svg}polyline")
    assert [line.attrib["class"] for line in lines] == ["producer", "consumer"] * 3 + ["pause"]
