"""The settings of both services."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from common.settings.shared import Settings, check_readable
from tests.processes import ROOT, output

URL = "amqp://user:Zq7Xj9Kv@rabbit/"


def make(**values: object) -> Settings:
    return Settings.model_validate({"mq_url": URL, "mq_ch": "jobs", **values})


def test_settings_are_built_when_they_are_first_read() -> None:
    """A service reads its own class, and never the shared one."""

    class Own(Settings):
        pass

    assert not Own.__pydantic_complete__
    Own.model_validate({"mq_url": URL, "mq_ch": "jobs"})
    assert Own.__pydantic_complete__


def test_a_file_that_cannot_be_read_is_refused_at_the_start(tmp_path: Path) -> None:
    """In the words of the system."""
    file = tmp_path / "ca.crt"
    with pytest.raises(ValueError, match="No such file"):
        check_readable(file)
    with pytest.raises(ValueError, match="Is a directory"):
        check_readable(tmp_path)
    file.write_text("x")
    assert check_readable(file) == file


def test_a_plugin_that_changes_the_working_folder_does_not_move_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read again at every connect."""
    (tmp_path / "mq-url").write_text(URL)
    monkeypatch.chdir(tmp_path)
    settings = make(mq_url=None, mq_url_file="mq-url")
    monkeypatch.chdir("/")
    assert settings.problems() == {}


def test_a_value_with_a_character_that_nobody_sees_is_refused_whatever_the_setting() -> None:
    """Only MQ_URL, of which nothing may be shown, has an error of its own, and takes a line end."""
    for name in Settings.model_fields.keys() - {"mq_url"}:
        with pytest.raises(ValidationError, match=r"nobody sees: U\+000D"):
            make(**{name: "1\r"})
    assert make(mq_url=f"{URL}\r\n").broker_urls()


def test_a_pipe_as_a_file_is_refused_at_once(tmp_path: Path) -> None:
    """Opening a pipe would wait for a writer, and no signal would be heard."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ValueError, match="is a pipe"):
        check_readable(pipe)


def test_a_path_that_cannot_be_examined_is_refused_with_a_sentence(tmp_path: Path) -> None:
    """Such as a file in a folder of another user's; this path fails for root, too."""
    with pytest.raises(ValueError, match="cannot be read: File name too long"):
        check_readable(tmp_path / ("x" * 300))


def test_exactly_one_of_mq_url_and_mq_url_file_must_be_set() -> None:
    with pytest.raises(ValidationError, match="mq_url"):
        make(mq_url=None)
    assert "MQ_URL_FILE" in make(mq_url_file=__file__).problems()
    assert make().problems() == {}


def test_a_file_with_the_url_is_read_at_every_connect(tmp_path: Path) -> None:
    """A password can be changed in a running pod."""
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


ASCII = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}  # a locale without UTF-8


@pytest.mark.parametrize("content", ["amqp://u:pä@h/", "\ufeffamqp://u:pä@h/\r\n", "amqp://u:p%C3%A4@h/"])
def test_an_mq_url_file_is_utf_8_whatever_the_locale(tmp_path: Path, content: str) -> None:
    """With or without the byte order mark of a Windows editor, and its line end."""
    (tmp_path / "mq-url").write_text(content, "utf-8")
    script = (
        "import locale\n"
        "from common.settings.shared import Settings\n"
        "assert locale.getpreferredencoding(False).lower() != 'utf-8'\n"
        f"made = Settings(mq_url_file={str(tmp_path / 'mq-url')!r}, mq_ch='jobs')\n"
        "assert made.problems() == {}, made.problems()\n"
        "print(ascii(made.broker_urls()[0].password))"
    )
    assert output([sys.executable, "-c", script], env=ASCII).strip() == "'p\\xe4'"


def test_no_file_is_read_or_written_in_the_encoding_of_the_locale() -> None:
    """Each call names its own; bytes have none."""
    for module in (path for package in ("common", "consumer", "producer") for path in (ROOT / package).rglob("*.py")):
        for call in re.findall(r"\.(?:read|write)_text\(.*", module.read_text("utf-8")):
            assert "utf-8" in call, (module, call)


def test_an_mq_url_file_that_is_no_text_is_refused_and_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "mq-url"
    file.write_bytes(b"amqp://u:Zq7\xffXj9Kv@h/")
    said = make(mq_url=None, mq_url_file=file).problems()["MQ_URL_FILE"]
    assert "percent-encode" in said
    assert not any(part in said for part in ("Zq7", "Xj9Kv", "ff", "udcff"))


def test_a_key_with_a_pass_phrase_is_refused_and_nobody_is_asked(tmp_path: Path) -> None:
    """OpenSSL would wait for the pass phrase at each connect, and no signal would be heard."""
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
def test_an_http_host_that_cannot_be_looked_up_is_refused(host: str) -> None:
    """Python would raise an error that is no OSError."""
    with pytest.raises(ValidationError, match="no host name"):
        make(http_host=host)


def test_a_certificate_and_its_key_go_together() -> None:
    assert "MQ_TLS_CERT_FILE" in make(mq_tls_cert_file=__file__).problems()
    assert "MQ_TLS_CERT_FILE" in make(mq_tls_key_file=__file__).problems()
    both = make(mq_tls_cert_file=__file__, mq_tls_key_file=__file__).problems()
    assert "PEM" in both["MQ_TLS_CA_FILE"]


def test_no_form_of_the_settings_shows_the_password() -> None:
    settings = make()
    shown = f"{settings} {settings!r} {settings.broker_urls()} {settings.broker_urls()[0]} {settings.model_dump()}"
    assert "Zq7Xj9Kv" not in shown
    assert settings.broker_urls()[0].password == "Zq7Xj9Kv"


def test_a_wrong_url_is_refused_and_not_shown() -> None:
    """Pydantic's error may be logged."""
    with pytest.raises(ValidationError) as caught:
        make(mq_url="amqp://user:Zq7Xj9Kv@rabbit:port/")
    assert "Zq7Xj9Kv" not in str(caught.value)


def test_settings_are_immutable() -> None:
    with pytest.raises(ValidationError):
        make().mq_ch = "other"


@pytest.mark.parametrize("given", ["mq_tls_ca_file", "mq_tls_cert_file"])
@pytest.mark.parametrize("url", ["amqp://h", "amqps://h,amqp://h"])
def test_files_for_tls_with_a_url_that_has_none_are_refused(given: str, url: str, tmp_path: Path) -> None:
    """Whoever sets them believes that the password is encrypted. A file of the URL is looked at at each connect."""
    crt, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=me"]
    output(["openssl", "req", "-x509", *new, "-keyout", str(key), "-out", str(crt)])
    files = {given: crt} | ({"mq_tls_key_file": key} if given == "mq_tls_cert_file" else {})
    assert "amqps://" in make(mq_url=url, **files).problems()["MQ_URL"]
    assert make(mq_url="amqps://h", **files).problems() == {}
    file = tmp_path / "mq-url"
    file.write_text("amqps://h")
    settings = make(mq_url=None, mq_url_file=file, **files)
    assert settings.problems() == {}
    file.write_text(url)
    assert "amqps://" in settings.problems()["MQ_URL_FILE"]
    with pytest.raises(ValueError, match="amqps://"):
        settings.broker_urls()


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("log_level", "INFO"),
        ("log_level", "Debug"),
        ("log_format", "JSON"),
        ("mq_topology", "Assert"),
        ("mq_wire", "PIKA"),
    ],
)
def test_a_word_of_a_choice_may_be_written_in_capitals(name: str, word: str) -> None:
    """As other programs write their log levels."""
    settings = Settings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs", name: word})
    assert getattr(settings, name) == word.lower()
    with pytest.raises(ValidationError):
        Settings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs", name: "LOUD"})
