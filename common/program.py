"""What both programs do around their service: health, run, exit code."""

from common import metrics
from common.cli import fail
from common.health import Health
from common.process import Process, Service
from common.settings import Settings


def serve(process: Process, service: Service, settings: Settings) -> int:
    """Run `service` with its health page; the exit code. Exits with 2 when the port is taken."""
    health = Health(lambda: process.problems() + service.problems(), lambda: process.reasons(service))
    if settings.http_port:
        try:
            health.listen(settings.http_host, settings.http_port)
        except OSError as error:
            where = f"{settings.http_host}:{settings.http_port}"
            fail([f"HTTP_PORT: cannot listen on {where}: {error.strerror}; choose another such as 8081, or 0 for off"])
    metrics.READY.set_function(lambda: not process.reasons(service))
    return process.run(service)
