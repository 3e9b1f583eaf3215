"""A private PostgreSQL of the machine's own programs: own data, own socket, no TCP; killed and started at will."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from local import Failure
from tests.processes import until

USER = "postgres"  # of the database, and of the system if we are root, as whom PostgreSQL refuses to run
STOPPED = 30.0  # seconds
INSTALL = "PostgreSQL is missing: apt-get install --no-install-recommends postgresql"


def programs() -> Path:
    """The folder of `initdb` and `postgres`, the newest. Raises Failure."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    if not found and not on_path:
        raise Failure(INSTALL)
    return (found[-1] if found else Path(on_path or "").resolve()).parent


class Postgres:
    """`with Postgres() as database:` leaves nothing behind. `dsn` is its address, for libpq."""

    def __init__(self) -> None:
        """Make the data. Raises Failure where there is no PostgreSQL."""
        self._programs = programs()
        self._folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # the path of a socket is short
        self._as: list[str] = []
        if os.geteuid() == 0:
            owner = pwd.getpwnam(USER)
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
            self._as = ["setpriv", f"--reuid={USER}", f"--regid={owner.pw_gid}", "--clear-groups"]
        self._server: subprocess.Popen[bytes] | None = None
        self.dsn = f"host={self._folder} user={USER} dbname={USER}"
        data = [f"--pgdata={self._folder}/data", f"--username={USER}", "--auth=trust"]
        self._run("initdb", *data, "--no-sync", "--no-instructions", "--locale=C.UTF-8", "--encoding=UTF8")

    def _command(self, program: str, *arguments: str) -> list[str]:
        return [*self._as, str(self._programs / program), *arguments]

    def _run(self, program: str, *arguments: str) -> None:
        command = self._command(program, *arguments)
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise Failure(f"{program}: {done.stderr.strip()[-600:]}")

    def start(self) -> None:
        """Start it on its data, and wait until it answers."""
        options = (f"-k{self._folder}", "-clisten_addresses=", "-cfsync=off")  # a kill leaves the system's cache
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                self._command("postgres", f"-D{self._folder}/data", *options),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until(self._answers, "PostgreSQL answers")

    def _answers(self) -> bool:
        assert self._server
        if self._server.poll() is not None:
            raise Failure(f"PostgreSQL ended: {(self._folder / 'log').read_text()[-600:]}")
        asked = self._command("pg_isready", "--quiet", f"--host={self._folder}", f"--username={USER}")
        return subprocess.run(asked, cwd="/", timeout=20, check=False).returncode == 0

    def kill(self) -> None:
        """End it and the process of each connection as a power cut would (SIGKILL); what was committed stays."""
        if not self._server or self._server.poll() is not None:
            return
        children = Path(f"/proc/{self._server.pid}/task/{self._server.pid}/children")
        self._server.send_signal(signal.SIGSTOP)  # so that it starts no more
        each = [int(word) for word in children.read_text().split()] if children.exists() else []
        self._server.kill()
        self._server.wait(STOPPED)
        for pid in each:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.1)  # the last of them lets go of the shared memory, without which it does not start again

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
