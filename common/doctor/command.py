"""What `python -m common.doctor` does: a person's preflight."""

import json
import sys
from collections.abc import Iterator, Sequence

from pydantic import SecretStr

from common.doctor import clock, network, report
from common.doctor.check import Check, Verdict, exit_code
from common.doctor.examination import Examination, undeclared
from common.doctor.preflight import Preflight
from common.doctor.questions import Tell
from common.doctor.settings import DoctorSettings
from common.observe import logs
from common.process.exit import ExitCode, end_on_signals
from common.process.run import Process
from common.settings import flags


def main(arguments: Sequence[str] | None = None) -> None:
    """Exit 0, 2 (settings), 130, or a `Kind`."""
    end_on_signals()  # until a loop runs, which has handlers of its own
    settings = flags.load(DoctorSettings, "doctor", arguments)
    # What a log would say, the report says.
    logs.configure("debug" if settings.log_level == "debug" else "error", settings.log_format)
    pretty = flags.utf8() and sys.stdout.isatty()
    width = max(len(f"queue {queue.name}") for queue in settings.topology.queues)
    brokers: report.Findings = []

    def say(text: str) -> None:
        if not settings.doctor_json:
            flags.say(text)

    def tell(check: Check) -> None:
        checks.append(check)
        say(report.row(check, width, pretty))

    if settings.doctor_wait:
        process = Process(settings.shutdown_grace)
        _run(process, Preflight(process, undeclared(settings), settings.doctor_wait))
    for one in singly(settings):
        broker = str(one.broker_urls()[0])
        say(f"{broker}, queue {settings.mq_ch}, MQ_TOPOLOGY={settings.mq_topology}")
        checks: list[Check] = []
        brokers.append((broker, checks))
        look(one, tell)
    checks = []
    tell(clock.look(settings.mq_management_url, settings.tls_context, settings.mq_connect_timeout))
    codes = [exit_code(each) for _, each in brokers]
    code = 0 if 0 in codes else codes[-1]
    if settings.doctor_json:
        flags.say(json.dumps(report.as_object(settings, brokers, checks[0], code), indent=2))
    say("\n".join(["settings", *report.settings_lines(settings), report.conclusion(brokers)]))
    sys.exit(code)


def singly(settings: DoctorSettings) -> Iterator[DoctorSettings]:
    """The settings as they would be with each of the brokers alone."""
    urls = settings.mq_url_file.read_text() if settings.mq_url_file else settings.mq_url
    text = urls if isinstance(urls, str) else urls.get_secret_value() if urls else ""
    for url in text.split(","):
        yield settings.model_copy(update={"mq_url": SecretStr(url), "mq_url_file": None})


def look(settings: DoctorSettings, tell: Tell) -> None:
    """Tell all that is known of one broker."""
    (broker,) = settings.broker_urls()
    for check in network.look(broker, settings):
        tell(check)
        if check.verdict is Verdict.FAILED:
            return
    process = Process(settings.shutdown_grace)
    _run(process, Examination(process, settings, broker, tell))


def _run(process: Process, preflight: Preflight) -> None:
    code = process.run(preflight)
    if code or preflight.interrupted:
        sys.exit(code or ExitCode.INTERRUPTED)
