"""The settings that both services share, and how they reach a program: `cli` is tested with them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from common.settings.shared import Settings, check_readable
from tests.processes import output

URL = "amqp://user:Zq7Xj9Kv@rabbit/"


def make(**values: object) -> Settings:
    return Settings.model_validate({"mq_url": URL, "mq_ch": "jobs", **values})


def test_settings_are_built_when_they_are_first_read() -> None:
    """A service reads its own, and never those that both share."""

    class Own(Settings):
        pass

    assert not Own.__pydantic_complete__
    Own.model_validate({"mq_url": URL, "mq_ch": "jobs"})
    assert Own.__pydantic_complete__


def test_a_file_that_cannot_be_read_is_said_before_the_first_connect(tmp_path: Path) -> None:
    """With the system's own words."""
    file = tmp_path / "ca.crt"
    with pytest.raises(ValueError, match="No such file"):
        check_readable(file)
    with pytest.raises(ValueError, match="Is a directory"):
        check_readable(tmp_path)
    file.write_text("x")
    assert check_readable(file) == file


def test_a_pipe_in_a_files_place_is_refused_at_once(tmp_path: Path) -> None:
    """Its `open` would wait for a writer, before any signal is heard."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ValueError, match="is a pipe"):
        check_readable(pipe)


def test_what_cannot_even_be_looked_at_is_a_sentence(tmp_path: Path) -> None:
    """Such as a file in a folder of somebody else's; this one for root, too."""
    with pytest.raises(ValueError, match="cannot be read: File name too long"):
        check_readable(tmp_path / ("x" * 300))


def test_the_broker_is_needed_once() -> None:
    """Not never and not twice."""
    with pytest.raises(ValidationError, match="mq_url"):
        make(mq_url=None)
    assert "MQ_URL_FILE" in make(mq_url_file=__file__).problems()
    assert make().problems() == {}


def test_a_file_with_the_url_is_read_at_every_connect(tmp_path: Path) -> None:
    """A password may be changed in a running pod."""
    file = tmp_path / "mq-url"
    file.write_text("amqp://a\n")
    settings = make(mq_url=None, mq_url_file=file)
    assert [url.host for url in settings.broker_urls()] == ["a"]
    file.write_text("amqp://b,amqp://c")
    assert [url.host for url in settings.broker_urls()] == ["b", "c"]
    file.write_text("")
    assert "must start with" in settings.problems()["MQ_URL_FILE"]
    file.unlink()
    assert str(file) in settings.problems()["MQ_URL_FILE"]


def test_a_file_that_is_no_text_is_refused_and_not_shown(tmp_path: Path) -> None:
    """Not one byte of it."""
    file = tmp_path / "mq-url"
    file.write_bytes(b"amqp://u:Zq7\xffXj9Kv@h/")
    said = make(mq_url=None, mq_url_file=file).problems()["MQ_URL_FILE"]
    assert "percent-encode" in said
    assert not any(part in said for part in ("Zq7", "Xj9Kv", "ff", "udcff"))


def test_a_key_with_a_pass_phrase_is_refused_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    """OpenSSL would wait for an answer, before any signal is heard and at each connect."""
    cert, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-passout", "pass:secret", "-subj", "/CN=me"]
    output(["openssl", "req", "-x509", *new, "-keyout", str(key), "-out", str(cert)])
    script = (
        "from common.settings.shared import Settings\n"
        f"made = Settings(mq_url='amqp://h', mq_ch='q', mq_tls_cert_file={str(cert)!r}, mq_tls_key_file={str(key)!r})\n"
        "print(made.problems())"
    )
    asked = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, text=True
    )
    with asked:
        try:
            assert asked.wait(30) == 0
        finally:
            asked.kill()
        assert asked.stdout
        assert "without a pass phrase" in asked.stdout.read()


@pytest.mark.parametrize("host", ["ü" * 70, "a..b", "x" * 64])
def test_where_to_listen_is_a_name_that_can_be_looked_up(host: str) -> None:
    """For others Python raises what is no OSError."""
    with pytest.raises(ValidationError, match="no host name"):
        make(http_host=host)


def test_a_certificate_needs_its_key() -> None:
    """And the other way round."""
    assert "MQ_TLS_CERT_FILE" in make(mq_tls_cert_file=__file__).problems()
    assert "MQ_TLS_CERT_FILE" in make(mq_tls_key_file=__file__).problems()
    both = make(mq_tls_cert_file=__file__, mq_tls_key_file=__file__).problems()
    assert "PEM" in both["MQ_TLS_CA_FILE"]


def test_the_password_is_shown_by_nothing() -> None:
    """Neither the settings nor their URLs, in any form that a log line takes."""
    settings = make()
    shown = f"{settings} {settings!r} {settings.broker_urls()} {settings.broker_urls()[0]} {settings.model_dump()}"
    assert "Zq7Xj9Kv" not in shown
    assert settings.broker_urls()[0].password == "Zq7Xj9Kv"


def test_a_wrong_url_is_refused_without_being_shown() -> None:
    """The error of pydantic is a log line too."""
    with pytest.raises(ValidationError) as caught:
        make(mq_url="amqp://user:Zq7Xj9Kv@rabbit:port/")
    assert "Zq7Xj9Kv" not in str(caught.value)


def test_settings_stay_as_they_were_checked() -> None:
    """Nobody changes them on the way."""
    with pytest.raises(ValidationError):
        make().mq_ch = "other"
