"""The container's health: exit 0 when /readyz says 200, or when HTTP_PORT=0 turned it off, else 1 and the reasons."""

import os
import sys
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection
from itertools import pairwise
from pathlib import Path

ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - listens on all addresses; one of them


def address(environment: Mapping[str, str], arguments: Sequence[str]) -> tuple[str, int]:
    """Host and port of the health page, by the service's flags, which win, and by the environment."""
    given = {"--http-host": environment.get("HTTP_HOST", ""), "--http-port": environment.get("HTTP_PORT", "")}
    for argument, following in pairwise([*arguments, ""]):
        name, equals, value = argument.partition("=")
        if name in given:
            given[name] = value if equals else following
    host = given["--http-host"] or "127.0.0.1"
    return ANY.get(host, host), int(given["--http-port"] or 8080)


def main() -> None:
    """Ask the service, which is the container's first process, or is started by it (`docker run --init`)."""
    host, port = address(os.environ, Path("/proc/1/cmdline").read_bytes().decode(errors="replace").split("\0"))
    if not port:
        return
    connection = HTTPConnection(host, port, timeout=4)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        text = response.read().decode()
    except OSError as error:
        sys.exit(f"no answer on port {port}: {error}")
    if response.status != 200:
        sys.exit(text)


if __name__ == "__main__":
    main()
