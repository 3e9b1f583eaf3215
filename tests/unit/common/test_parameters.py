"""From our settings to pika's parameters."""

import ssl
from pathlib import Path

import pytest
from pika import PlainCredentials

from common.broker_url import parse_urls
from common.parameters import connection_parameters
from common.settings import Settings


def make(**values: object) -> Settings:
    return Settings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs", **values})


def test_every_part_of_the_url_arrives() -> None:
    """And the name by which the management page shows the connection."""
    (url,) = parse_urls("amqp://u:p%2F@[::1]:99/v%2F")
    parameters = connection_parameters(url, make(), "consumer_retry")
    assert (parameters.host, parameters.port, parameters.virtual_host) == ("::1", 99, "v/")
    assert isinstance(parameters.credentials, PlainCredentials)
    assert (parameters.credentials.username, parameters.credentials.password) == ("u", "p/")
    assert parameters.ssl_options is None
    assert parameters.client_properties == {"connection_name": "consumer_retry", "product": "mq-pair"}


def test_every_wait_has_its_bound() -> None:
    """From the settings, in seconds; TCP's own in milliseconds."""
    settings = make(mq_heartbeat="3s", mq_connect_timeout="1500ms", mq_blocked_timeout="7s")
    parameters = connection_parameters(parse_urls("amqp://h")[0], settings, "x")
    assert (parameters.heartbeat, parameters.blocked_connection_timeout) == (3, 7)
    assert (parameters.socket_timeout, parameters.stack_timeout) == (1.5, 1.5)
    assert parameters.tcp_options == {"TCP_USER_TIMEOUT": 6000}


def test_tls_verifies_the_broker() -> None:
    """Its certificate and its name, with TLS 1.2 or newer."""
    options = connection_parameters(parse_urls("amqps://h")[0], make(), "x").ssl_options
    assert options
    assert options.server_hostname == "h"
    assert options.context.verify_mode is ssl.CERT_REQUIRED
    assert options.context.check_hostname
    assert options.context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_files_that_are_no_certificates_are_an_error_of_the_system(tmp_path: Path) -> None:
    """At the start it is a wrong setting; later the connection shows it and tries again."""
    file = tmp_path / "x.pem"
    file.write_text("nothing")
    with pytest.raises(OSError, match=r".*"):
        make(mq_tls_ca_file=file).tls_context()
    with pytest.raises(OSError, match=r".*"):
        make(mq_tls_cert_file=file, mq_tls_key_file=file).tls_context()
