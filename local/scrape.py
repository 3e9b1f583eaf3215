"""What a service says of itself over HTTP: /metrics and /readyz."""

import http.client
import json
import urllib.error
import urllib.request

_SECONDS = 2.0


def parse_metrics(text: str) -> dict[str, float]:
    """Return the samples of Prometheus text by name and labels as written: `mq_connected{connection="publish"}`."""
    samples = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            samples[name] = float(value)
    return samples


def get(url: str) -> tuple[int, str]:
    """Return status and body of a page, also for an error status; raises OSError when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310 - our own http:// address
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()
    except http.client.HTTPException as broken:
        raise OSError(f"{url}: {broken!r}") from broken


def metrics(base: str) -> dict[str, float]:
    """Return the samples of the service at `base` (http://host:port); raises OSError."""
    return parse_metrics(get(f"{base}/metrics")[1])


def readiness(base: str) -> tuple[bool, list[str]]:
    """Return whether the service at `base` is ready and, if not, why; raises OSError."""
    answer = json.loads(get(f"{base}/readyz")[1])
    return bool(answer["ready"]), [str(reason) for reason in answer["reasons"]]
