"""Where the container's health check asks; the whole of it is tested with the images."""

import importlib.util
from types import ModuleType

import pytest

from tests.processes import ROOT


@pytest.fixture(scope="module")
def healthcheck() -> ModuleType:
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("healthcheck", ROOT / "docker" / "healthcheck.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("environment", "arguments", "address"),
    [
        ({}, [], ("127.0.0.1", 8080)),
        ({"HTTP_HOST": "0.0.0.0", "HTTP_PORT": ""}, ["python", "-m", "consumer"], ("127.0.0.1", 8080)),
        ({"HTTP_HOST": "::", "HTTP_PORT": "9001"}, [], ("::1", 9001)),
        ({"HTTP_HOST": "10.0.0.5"}, [], ("10.0.0.5", 8080)),
        ({"HTTP_PORT": "9001"}, ["python", "-m", "consumer", "--http-port", "9000"], ("127.0.0.1", 9000)),
        ({}, ["/sbin/docker-init", "--", "python", "-m", "consumer", "--http-port=9000", ""], ("127.0.0.1", 9000)),
        ({"HTTP_HOST": "0.0.0.0"}, ["--http-host=127.0.0.2", "--http-port", "0", ""], ("127.0.0.2", 0)),
        ({}, ["--producer-http-port", "8000", ""], ("127.0.0.1", 8080)),
    ],
)
def test_the_health_check_asks_where_the_service_listens(
    healthcheck: ModuleType, environment: dict[str, str], arguments: list[str], address: tuple[str, int]
) -> None:
    """A flag wins over the environment, as it does for the service."""
    assert healthcheck.address(environment, arguments) == address
