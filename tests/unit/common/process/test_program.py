"""What both programs do around their service."""

import socket

import pytest

from common.process.program import serve
from common.settings.shared import Settings
from tests.unit.conftest import Loop


class Unused:
    """A service that must not be started."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"{name} was asked for")


def test_a_port_that_is_taken_is_exit_code_2_before_anything_starts(
    process: Loop, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what to do about it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = Settings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs", "http_port": port})
        with pytest.raises(SystemExit) as caught:
            serve(process, Unused(), settings)  # type: ignore[arg-type]
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith(f"HTTP_PORT: cannot listen on 127.0.0.1:{port}: Address already in use")


@pytest.mark.parametrize("host", ["nowhere.invalid", "192.0.2.1"])
def test_a_host_that_is_not_this_machine_is_named(host: str, process: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    """Another port would not help."""
    settings = Settings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs", "http_host": host})
    with pytest.raises(SystemExit) as caught:
        serve(process, Unused(), settings)  # type: ignore[arg-type]
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith(f"HTTP_HOST: cannot listen on {host}:8080: ")
