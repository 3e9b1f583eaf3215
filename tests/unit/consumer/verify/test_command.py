"""What is counted, and what people and programs read of it."""

import json
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.verify.command import Bucket, as_object, buckets, draw, duration, progress, rows
from consumer.verify.trial import Results, percentile


def test_a_message_that_is_confirmed_and_did_not_come_is_lost() -> None:
    """Until it comes; one that comes before its confirm is not lost."""
    results = Results()
    first, second = results.send(1.0), results.send(1.0)
    results.confirmed.add(first)
    assert list(results.counts().values()) == [2, 1, 0, 1, 0]
    results.handle(second, 1.5)
    assert results.counts()["lost"] == 1
    results.handle(first, 2.0)
    assert list(results.counts().values()) == [2, 1, 2, 0, 0]
    assert results.latencies == [0.5, 1.0]
    assert results.age(results.last_at) == 1.0


def test_before_the_first_message_no_time_has_passed() -> None:
    """A rate counts from there."""
    assert Results().age(100.0) == 0.0


@given(st.lists(st.integers(0, 9), max_size=40), st.sets(st.integers(0, 9)))
def test_each_message_counts_once_and_every_more_is_a_duplicate(came: list[int], confirmed: set[int]) -> None:
    """Whatever comes, in whatever order."""
    results = Results()
    for _ in range(10):
        results.send(0.0)
    for number in confirmed:
        results.confirmed.add(number)
        results.confirmed.add(number)
    for number in came:
        results.handle(number, 1.0)
    counts = results.counts()
    assert counts["confirmed"] == len(confirmed)
    assert counts["handled"] == len(results.latencies) == len(set(came))
    assert counts["duplicates"] == len(came) - len(set(came))
    assert counts["lost"] == len(confirmed - set(came))


latencies = st.lists(st.floats(0, 10_000), min_size=1, max_size=200)


@given(latencies, st.integers(1, 100))
def test_a_percentile_is_one_of_the_values_that_so_many_do_not_exceed(values: list[float], percent: int) -> None:
    """The smallest of those."""
    ordered = sorted(values)
    found = percentile(ordered, percent)
    assert found in ordered
    assert sum(value <= found for value in ordered) * 100 >= percent * len(ordered)
    assert sum(value < found for value in ordered) * 100 < percent * len(ordered)


@given(latencies)
def test_each_value_is_in_one_bucket_and_no_bucket_stands_empty_at_an_end(values: list[float]) -> None:
    """They adjoin."""
    found = buckets(values)
    assert sum(bucket.messages for bucket in found) == len(values)
    assert found[0].messages
    assert found[-1].messages
    assert [bucket.high for bucket in found[:-1]] == [bucket.low for bucket in found[1:]]
    for low, high, messages in found:
        assert messages == sum(low < value <= high or value == low == 0 for value in values)


def test_there_is_nothing_to_draw_of_nothing() -> None:
    """A run may end before a message came."""
    assert buckets([]) == []
    assert draw([], 10, blocks=True) == []


def test_bars_are_as_long_as_their_counts_and_what_is_there_is_seen() -> None:
    """To an eighth of a character, or in ASCII."""
    found = [Bucket(0.001, 0.0016, 1), Bucket(0.0016, 0.0025, 0), Bucket(0.0025, 0.004, 1600), Bucket(630.0, inf, 810)]
    assert draw(found, 10, blocks=True) == [
        "   1 ms - 1.6 ms      1  ▏",
        " 1.6 ms - 2.5 ms      0",
        " 2.5 ms - 4 ms    1,600  ██████████",
        "  630 s - inf s     810  █████▏",
    ]
    assert [line.partition("  ")[2].count("#") for line in draw(found, 10, blocks=False)] == [1, 0, 10, 6]
    assert all(line.isascii() for line in draw(found, 10, blocks=False))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0000104, "10.4 us"),
        (0.00025, "250 us"),
        (0.001, "1 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1,000 ms"),
        (12345, "12,345 s"),
        (2, "2 s"),
    ],
)
def test_a_duration_has_three_digits(seconds: float, text: str) -> None:
    """Enough to compare."""
    assert duration(seconds) == text


def counted(sent: int, confirmed: int, handled: int) -> Results:
    """The message of number n took n + 1 ms."""
    made = Results()
    for number in range(sent):
        made.send(10.0)
        if number < confirmed:
            made.confirmed.add(number)
    for number in range(handled):
        made.handle(number, 10.0 + (number + 1) / 1000)
    return made


def test_the_counts_the_latency_and_a_histogram_are_shown() -> None:
    """In a column."""
    lines = rows(counted(1500, 1200, 1000), blocks=True)
    assert [line.split() for line in lines[:5]] == [
        ["attempted", "1,500"],
        ["confirmed", "1,200"],
        ["handled", "1,000"],
        ["lost", "200"],
        ["duplicates", "0"],
    ]
    assert lines[5].split()[:4] == ["rate", "1,000", "a", "second,"]
    assert "p50 500 ms   p99 990 ms   max 1 s" in lines[6]
    assert any("█" * 40 in line for line in lines)
    assert all(line.isascii() for line in rows(counted(5, 5, 5), blocks=False))


def test_when_nothing_came_there_are_only_counts() -> None:
    """Nothing is divided by it."""
    assert len(rows(counted(3, 3, 0), blocks=True)) == 5
    assert as_object(counted(3, 3, 0))["latency_seconds"] == {}


def test_the_object_is_json() -> None:
    """Without infinity, which JSON does not have."""
    made = counted(2, 2, 1)
    made.handle(1, 10_000.0)
    made.handle(1, 10_001.0)
    found = json.loads(json.dumps(as_object(made), allow_nan=False))
    assert (found["attempted"], found["lost"], found["duplicates"]) == (2, 0, 1)
    assert found["latency_seconds"] == {"p50": 0.001, "p99": 9990.0, "max": 9990.0}
    assert found["histogram"][-1] == {"over": 630.0, "to": None, "messages": 1}


def test_the_line_that_moves_says_what_it_waits_for() -> None:
    """If there is anything."""
    assert progress(counted(5, 4, 3), 1000, []) == "confirmed 4 and handled 3 of 1,000"
    assert progress(counted(0, 0, 0), 5, ["a: connecting", "b"]).endswith("of 5  (a: connecting; b)")
