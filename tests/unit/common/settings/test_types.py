"""Durations, delays and queue names as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.amqp.topology import Topology
from common.settings.types import (
    check_ends,
    check_plugin,
    check_queue_name,
    check_visible,
    format_duration,
    parse_delays,
    parse_duration,
)

YEAR_MS = 365 * 24 * 3600 * 1000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("5s", 5),
        ("2m", 120),
        ("1h", 3600),
        ("1.5s", 1.5),
        (" 10s ", 10),
        ("0s", 0),
        ("8760h", 31536000),
    ],
)
def test_a_duration_is_a_number_and_its_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "-5s", "5 s", "5S", "5d", "1h30m", "inf", "nans", ".5s", "5.s", "1e3s"])
def test_any_other_duration_is_refused_with_the_units(text: str) -> None:
    """Also a bare number, whose unit nobody knows."""
    with pytest.raises(ValueError, match="ms, s, m or h"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["8761h", "9" * 400 + "s"])
def test_a_duration_longer_than_a_year_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="year"):
        parse_duration(text)


@given(st.integers(0, YEAR_MS))
def test_a_written_duration_is_read_back(milliseconds: int) -> None:
    """For every whole millisecond up to a year."""
    seconds = milliseconds / 1000
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize("text", ["0ms", "250ms", "1500ms", "5s", "90s", "5m", "1h", "36h"])
def test_a_duration_is_written_in_its_shortest_form(text: str) -> None:
    """Names of retry queues are made of that form, so it must not change."""
    assert format_duration(parse_duration(text)) == text


@given(st.lists(st.integers(1, 49 * 24 * 3600 * 1000), min_size=1, max_size=20))
def test_delays_are_durations_with_commas_between(milliseconds: list[int]) -> None:
    """With or without white space."""
    texts = [format_duration(each / 1000) for each in milliseconds]
    for text in (",".join(texts), " , ".join(texts)):
        assert parse_delays(text) == pytest.approx(tuple(each / 1000 for each in milliseconds))


@pytest.mark.parametrize("text", ["", "off", " off "])
def test_no_delays_mean_no_retries(text: str) -> None:
    """A failed message is then parked at once."""
    assert parse_delays(text) == ()


@pytest.mark.parametrize(
    "text", ["5", "5s,", ",5s", "0s", "5s,0ms", "0.0001s", "5s;30s", ",".join(["1s"] * 21), "1440h"]
)
def test_delays_that_no_queue_can_have_are_refused(text: str) -> None:
    """The broker takes a TTL of up to 49 days."""
    with pytest.raises(ValueError, match=r".*"):
        parse_delays(text)


@pytest.mark.parametrize("name", ["jobs", "a", "ü" * 100, "with space", 'a"b', "x" * 235])
def test_a_queue_name_that_the_broker_takes_is_accepted(name: str) -> None:
    assert check_queue_name(name) == name


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "empty"),
        ("x" * 236, "longer than 235 bytes"),
        ("ü" * 128, "longer"),
        ("a\nb", "U\\+000A"),
        ("a\x7fb", "U\\+007F"),
        ("a\x85b", "U\\+0085"),
        ("amq.x", "belong to the broker"),
    ],
)
def test_a_queue_name_that_the_broker_refuses_is_refused_with_the_reason(name: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        check_queue_name(name)


@pytest.mark.parametrize("delay", [0.001, 1.5, 3.999, 90_061.001, 8759.999 * 3600, 365 * 24 * 3600])
def test_the_retry_queue_of_the_longest_name_fits_for_any_delay(delay: float) -> None:
    """AMQP's names have at most 255 bytes."""
    longest = max((size for size in range(256) if accepted("x" * size)), default=0)
    assert len(Topology("x" * longest).retry(delay)) <= 255


def accepted(name: str) -> bool:
    try:
        return bool(check_queue_name(name))
    except ValueError:
        return False


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("jobs\r", "U+000D, the carriage return of a Windows line end"),
        ("jo\nbs", "U+000A"),
        ("jo\tbs", "U+0009"),
        ("jobs\x1b", "U+001B"),
        ("jobs\u00a0", "U+00A0 NO-BREAK SPACE"),
        ("\ufeffjobs", "U+FEFF ZERO WIDTH NO-BREAK SPACE"),
        ("jo\u200bbs", "U+200B ZERO WIDTH SPACE"),
        ("jo\u00adbs", "U+00AD SOFT HYPHEN"),
        ("jo\u202ebs", "U+202E RIGHT-TO-LEFT OVERRIDE"),
        ("jo\u2028bs", "U+2028 LINE SEPARATOR"),
        ("jo\u3000bs", "U+3000 IDEOGRAPHIC SPACE"),
        ("jo\u3164bs", "U+3164 HANGUL FILLER"),
        ("jo\u2800bs", "U+2800 BRAILLE PATTERN BLANK"),
        ("jobs\ufe0f", "U+FE0F VARIATION SELECTOR-16"),
        ("jobs\U000e0100", "U+E0100 VARIATION SELECTOR-17"),
        ("jobs\u17b4", "U+17B4 KHMER VOWEL INHERENT AQ"),
    ],
)
def test_a_character_that_nobody_sees_is_refused_by_its_name(text: str, named: str) -> None:
    """It makes another queue, or another file, of a name that looks the same."""
    with pytest.raises(ValueError, match="nobody sees") as caught:
        check_visible(text)
    assert named in str(caught.value)


@pytest.mark.parametrize("text", ["", "jobs", "a b", "größe", "注文", "файл", "\udcff"])
def test_characters_that_can_be_seen_are_accepted(text: str) -> None:
    """The last one is a byte of a file's name that is no UTF-8, which Linux allows."""
    assert check_visible(text) == text


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("jobs ", "U+0020 SPACE"),
        (" jobs", "U+0020 SPACE"),
        ('"jobs"', "U+0022 QUOTATION MARK"),
        ("'jobs'", "U+0027 APOSTROPHE"),
        ("jobs'", "U+0027 APOSTROPHE"),
        ("`jobs`", "U+0060 GRAVE ACCENT"),
    ],
)
def test_a_blank_or_a_quote_at_an_end_is_refused_by_its_name(text: str, named: str) -> None:
    """`docker run --env-file` keeps both. A queue, a file and a plugin are told alike."""
    for check, value in ((check_ends, text), (check_queue_name, text), (check_plugin, f"append:{text}")):
        with pytest.raises(ValueError, match="begins or ends with") as caught:
            check(value)
        assert named in str(caught.value)


def test_a_queue_name_that_is_no_utf_8_is_refused_with_a_sentence() -> None:
    with pytest.raises(ValueError, match="bytes that are no UTF-8"):
        check_queue_name("jobs\udcff")
