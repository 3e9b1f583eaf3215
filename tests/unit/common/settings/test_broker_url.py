"""MQ_URL: what is accepted, what is refused, and that no password is shown."""

import traceback
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.settings.broker_url import BrokerUrl, parse_urls

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
HOST = st.from_regex(r"[a-z][a-z0-9-]{0,10}(\.[a-z]{1,5})?", fullmatch=True)
# In no sentence of ours, so that finding it in one proves a leak.
SECRET = "Zq7Xj9Kv"


URLS = st.builds(BrokerUrl, HOST, st.integers(1, 65535), TEXT.filter(bool), TEXT, TEXT, st.booleans())


@given(URLS)
def test_user_password_and_virtual_host_are_percent_decoded(url: BrokerUrl) -> None:
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
def test_a_missing_part_of_a_url_has_its_usual_value(text: str, expected: BrokerUrl) -> None:
    """The ports of AMQP, the virtual host "/", the user guest."""
    assert parse_urls(text) == (expected,)


def test_several_brokers_keep_their_order() -> None:
    """With commas between, and white space around."""
    assert [url.host for url in parse_urls("amqp://b, amqp://a ,amqps://c")] == ["b", "a", "c"]


@pytest.mark.parametrize("host", ["a.b.", 63 * "a" + ".b", "münchen.example", "fe80::1%eth0.1", "10.0.0.1", "a_b"])
def test_a_host_that_can_be_looked_up_is_accepted(host: str) -> None:
    """With a final dot, of the greatest length, international, and as an address."""
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
        ("amqp://u:s3cr3t%zz@h", "a percent sign is written %25"),
        ("amqp://u:100%@h", "a percent sign is written %25"),
        ("amqp://u%4:p@h", "a percent sign is written %25"),
        ("amqp://h/50%off", "a percent sign is written %25"),
        ("amqp://a,amqp://u:%zz@h", "URL 2 of 2: a percent sign"),
        ("amqp://u:p%e4@h", "escapes that are no UTF-8"),
        ("amqp://h/v%ff", "escapes that are no UTF-8"),
        ("amqp://a,b://c", "URL 2 of 2: must start"),
    ],
)
def test_each_wrong_url_is_refused_with_its_sentence(text: str, sentence: str) -> None:
    """Of several URLs with the number of the wrong one."""
    with pytest.raises(ValueError, match=sentence.replace("?", r"\?").replace("(", r"\(")):
        parse_urls(text)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), st.text(max_size=8))
def test_no_error_and_no_log_line_holds_the_password(before: str, after: str) -> None:
    """However the password is written and whatever is wrong around it."""
    text = f"amqp://user:{before}{SECRET}{after}@rabbit:5672/v"
    try:
        shown = " ".join(f"{url} {url!r}" for url in parse_urls(text))
    except ValueError:
        shown = traceback.format_exc()  # with all chained errors
    assert SECRET not in shown


@pytest.mark.parametrize("password", [f"1234/{SECRET}", f"{SECRET}?x", f"{SECRET}#x", f"12/{SECRET}/x", f"/{SECRET}"])
def test_a_password_that_must_be_percent_encoded_is_refused_and_not_taken_for_a_virtual_host(password: str) -> None:
    """Digits before a / look like a port."""
    with pytest.raises(ValueError, match=r"percent-encode|%2F"):
        parse_urls(f"amqp://user:{password}@rabbit")


def test_an_ipv6_host_is_logged_in_brackets() -> None:
    """So that the address can be copied into MQ_URL."""
    assert str(parse_urls("amqps://u:p@[::1]/v")[0]) == "amqps://u@[::1]:5671/v"


@pytest.mark.parametrize("user", [SECRET, f"{SECRET}:", f"{SECRET}%2Fx"])
def test_a_user_without_a_password_may_be_a_token_and_is_not_shown(user: str) -> None:
    """Nor in what a broker says of it. Whoever has a password is shown, and so is the guest."""
    (url,) = parse_urls(f"amqps://{user}@rabbit/v")
    assert SECRET in url.username
    assert str(url) == "amqps://…@rabbit:5671/v"
    said = url.hide(f"403 ACCESS_REFUSED - access to vhost 'v' refused for user '{url.username}'")
    assert SECRET not in f"{url} {url!r} {said}"
    assert said.startswith("403 ACCESS_REFUSED - access to vhost 'v' refused for user '")
    assert str(parse_urls("amqp://guest@h")[0]) == "amqp://guest@h:5672/"
    assert parse_urls("amqp://u:p@h")[0].hide("u") == "u"
