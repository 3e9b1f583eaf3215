"""What is mutated, and which unit tests must notice. The one place to change when modules move."""

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
MODULES = (
    "common/amqp/*.py",
    "common/message.py",
    "common/properties.py",
    "consumer/acks.py",
    "consumer/breaker.py",
    "consumer/copies.py",
    "consumer/delivery.py",
    "consumer/handler.py",
    "consumer/intake.py",
    "consumer/lost_runs.py",
    "consumer/outcome.py",
    "consumer/prefetch.py",
    "consumer/requeue.py",
    "consumer/retry.py",
    "consumer/service.py",
    "consumer/settle.py",
    "consumer/subscription.py",
    "consumer/workers.py",
    "producer/checkpoint.py",
    "producer/lines.py",
    "producer/reader.py",
    "producer/service.py",
    "producer/source.py",
)
# Files of tests beside a module's twin that hold it, too: by module, from tests/unit on.
ALSO: dict[str, tuple[str, ...]] = {}


def modules() -> list[str]:
    """Paths from the root on; a package's first line alone is no module."""
    found = sorted(path.relative_to(ROOT).as_posix() for pattern in MODULES for path in ROOT.glob(pattern))
    return [module for module in found if not module.endswith("__init__.py")]


def tests(module: str) -> list[str]:
    """Paths of the files of tests of a module, its twin first."""
    package, _, name = module.rpartition("/")
    return [f"tests/unit/{each}" for each in (f"{package}/test_{name}", *ALSO.get(module, ()))]
