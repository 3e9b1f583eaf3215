"""pika's look-up of names, held against the pika that we lock."""

import threading
from threading import Event, Thread

import pytest
from pika.adapters.utils.selector_ioloop_adapter import SelectorIOServicesAdapter

import common.resolver
from tests.unit.conftest import Loop


def test_pika_looks_names_up_through_it(process: Loop) -> None:
    """And hears of the address."""
    found: list[object] = []
    SelectorIOServicesAdapter(process.loop).getaddrinfo("127.0.0.1", 5672, on_done=found.append)
    process.turn(lambda: found, "the address")
    assert "127.0.0.1" in str(found)


def test_a_look_up_that_hangs_does_not_keep_the_program_from_ending(
    process: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python joins all threads but daemons at its exit."""
    asked, answer, before = Event(), Event(), set(threading.enumerate())

    def hang(**_: object) -> list[object]:
        asked.set()
        answer.wait(30)
        return []

    monkeypatch.setattr("socket.getaddrinfo", hang)
    SelectorIOServicesAdapter(process.loop).getaddrinfo("host", 5672, on_done=lambda _: None)
    assert asked.wait(30)
    waiting: set[Thread] = set(threading.enumerate()) - before
    answer.set()
    assert waiting
    assert all(thread.daemon for thread in waiting)


def test_a_plain_name_is_looked_up_without_the_codec_of_international_ones(
    process: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which Python loads for any text."""
    asked: list[object] = []

    def answer(host: object, **_: object) -> list[object]:
        asked.append(host)
        return []

    monkeypatch.setattr("socket.getaddrinfo", answer)
    for number, name in enumerate(("rabbitmq-service", "häuschen"), 1):
        SelectorIOServicesAdapter(process.loop).getaddrinfo(name, 5672, on_done=lambda _: None)
        process.turn(lambda number=number: len(asked) == number, "the question")  # type: ignore[misc]
    assert asked == [b"rabbitmq-service", "häuschen"]


def test_a_second_install_changes_nothing() -> None:
    """It does not wrap itself."""
    common.resolver.install()
    assert common.resolver._Resolver.__mro__[1].__module__.startswith("pika.")
