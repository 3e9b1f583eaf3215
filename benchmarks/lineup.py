"""The lineup: every client of the benchmark, the slowest way first. How each is set up, its own file says."""

import sys

from benchmarks.client import Client
from benchmarks.environment import PEERS, c_client, peers_python
from benchmarks.ours import Ours


def lineup() -> list[Client]:
    """Raises UnpreparedError when one cannot be made ready."""
    python = str(peers_python())

    def script(name: str) -> tuple[str, ...]:
        return (python, str(PEERS / name))

    suffixes = ("", ".DQ", ".XQ")
    own = ("", ".dead", ".retry.5s", ".retry.30s", ".retry.5m")
    return [
        Client("pika-tutorial", "pika, as its tutorial", script("pika_tutorial.py"), 1_500, 8_000),
        Client("kombu", "kombu, confirms", script("kombu_confirms.py"), 1_500, 8_000),
        Client(
            "dramatiq",
            "dramatiq, confirms",
            script("dramatiq_app.py"),
            1_500,
            3_000,
            own_messages=True,
            own_queues=suffixes,
        ),
        Client("faststream", "FastStream, as documented", script("faststream_app.py"), 1_200, 2_500),
        Client(
            "faststream-256",
            "FastStream, 256 in flight",
            script("faststream_app.py"),
            5_000,
            3_000,
            {"BENCH_IN_FLIGHT": "256"},
        ),
        Client("aio-pika", "aio-pika, 256 in flight", script("aio_pika_window.py"), 6_000, 6_000),
        Client(
            "aio-pika-uvloop", "aio-pika with uvloop", script("aio_pika_window.py"), 8_000, 9_000, {"BENCH_UVLOOP": "1"}
        ),
        Client("pika-select", "pika SelectConnection, window 1024", script("pika_select.py"), 30_000, 50_000),
        Client("rabbitmq-c", "rabbitmq-c, window 1024", (str(c_client()),), 40_000, 80_000),
        Ours("ours", "this project", (sys.executable,), 40_000, 50_000, own_messages=True, own_queues=own),
    ]
