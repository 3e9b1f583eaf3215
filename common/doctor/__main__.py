"""`doctor`, or `python -m common.doctor`: all that a service needs of its broker, check by check, for a person.

It imports inside main(), while a signal ends it at once.
"""

import json
import sys
from collections.abc import Sequence

from common.process.exit import end_on_signals, loading


def main(arguments: Sequence[str] | None = None) -> None:
    """Exit 0, 2 (settings), 130, or a `Kind`. Main thread only."""
    with loading():
        from pydantic import SecretStr

        from common.doctor import report
        from common.doctor.network import check_clock, check_network
        from common.doctor.policies import check_policies
        from common.doctor.preflight import Doctor, Preflight
        from common.doctor.report import Check, Status, exit_code
        from common.doctor.settings import DoctorSettings
        from common.observe import logs
        from common.process.run import Process
        from common.settings import flags
        from common.terminal import coloured

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
        Preflight(Process(settings.shutdown_grace), settings, settings.doctor_wait, login_only=True).run()
    for text in settings.url_text().split(","):
        one = settings.model_copy(update={"mq_url": SecretStr(text), "mq_url_file": None})
        (url,) = one.broker_urls()
        say(f"{url}, queue {settings.mq_ch}, MQ_TOPOLOGY={settings.mq_topology}")
        checks: list[Check] = []
        brokers.append((str(url), checks))
        for check in check_network(url, settings):
            note(check)
        if not exit_code(checks):
            tries = 1 + sum(check.status is Status.WARNING for check in checks)
            Doctor(Process(settings.shutdown_grace), one, url, note, tries).run()
            note(check_policies(settings.mq_management_url, url, settings.topology, settings))
    checks = []
    note(check_clock(settings.mq_management_url, settings))
    codes = [exit_code(each) for _, each in brokers]
    code = 0 if 0 in codes else codes[-1]
    if settings.doctor_json:
        flags.say(json.dumps(report.as_object(settings, brokers, checks[0], code), indent=2))
    say("\n".join(["settings", *report.settings_lines(settings), report.conclusion(brokers)]))
    sys.exit(code)


if __name__ == "__main__":
    main()
