"""The way to a broker, with peers that are none, and clocks; real brokers are in tests/broker."""

import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from pika import frame, spec

from common.doctor.network import check_clock, check_network, compare_clocks, stays_near
from common.doctor.report import Check, Status
from common.settings.broker_url import parse_urls
from common.settings.shared import Settings

Serve = Callable[[socket.socket], None]
GREETING = frame.Method(
    0, spec.Connection.Start(server_properties={"product": "Peer", "version": "1", "cluster_name": "one"})
).marshal()


@contextmanager
def peer(serve: Serve) -> Iterator[int]:
    """The port of somebody who handles one connection by `serve` and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)

        def run() -> None:
            with server.accept()[0] as client:
                client.settimeout(20)
                with suppress(OSError):  # the one under test hung up first
                    serve(client)

        thread = Thread(target=run, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(20)


def steps(url: str, timeout: str = "5s", **more: object) -> list[Check]:
    values = {"mq_url": url, "mq_ch": "jobs", "mq_connect_timeout": timeout, **more}
    return list(check_network(parse_urls(url)[0], Settings.model_validate(values)))


def greet(*pieces: bytes) -> Serve:
    def serve(client: socket.socket) -> None:
        client.recv(8)
        for piece in pieces:
            client.sendall(piece)
        client.recv(1)

    return serve


def silent(client: socket.socket) -> None:
    """Say nothing until the other side leaves."""
    while client.recv(100):
        pass


def web(client: socket.socket) -> None:
    client.recv(100)
    client.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def drop(client: socket.socket) -> None:
    """Reset the connection."""
    client.recv(8)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


@pytest.mark.parametrize("cut", [1, 7, 20, len(GREETING) - 1])
def test_a_greeting_tells_who_it_is(cut: int) -> None:
    """In however many pieces it comes; each step has its time."""
    with peer(greet(GREETING[:cut], GREETING[cut:])) as port:
        checks = steps(f"amqp://127.0.0.1:{port}")
    assert [check.name for check in checks] == ["name", "tcp", "amqp"]
    assert all(check.status is Status.OK and check.seconds is not None for check in checks)
    assert checks[2].text == "Peer 1, cluster one"


@pytest.mark.parametrize(
    "serve",
    [
        web,
        drop,
        greet(b"AMQP\x00\x01\x00\x00"),
        greet(b"\x01\x00\x00\x00\x00\x00\x04\xff\xff\xff\xff\xce"),
        greet(bytes(70_000)),
    ],
    ids=["web", "reset", "another version", "unknown method", "much"],
)
def test_a_peer_that_is_no_broker_is_13(serve: Serve) -> None:
    """Whatever it sends, and it is not waited for."""
    with peer(serve) as port:
        *_, last = steps(f"amqp://127.0.0.1:{port}", timeout="20s")
    assert (last.name, last.exit_code) == ("amqp", 13)
    assert "does not speak AMQP" in last.text
    assert last.advice
    assert last.seconds is not None
    assert last.seconds < 10


def test_a_peer_that_says_nothing_is_13_in_time() -> None:
    """Behind TCP there may be nobody."""
    with peer(silent) as port:
        *_, last = steps(f"amqp://127.0.0.1:{port}", timeout="200ms")
    assert (last.name, last.exit_code) == ("amqp", 13)
    assert "MQ_CONNECT_TIMEOUT" in last.text


def test_a_name_that_nobody_knows_is_10_and_a_port_without_anybody_11() -> None:
    """And nothing after it is tried."""
    (name,) = steps("amqp://no-such-host.invalid")
    assert (name.name, name.exit_code) == ("name", 10)
    *_, tcp = steps("amqp://127.0.0.1:1")
    assert (tcp.name, tcp.exit_code) == ("tcp", 11)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], tuple[Path, ssl.SSLContext]]:
    """`certificate(days)`: a file that `localhost` is trusted by for so long, and the context of its server."""
    folder = tmp_path_factory.mktemp("tls")

    def make(days: int) -> tuple[Path, ssl.SSLContext]:
        crt, key = folder / f"{days}.crt", folder / f"{days}.key"
        kind = (
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            "/CN=localhost",
        )
        names = ("-addext", "subjectAltName=DNS:localhost", "-addext", "keyUsage=critical,keyCertSign,digitalSignature")
        command = ["openssl", "req", *kind, *names, "-days", str(days), "-out", str(crt), "-keyout", str(key)]
        subprocess.run(command, capture_output=True, timeout=60, check=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(crt, key)
        return crt, context

    return make


@pytest.mark.parametrize(("days", "verdict"), [(2, Status.WARNING), (90, Status.OK)])
def test_a_certificate_that_ends_soon_is_a_warning(
    days: int, verdict: Status, certificate: Callable[[int], tuple[Path, ssl.SSLContext]]
) -> None:
    """While it still works."""
    file, context = certificate(days)

    def serve(client: socket.socket) -> None:
        with context.wrap_socket(client, server_side=True) as secure:
            greet(GREETING)(secure)

    with peer(serve) as port:
        checks = steps(f"amqps://localhost:{port}", mq_tls_ca_file=file)
    # Where `localhost` is ::1 as well, that address is refused first, as a note.
    checks = [check for check in checks if check.status is not Status.NOTE]
    assert [check.name for check in checks] == ["name", "tcp", "tls", "amqp"]
    assert checks[2].status is verdict
    assert f"valid for {days} more days" in checks[2].text
    assert checks[3].status is Status.OK


def test_a_certificate_that_nobody_vouches_for_is_12(
    certificate: Callable[[int], tuple[Path, ssl.SSLContext]],
) -> None:
    """So is a peer without TLS; one that says nothing at all is 13, as for the preflight."""
    _, context = certificate(30)

    def serve(client: socket.socket) -> None:
        context.wrap_socket(client, server_side=True).close()

    for each, code in ((serve, 12), (web, 12), (silent, 13)):
        with peer(each) as port:
            *_, last = steps(f"amqps://localhost:{port}", timeout="5s" if code == 12 else "200ms")
        assert (last.name, last.exit_code) == ("tls", code)


NOON = 1_800_000_000.0
SETTINGS = Settings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs", "mq_connect_timeout": "5s"})


class Page(BaseHTTPRequestHandler):
    """Whoever asks without a user is refused, with a date."""

    def do_HEAD(self) -> None:
        """As RabbitMQ's management page."""
        self.send_response(401)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join(20)


@pytest.mark.parametrize("late", [0.0, 0.5, 0.999, 1.5, 1.999])
def test_clocks_that_agree_are_well_however_late_the_date_is(late: float) -> None:
    """It has whole seconds, and the page renews it once in a second."""
    now = NOON + late
    assert compare_clocks(NOON, now - 0.01, now + 0.01).status is Status.OK


@pytest.mark.parametrize(("apart", "words"), [(60.0, "ahead of ours"), (-60.0, "behind ours"), (4, "ahead of ours")])
def test_clocks_that_do_not_agree_are_a_warning_with_a_direction(apart: float, words: str) -> None:
    """And what to do."""
    check = compare_clocks(NOON + apart, NOON, NOON)
    assert check.status is Status.WARNING
    assert words in check.text
    assert "NTP" in check.advice


def test_what_cannot_be_known_is_not_claimed() -> None:
    """An answer that took long says little."""
    assert compare_clocks(NOON + 4, NOON - 10, NOON + 10).status is Status.OK
    assert "give or take 11.0 s" in compare_clocks(NOON, NOON - 10, NOON + 10).text


def test_an_answer_of_any_kind_has_a_date(page: str) -> None:
    """No user is needed."""
    check = check_clock(page, SETTINGS)
    assert check.status is Status.OK
    assert check.seconds is not None


def test_a_page_that_does_not_answer_is_a_warning() -> None:
    """The services have no need of it."""
    check = check_clock("http://127.0.0.1:1", SETTINGS)
    assert (check.status, check.exit_code) == (Status.WARNING, 0)
    assert "Connection refused" in check.text


def test_without_a_page_nothing_is_claimed() -> None:
    """And it says how to ask."""
    check = check_clock(None, SETTINGS)
    assert check.status is Status.NOTE
    assert "--mq-management-url" in check.text


def resolve_to(monkeypatch: pytest.MonkeyPatch, *places: tuple[str, int]) -> None:
    """Of whatever host, the addresses; each has a port of its own."""
    records = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: records)
    ports = dict(places)

    def connect(to: tuple[str, int], timeout: float) -> socket.socket:
        stream = socket.socket()
        stream.settimeout(timeout)
        try:
            stream.connect(("127.0.0.1", ports[to[0]]))
        except OSError:
            stream.close()
            raise
        return stream

    monkeypatch.setattr(socket, "create_connection", connect)


def test_an_address_that_is_silent_is_a_warning_and_the_next_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """The services go on to it as well. One that refuses costs them nothing; the last of them is in the way."""
    with peer(silent) as mute, peer(greet(GREETING)) as good:
        resolve_to(monkeypatch, ("127.0.0.1", 1), ("127.0.0.2", mute), ("127.0.0.3", good))
        checks = steps("amqp://broker", timeout="200ms")
    assert [(check.name, check.status) for check in checks] == [
        ("name", Status.OK),
        ("tcp", Status.NOTE),
        ("tcp", Status.OK),
        ("amqp", Status.WARNING),
        ("tcp", Status.OK),
        ("amqp", Status.OK),
    ]
    assert "127.0.0.2: no AMQP answer" in checks[3].text
    with peer(silent) as mute:
        resolve_to(monkeypatch, ("127.0.0.1", 1), ("127.0.0.2", mute))
        *_, last = steps("amqp://broker", timeout="200ms")
    assert (last.status, last.exit_code) == (Status.FAILED, 13)


def test_of_addresses_that_all_fail_the_one_that_got_furthest_is_the_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container without IPv6 the last address of `localhost` may be ::1, which says nothing of the broker."""
    with peer(silent) as mute, peer(web) as page:
        resolve_to(monkeypatch, ("127.0.0.1", mute), ("127.0.0.2", page), ("127.0.0.3", 1))
        checks = steps("amqp://broker", timeout="200ms")
        assert [(check.name, check.status) for check in checks[-3:]] == [
            ("amqp", Status.WARNING),
            ("tcp", Status.NOTE),
            ("amqp", Status.FAILED),
        ]
        assert checks[-2].text.startswith("127.0.0.3: ")
        assert checks[-2].text.endswith("none is left")
        assert checks[-1].text.startswith("127.0.0.1: ")


def test_a_password_in_the_clear_to_another_machine_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which amqps:// is not, nor what stays on the machine, or in its cluster or Compose project."""
    for url, warned in (("amqp://mq.example.com", True), ("amqps://mq.example.com", False), ("amqp://rabbitmq", False)):
        resolve_to(monkeypatch, ("192.0.2.1", 1))
        found = {check.name: check for check in steps(url)}
        assert ("password" in found) == warned
        if warned:
            assert found["password"].status is Status.WARNING
            assert "amqps://" in found["password"].advice


@pytest.mark.parametrize(
    ("host", "address", "near"),
    [
        ("localhost", "127.0.0.1", True),
        ("::1", "::1", True),
        ("broker.example.com", "127.0.0.1", True),
        ("rabbitmq-service", "10.0.0.7", True),
        ("rabbitmq-service.mq-pair.svc", "10.0.0.7", True),
        ("rabbitmq-service.mq-pair.svc.cluster.local", "10.0.0.7", True),
        ("example.com", "192.0.2.1", False),
        ("svc.example.com", "192.0.2.1", False),
        ("10.0.0.7", "10.0.0.7", False),
        ("fd00::7", "fd00::7", False),
    ],
)
def test_what_stays_near(host: str, address: str, near: bool) -> None:
    assert stays_near(host, [address]) is near


def test_a_name_with_its_namespace_is_near_where_it_resolves_to_a_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the whole name that the resolver found."""
    for whole, warned in (("rabbitmq-service.mq-pair.svc.cluster.local", False), ("rabbitmq-service.mq-pair", True)):
        record = (socket.AF_INET, socket.SOCK_STREAM, 6, whole, ("192.0.2.1", 1))
        resolve_to(monkeypatch, ("192.0.2.1", 1))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, record=record, **__: [record])
        found = steps("amqp://rabbitmq-service.mq-pair")
        assert any(check.name == "password" for check in found) == warned
