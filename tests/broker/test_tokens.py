"""Tokens of OAuth 2.0 that are renewed in MQ_URL_FILE, with RabbitMQ's own back end for them."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import Failure
from tests.container import Container
from tests.processes import WIRES, Process, until
from tests.system.kit import PLUGINS, bodies

KEY = b"the signing key of this test alone"
VALID, EVERY, LASTS = 12.0, 8.0, 40.0  # seconds: a token, between two of them, all of it
RIGHTS = [f"rabbitmq.{verb}:*/*" for verb in ("configure", "write", "read")]
JWK = '#{<<"kty">> => <<"oct">>, <<"alg">> => <<"HS256">>, <<"k">> => <<"%s">>}'
SETTINGS = (
    'application:set_env(rabbitmq_auth_backend_oauth2, resource_server_id, <<"rabbitmq">>).',
    "application:set_env(rabbitmq_auth_backend_oauth2, key_config, "
    '[{default_key, <<"test">>}, {signing_keys, #{<<"test">> => {map, %s}}}]).',
    "application:set_env(rabbit, auth_backends, [rabbit_auth_backend_oauth2, rabbit_auth_backend_internal]).",
)

pytestmark = [pytest.mark.docker, pytest.mark.slow]


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(seconds: float) -> str:
    """That ends in so many seconds (RFC 7519)."""
    claims = {"aud": ["rabbitmq"], "sub": "shop", "exp": int(time.time() + seconds), "scope": RIGHTS}
    parts = ({"alg": "HS256", "typ": "JWT", "kid": "test"}, claims)
    signed = ".".join(base64url(json.dumps(part).encode()) for part in parts)
    return f"{signed}.{base64url(hmac.digest(KEY, signed.encode(), hashlib.sha256))}"


class Tokens:
    """The file of MQ_URL_FILE."""

    def __init__(self, path: Path, port: int) -> None:
        self.path, self._port = path, port
        self.renew(120.0)  # for the start of both services, however long that takes

    def renew(self, seconds: float = VALID) -> None:
        """Replace it at once, as Kubernetes does."""
        new = self.path.with_suffix(".new")
        new.write_text(f"amqp://shop:{token(seconds)}@127.0.0.1:{self._port}/")
        new.replace(self.path)


@pytest.fixture(scope="module")
def broker_of_tokens() -> Iterator[Container]:
    """It takes tokens and, for those without one, passwords."""
    try:
        with Container() as running:
            enable = ["rabbitmq-plugins", "enable", "rabbitmq_auth_backend_oauth2"]
            assert running._container.get_wrapped_container().exec_run(enable).exit_code == 0
            for setting in SETTINGS:
                running.rabbitmqctl("eval", setting.replace("%s", JWK % base64url(KEY)))
            yield running
    except Failure as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.mark.parametrize("wire", WIRES)
def test_a_token_that_is_renewed_in_time_costs_no_connection_and_no_message(
    broker_of_tokens: Container, wire: str, tmp_path: Path
) -> None:
    """Over several tokens' lives; and one that comes too late costs a connection, and no message."""
    tokens, record = Tokens(tmp_path / "url", broker_of_tokens.port), tmp_path / "record"
    env = {"MQ_URL_FILE": str(tokens.path), "MQ_CH": f"tokens-{wire}", "MQ_WIRE": wire, "MQ_BACKOFF_MAX": "1s"}
    handler = {"CONSUMER_HANDLER": f"{PLUGINS}:record", "RECORD": str(record)}
    consumer = Process("consumer", env | handler, tmp_path).wait_ready()
    producer = Process("producer", env | {"PRODUCER_RATE": "100"}, tmp_path).wait_ready()
    try:
        began = time.monotonic()
        while time.monotonic() - began < LASTS:
            tokens.renew()
            time.sleep(EVERY)
        for process, connections in ((producer, ["producer"]), (consumer, ["consumer", "consumer_retry"])):
            log = process.log()
            assert sorted(each["connection"] for each in log if each["event"] == "connected") == connections
            renewed = [each["connection"] for each in log if each["event"] == "secret renewed"]
            assert len(renewed) >= len(connections) * (LASTS / EVERY - 1)
            assert KEY.decode() not in (text := process.stderr.read_text())
            assert tokens.path.read_text().rpartition("@")[0].rpartition(":")[2] not in text
        tokens.renew(2.0)  # and nobody renews it before it ends
        until(lambda: producer.reasons() and consumer.reasons(), "the broker has closed all", 30)
        tokens.renew(60.0)
        until(lambda: producer.reasons() == [] and consumer.reasons() == [], "they are back", 30)
        producer.terminate()
        assert producer.wait(20) == 0
        confirmed = producer.event("stopped")["confirmed"]
        assert confirmed > 50 * LASTS
        wanted = {f"Hello World {number}!" for number in range(1, confirmed + 1)}
        until(lambda: wanted <= set(bodies(record)), "all are handled", 30)
        consumer.terminate()
        assert consumer.wait(20) == 0
    finally:
        producer.close()
        consumer.close()
