"""A real Prometheus: its programs, what stands in for the official image, and its HTTP API."""

import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from tests.deploy.images import PYTHON, docker

STAND_IN = "mq-test-prometheus"
# As the official image has it: a shell, a user without rights, and a folder that is this user's.
DOCKERFILE = f"""
FROM {PYTHON}
RUN install --directory --owner=65534 --group=65534 /prometheus
USER 65534:65534
VOLUME /prometheus
WORKDIR /prometheus
"""


def programs(folder: Path) -> Path:
    """Where `prometheus` and `promtool` are: on this machine, or in `folder` from Debian's package.

    The package is unpacked and not installed, which would start a server.
    """
    found = shutil.which("promtool")
    if found and shutil.which("prometheus"):
        return Path(found).parent
    folder.chmod(0o777)  # apt downloads as a user of its own
    subprocess.run(
        ["apt-get", "download", "-qq", "prometheus"], cwd=folder, capture_output=True, timeout=300, check=True
    )
    (package,) = folder.glob("prometheus_*.deb")
    subprocess.run(["dpkg", "-x", package, folder], timeout=60, check=True)
    return folder / "usr" / "bin"


def stand_in(folder: Path, programs: Path) -> dict[str, Any]:
    """What a Compose service is to be for `programs` to run in place of the official image; `folder` is empty."""
    (folder / "Dockerfile").write_text(DOCKERFILE)
    docker("build", "--quiet", "--tag", STAND_IN, str(folder))
    return {
        "image": STAND_IN,
        "volumes": [f"{programs / name}:/bin/{name}:ro" for name in ("prometheus", "promtool")],
    }


class Prometheus:
    """The API at `address` (http://host:port). Raises OSError."""

    def __init__(self, address: str) -> None:
        self._address = address

    def get(self, path: str, **parameters: Any) -> Any:
        """The `data` of the answer of /api/v1/`path`."""
        query = urllib.parse.urlencode({key: value for key, value in parameters.items() if value is not None})
        with urllib.request.urlopen(f"{self._address}/api/v1/{path}?{query}", timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of `expression` now, each with `metric` and `value`, which is [time, text]."""
        return list(self.get("query", query=expression)["result"])

    def value(self, expression: str) -> float | None:
        """The one number that it is now, None if it is nothing."""
        series = self.query(expression)
        return float(series[0]["value"][1]) if series else None

    def ranges(self, expression: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """The series from `start` to `end` (seconds since 1970), each with `metric` and `values`."""
        return list(self.get("query_range", query=expression, start=start, end=end, step=step)["result"])
