"""What both programs do around their service: health, run, exit code."""

import errno

import structlog

from common.observe import metrics
from common.observe.health import Health
from common.process.exit import leave_in
from common.process.run import Process, Watched
from common.settings.flags import fail, unknown
from common.settings.shared import Settings

OF_THE_PORT = (errno.EADDRINUSE, errno.EACCES)  # where another port helps; what else there is, is of the address
log = structlog.get_logger()
LEAVE = 7.0  # seconds after the last log line: Python waits for threads of the user's, spans may take 6


def serve(process: Process, service: Watched, settings: Settings) -> int:
    """Run `service` with its health page; the exit code. Exits with 2 when it cannot listen."""
    health = Health(lambda: process.problems() + service.problems(), lambda: process.reasons(service))
    if settings.http_port:
        try:
            health.listen(settings.http_host, settings.http_port)
        except OSError as error:
            why = f"cannot listen on {settings.http_host}:{settings.http_port}: {error.strerror}"
            if error.errno in OF_THE_PORT:
                fail([f"HTTP_PORT: {why}; choose another, for example 8081, or 0 for off"])
            fail([f"HTTP_HOST: {why}; name an address of this machine, for example 0.0.0.0"])
    for name, meant in unknown(type(settings).model_fields).items():
        log.warning("a variable that is no setting", name=name, meant=meant or None)
    metrics.READY.set_function(lambda: not process.reasons(service))
    code = process.run(service)
    leave_in(LEAVE, "a thread of the source or the handler does not end")
    return code
