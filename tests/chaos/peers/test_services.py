"""A supervised program is started again when it ends, and leaves nothing running."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos.peers import services
from tests.chaos.peers.services import Service
from tests.processes import until

ENDS = "import os; print('ran', os.environ['PEER_RUN'])"
FORKS = "import os, time; print('child', os.fork(), flush=True); time.sleep(60)"


def _service(program: str, log: Path) -> Service:
    return Service([sys.executable, "-c", program], {}, log)


def _says(log: Path, text: str) -> Callable[[], bool]:
    return lambda: log.exists() and text in log.read_text()


def test_a_program_that_ends_is_started_again_until_it_may_rest(tmp_path: Path) -> None:
    log = tmp_path / "log"
    service = _service(ENDS, log)
    service.start()
    try:
        until(_says(log, "ran 2"), "it is started again")
        service.rest()
        until(service.ended, "it ends")
        runs = service.runs
        time.sleep(services.RESTART + 0.3)
        assert service.runs == runs
    finally:
        service.close()


def test_a_kill_ends_its_children_too(tmp_path: Path) -> None:
    log = tmp_path / "log"
    service = _service(FORKS, log)
    service.start()
    try:
        until(lambda: log.read_text().count("child ") == 2, "parent and child run")
        child = max(int(line.split()[1]) for line in log.read_text().splitlines() if line.startswith("child "))
        service.rest()
        service.kill()
        until(lambda: not _runs(child), "the child has ended")
    finally:
        service.close()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"
