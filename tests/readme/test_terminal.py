"""The pictures of a terminal are drawn as it was, and show what the commands still say."""

import re
import xml.etree.ElementTree as ET

import pytest

from local.counts import Counts
from local.view import summary
from tests.readme.terminal import COLOURS, draw, picture, spans

SVG = "{http://www.w3.org/2000/svg}"
SUMMARY = summary(Counts(confirmed=1, handled=1), 1.0, exact=True, keeps=True)
WORDS = {
    "run": ["make run COUNT=1000 DOCKER=no", "Ctrl-C stops", *re.findall(r"^\w+", SUMMARY, re.MULTILINE)],
    "dead-letters": ["consumer dead-letters list"],  # and the heads of its table
    "verify": ["consumer verify", "verified: nothing is lost"],  # and its counts
    "doctor": ["doctor", "✓", "permissions", "alarms", "the broker can be used; 1 warning"],
}


def test_columns_and_colours_are_where_the_terminal_had_them() -> None:
    """Words that stand together stay together."""
    line = "  \x1b[32m✓\x1b[0m tcp   1.2 ms  \x1b[31ma<b\x1b[39m"
    found = list(spans(line))
    assert found == [(2, COLOURS["32"], "✓"), (4, "", "tcp"), (10, "", "1.2 ms"), (18, COLOURS["31"], "a<b")]
    texts = list(ET.fromstring(draw("x", [line, "", "end"])).iter(f"{SVG}text"))
    assert [each.text for each in texts] == ["✓", "tcp", "1.2 ms", "a<b", "end"]
    assert texts[-1].get("x") < texts[0].get("x")  # type: ignore[operator]


@pytest.mark.parametrize("name", WORDS)
def test_a_picture_shows_what_its_command_says(name: str) -> None:
    """`python -m tests.readme.terminal` draws all of them anew."""
    words = list(WORDS[name])
    if name == "dead-letters":  # whoever deletes that package skips this
        words += pytest.importorskip("consumer.dead_letters.render").HEAD
    if name == "verify":  # the same
        words += pytest.importorskip("consumer.verify.trial").Results().counts()
    shown = [each.text for each in ET.parse(picture(name)).iter(f"{SVG}text")]
    assert [word for word in words if word not in shown] == []
