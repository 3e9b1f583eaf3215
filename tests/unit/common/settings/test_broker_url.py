"""MQ_URL: what is understood, what is refused, and that a password stays where it is."""

import traceback
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.settings.broker_url import BrokerUrl, parse_urls

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
HOST = st.from_regex(r"[a-z][a-z0-9-]{0,10}(\.[a-z]{1,5})?", fullmatch=True)
# No part of a sentence of ours, so that finding it in one proves that it leaked.
SECRET = "Zq7Xj9Kv"


URLS = st.builds(BrokerUrl, HOST, st.integers(1, 65535), TEXT.filter(bool), TEXT, TEXT, st.booleans())


@given(URLS)
def test_what_is_percent_encoded_comes_back_whole(url: BrokerUrl) -> None:
    """Any user, password and virtual host can be written."""
    user, word, name = (quote(part, safe="") for part in (url.username, url.password, url.vhost))
    assert parse_urls(f"{'amqps' if url.tls else 'amqp'}://{user}:{word}@{url.host}:{url.port}/{name}") == (url,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("amqp://h", BrokerUrl("h", 5672, "/", "guest", "guest", tls=False)),
        ("amqp://h/", BrokerUrl("h", 5672, "/", "guest", "guest", tls=False)),
        ("amqp://h/%2F", BrokerUrl("h", 5672, "/", "guest", "guest", tls=False)),
        ("amqps://h/v", BrokerUrl("h", 5671, "v", "guest", "guest", tls=True)),
        ("amqp://u:@h:1", BrokerUrl("h", 1, "/", "u", "", tls=False)),
        ("amqp://[::1]:5673", BrokerUrl("::1", 5673, "/", "guest", "guest", tls=False)),
        ("  amqp://h \n", BrokerUrl("h", 5672, "/", "guest", "guest", tls=False)),
        ("amqp://u:p@ss@h", BrokerUrl("h", 5672, "/", "u", "p@ss", tls=False)),
    ],
)
def test_what_is_left_out_has_its_usual_value(text: str, expected: BrokerUrl) -> None:
    """Ports of AMQP, the virtual host "/", the user guest."""
    assert parse_urls(text) == (expected,)


def test_several_brokers_keep_their_order() -> None:
    """A comma between them, white space around."""
    assert [url.host for url in parse_urls("amqp://b, amqp://a ,amqps://c")] == ["b", "a", "c"]


@pytest.mark.parametrize("host", ["a.b.", 63 * "a" + ".b", "münchen.example", "fe80::1%eth0.1", "10.0.0.1", "a_b"])
def test_what_can_be_looked_up_is_a_host(host: str) -> None:
    """With a final dot, as long as can be, international, and as addresses."""
    url = f"amqp://[{host}]" if ":" in host else f"amqp://{host}"
    assert parse_urls(url)[0].host == host


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "must start with amqp:// or amqps://"),
        ("http://h", "must start with amqp:// or amqps://"),
        ("amqp://", "no host name"),
        ("amqp://:1", "no host name"),
        ("amqp://a..b", "1 to 63 characters"),
        ("amqp://.a", "1 to 63 characters"),
        ("amqp://" + 64 * "a", "1 to 63 characters"),
        ("amqp://ü..b", "1 to 63 characters"),
        ("amqp://a." + 60 * "ü", "1 to 63 characters"),
        ("amqp://h:0", "port 0"),
        ("amqp://h:99999", "host or port"),
        ("amqp://h:port", "host or port"),
        ("amqp://[::1", "host or port"),
        ("amqp://h/v?heartbeat=1", "? or # part"),
        ("amqp://h/v#x", "? or # part"),
        ("amqp://h/a/b", "%2F"),
        ("amqp://u:p w@h", "white space"),
        ("amqp://h,", "URL 2 of 2: must start"),
        ("amqp://a,b://c", "URL 2 of 2: must start"),
    ],
)
def test_what_is_wrong_is_said(text: str, sentence: str) -> None:
    """Each mistake has its sentence, and of several URLs the number."""
    with pytest.raises(ValueError, match=sentence.replace("?", r"\?").replace("(", r"\(")):
        parse_urls(text)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), st.text(max_size=8))
def test_no_error_and_no_log_line_holds_the_password(before: str, after: str) -> None:
    """However it is written and whatever is wrong around it."""
    text = f"amqp://user:{before}{SECRET}{after}@rabbit:5672/v"
    try:
        shown = " ".join(f"{url} {url!r}" for url in parse_urls(text))
    except ValueError:
        shown = traceback.format_exc()  # with all errors that it came of
    assert SECRET not in shown


@pytest.mark.parametrize("password", [f"1234/{SECRET}", f"{SECRET}?x", f"{SECRET}#x", f"12/{SECRET}/x", f"/{SECRET}"])
def test_a_password_that_must_be_percent_encoded_is_refused_and_not_taken_for_a_virtual_host(password: str) -> None:
    """Digits before a / look like a port."""
    with pytest.raises(ValueError, match=r"percent-encode|%2F"):
        parse_urls(f"amqp://user:{password}@rabbit")


def test_an_ipv6_host_is_logged_in_brackets() -> None:
    """So that it can be copied into MQ_URL."""
    assert str(parse_urls("amqps://u:p@[::1]/v")[0]) == "amqps://u@[::1]:5671/v"
