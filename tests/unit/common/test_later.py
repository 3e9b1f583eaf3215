"""A module that is loaded when something of it is asked for."""

import subprocess
import sys

import pytest

from common.later import Later

BEGIN = """
import sys
from common.later import Later
later = Later("asyncio")
later.stand_in()
"""


def run(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)


def test_who_imports_it_has_it_at_the_first_need_and_all_others_the_real_one() -> None:
    """Both are of one kind: what one makes, the other knows."""
    run(f"""{BEGIN}
import asyncio as early
assert early is later
later.give_way()
assert "asyncio" not in sys.modules
early.Queue
import asyncio
assert asyncio is not later and early.Queue is asyncio.Queue
async def answer():
    return early.get_running_loop() is asyncio.get_running_loop()
assert asyncio.run(answer())
""")


@pytest.mark.parametrize("statement", ["from asyncio import run", "import asyncio.queues"])
def test_who_needs_it_at_once_gets_it_at_once(statement: str) -> None:
    """As a later version of a library may."""
    run(f"{BEGIN}{statement}\nassert sys.modules['asyncio'] is not later and sys.modules['asyncio.queues']")


def test_a_line_of_the_log_does_not_need_it() -> None:
    """From Python 3.12 on it has the name of a task, if asyncio is there."""
    run(f"{BEGIN}assert not later\nimport logging\nlogging.makeLogRecord({{}})\nassert sys.modules['asyncio'] is later")


def test_what_it_has_not_is_an_error_as_ever() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        Later("string").nothing  # noqa: B018


def test_what_is_there_stays() -> None:
    """A program that loads a service has its own already."""
    before = sys.modules["string"]
    later = Later("string")
    later.stand_in()
    later.give_way()
    assert sys.modules["string"] is before


def test_what_it_has_of_its_own_answers_while_it_stands_in() -> None:
    """Then the module's does."""
    run("""
from common.later import Later
later = Later("colorsys", rgb_to_hsv=lambda *_: "not yet", __path__=[])
later.stand_in()
from colorsys import rgb_to_hsv
assert rgb_to_hsv(1, 1, 1) == "not yet"
later.give_way()
from colorsys import rgb_to_hsv
assert rgb_to_hsv(1, 1, 1) == (0, 0, 1)
""")
