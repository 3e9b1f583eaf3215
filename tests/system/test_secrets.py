"""The password of the broker's URL is nowhere to be seen, whatever happens."""

from pathlib import Path
from urllib.parse import quote

import pytest

from local.reports import get
from tests.brokers import Broker
from tests.processes import until
from tests.system.kit import PLUGINS, QUICK, Start
from tests.system.manage import add_user, set_user

PASSWORD = "S3cr:t@/#%x"


@pytest.mark.parametrize(("service", "code"), [("producer", 1), ("consumer", 0)])
def test_a_password_is_not_in_logs_pages_or_the_process_table(
    service: str, code: int, start: Start, broker: Broker, mq_ch: str
) -> None:
    """While it is refused, while it is right, and when the source breaks beside it; at the most talkative level."""
    with add_user(broker, mq_ch) as address:
        url = f"amqp://{mq_ch}:{quote(PASSWORD, safe='')}@{address}"
        process = start(service, MQ_URL=url, PRODUCER_SOURCE=f"{PLUGINS}:betraying", LOG_LEVEL="debug", **QUICK)
        until(lambda: "ACCESS_REFUSED" in str(process.reasons()), "it is refused")
        seen = [get(f"{process.address}/{page}")[1] for page in ("livez", "readyz", "metrics")]
        seen.append(Path(f"/proc/{process.pid}/cmdline").read_text())
        set_user(broker, mq_ch, PASSWORD)
        until(lambda: process.event("connected"), "it connects with the right one")
        if code:
            until(lambda: "Traceback" in process.stderr.read_text(), "the source breaks")
            assert "in betraying" in process.stderr.read_text()
        else:
            process.terminate()
        assert process.wait() == code
        seen += [process.stdout.read_text(), process.stderr.read_text()]
    assert all("S3c" not in text and quote(PASSWORD, safe="") not in text for text in seen)
