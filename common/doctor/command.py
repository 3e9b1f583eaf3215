"""What `doctor` does: all that a service needs of its broker, check by check, for a person."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from pika.channel import Channel
from pydantic import SecretStr

from common.amqp.errors import BrokerError, Kind
from common.doctor import report
from common.doctor.broker import Report, Requester, check_broker, check_consumer_timeout
from common.doctor.network import check_clock, check_network
from common.doctor.policies import check_policies
from common.doctor.preflight import Preflight
from common.doctor.report import Check, Status, exit_code, refused
from common.doctor.settings import CheckSettings, DoctorSettings
from common.observe import logs
from common.process.exit import ExitCode, end_on_signals
from common.process.run import Process
from common.settings import flags
from common.settings.broker_url import BrokerUrl
from common.terminal import coloured

ANSWERS_WITHIN = 10.0  # seconds for all requests; each takes some milliseconds
UNANSWERED = BrokerError(Kind.OTHER, "the broker answers no more")


class Doctor(Preflight):
    """Logs in once, as the services do, makes nothing, and reports each `Check` as soon as it is known."""

    NAME = "doctor"

    def __init__(
        self, process: Process, settings: CheckSettings, broker: BrokerUrl, report: Report, tries: int = 1
    ) -> None:
        """`broker` is the only one of `settings`; the last of its `tries` reaches an address that speaks."""
        timeout = (1 + tries) * settings.mq_connect_timeout + ANSWERS_WITHIN
        super().__init__(process, settings, timeout, login_only=True)
        self._tries = tries
        self._settings, self._broker, self._tell = settings, broker, report
        self._login = Check("login", Status.OK, f"user {broker.user}")
        self._at = time.monotonic()
        self._requester: Requester | None = None

    def done(self) -> bool:
        """Whether all is answered, or nothing will be."""
        why = self.connection.broker_error
        another = why and why.kind <= Kind.HANDSHAKE and self.connection.failed < self._tries
        return super().done() or (why is not None and not another)

    def close(self) -> None:
        """Report what stands in the way, if something does."""
        if not self.passed and not self.interrupted:
            broker_error = self.connection.broker_error or UNANSWERED
            name = "answers" if self._requester else "virtual host" if broker_error.kind is Kind.VHOST else "login"
            if name == "virtual host":
                self._report(self._login)
            self._report(refused(name, broker_error))
        super().close()

    def opened(self, channel: Channel) -> None:
        """Logged in: ask."""
        self._report_timed(self._login)
        self._report(Check("virtual host", Status.OK, self._broker.vhost))
        connection, end = channel.connection, super().opened
        # An alarm is told to those who publish, and to publish is the last request.
        connection.add_on_connection_blocked_callback(self.process.guarded(self._on_blocked))
        settings = self._settings
        if settings.preflight_for == "consumer":
            version = (channel.connection.server_properties or {}).get("version", "?")
            self._report(check_consumer_timeout(str(version), settings.consumer_handler_timeout))
        requests = check_broker(self.topology, settings.mq_topology, settings.permissions, self._report_timed)
        self._requester = Requester(connection, self.process, requests, lambda: end(channel))

    def _report(self, check: Check) -> None:
        self._tell(check._replace(text=self._broker.hide(check.text)))

    def _report_timed(self, check: Check) -> None:
        before, self._at = self._at, time.monotonic()
        self._report(check._replace(seconds=self._at - before))

    def _on_blocked(self, _connection: object, frame: Any) -> None:
        if self._requester:
            self._requester.answer(BrokerError(Kind.LIMIT, f"the broker takes no messages: {frame.method.reason}"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Exit 0, 2 (settings), 130, or a `Kind`."""
    end_on_signals()  # until a loop runs, which has handlers of its own
    settings = flags.load(DoctorSettings, "doctor", arguments)
    # What a log would say, the report says.
    logs.configure("debug" if settings.log_level == "debug" else "error", settings.log_format)
    terminal = bool(sys.stdout) and sys.stdout.isatty()
    looks = {"pretty": terminal and flags.utf8(), "colours": bool(sys.stdout) and coloured(sys.stdout)}
    width = max(len(f"queue {queue.name}") for queue in settings.topology.queues)
    brokers: report.Brokers = []

    def say(text: str, *, safe: bool = False) -> None:
        if not settings.doctor_json:
            flags.say(text, safe=safe)

    def note(check: Check) -> None:
        checks.append(check)
        say(report.row(check, width, **looks), safe=True)

    if settings.doctor_wait:
        _run(Preflight(Process(settings.shutdown_grace), settings, settings.doctor_wait, login_only=True))
    for one in one_by_one(settings):
        (url,) = one.broker_urls()
        say(f"{url}, queue {settings.mq_ch}, MQ_TOPOLOGY={settings.mq_topology}")
        checks: list[Check] = []
        brokers.append((str(url), checks))
        for check in check_network(url, settings):
            note(check)
        if not exit_code(checks):
            tries = 1 + sum(check.status is Status.WARNING for check in checks)
            _run(Doctor(Process(settings.shutdown_grace), one, url, note, tries))
            note(check_policies(settings.mq_management_url, url, settings.topology, settings))
    checks = []
    note(check_clock(settings.mq_management_url, settings))
    codes = [exit_code(each) for _, each in brokers]
    code = 0 if 0 in codes else codes[-1]
    if settings.doctor_json:
        flags.say(json.dumps(report.as_object(settings, brokers, checks[0], code), indent=2))
    say("\n".join(["settings", *report.settings_lines(settings), report.conclusion(brokers)]))
    sys.exit(code)


def one_by_one(settings: DoctorSettings) -> Iterator[DoctorSettings]:
    """The settings as they would be with each of the brokers alone."""
    for url in settings.url_text().split(","):
        yield settings.model_copy(update={"mq_url": SecretStr(url), "mq_url_file": None})


def _run(preflight: Preflight) -> None:
    code = preflight.process.run(preflight)
    if code or preflight.interrupted:
        sys.exit(code or ExitCode.INTERRUPTED)
