"""Checkpoint: how far a file is confirmed, remembered in a small file of its own."""

import os
from collections import deque
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from string import ascii_letters, digits
from threading import Event, Thread

import structlog

from common.plugins import ConfigError
from producer.source import Follower

log = structlog.get_logger()
WRITE_INTERVAL_SECONDS = 0.5  # what was confirmed since the last write is sent again after a crash
SLOW_WRITE_SECONDS = 1.0  # one that takes longer is logged, and is waited for no longer at the end
BEGINNING_BYTES = 4096  # by which a file is known


def new_name() -> str:
    """Ten characters that no other source has (59 bits): a message id is them and a number, and has to be short."""
    return "".join((ascii_letters + digits)[byte % 62] for byte in os.urandom(10))


def beginning(file: Path, length: int = BEGINNING_BYTES) -> str:
    """How many bytes `file` begins with, of `length` at most, and their hash. Raises OSError.

    Empty if it is none, or may not be read: that is the source's to say.
    """
    if not os.access(file, os.R_OK) or not file.is_file():  # to open a pipe is to wait for a writer
        return ""
    with file.open("rb") as stream:
        first = stream.read(length)
    return f"{len(first)}:{blake2b(first, digest_size=8).hexdigest()}"


class Checkpoint(Follower):
    """Positions go out in order and are confirmed in any order; `position` is how far all are."""

    def __init__(self, path: Path, position: int = 0, name: str | None = None, begins: str = "") -> None:
        """Everything before `position` is confirmed already. `name` begins the ids of all messages.

        It outlives the process: a line that is sent again by the next one keeps its message id. `begins` is the
        `beginning` of the file that the positions are of.
        """
        self.name = name or new_name()
        self.position = self._written = position
        self._path, self._begins = path, begins
        self._unconfirmed: deque[int] = deque()  # and those that were confirmed before the first of them
        self._confirmed: set[int] = set()
        self._write_at = 0.0
        self._warned = False
        self.writer = BackgroundWriter(self.write)

    def taken(self, position: int) -> None:
        """A message left the source, which stands at `position` behind it."""
        self._unconfirmed.append(position)

    def confirmed(self, position: int) -> None:
        """The message before `position` needs no second sending."""
        self._confirmed.add(position)
        while self._unconfirmed and self._unconfirmed[0] in self._confirmed:
            self.position = self._unconfirmed.popleft()
            self._confirmed.remove(self.position)

    # A message that can never be sent must not hold up the others.
    refused = confirmed

    def tick(self, now: float) -> None:
        """Have it written now and then: a disk that is slow, full or away for a while stops no messages."""
        idle = self.writer.idle.is_set()
        if now < self._write_at or (not idle and now < self._write_at + SLOW_WRITE_SECONDS):
            return
        self._report("a crash now would send again what was confirmed since", idle=idle)
        if idle and self.position != self._written:
            self._write_at = now + WRITE_INTERVAL_SECONDS
            self.writer.ask()

    def close(self) -> None:
        if self.writer.idle.wait(SLOW_WRITE_SECONDS) and self.position != self._written:
            self.writer.ask()
        self._warned = False
        idle = self.writer.idle.wait(SLOW_WRITE_SECONDS)
        self._report("the next start sends again what was confirmed since", idle=idle)

    def _report(self, consequence: str, *, idle: bool) -> None:
        error = self.writer.error
        if idle and not error:
            self._warned = False
        elif not self._warned:
            reason = error.strerror if idle and error else "the disk does not answer"
            log.warning("checkpoint not written", path=str(self._path), reason=reason, so=consequence)
            self._warned = True

    def write(self) -> None:
        """Write it, so that a crash leaves the old or the new one whole. Raises OSError."""
        position, new = self.position, self._path.with_name(f"{self._path.name}.new")
        with new.open("w") as file:
            file.write(f"{position} {self.name} {self._begins}".rstrip() + "\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
        self._written = position


def open_checkpoint(path: Path | None, file: Path) -> Checkpoint | None:
    """The checkpoint of `file` in the file `path`, which is made when it is not there. Raises ConfigError."""
    if path is None:
        return None
    try:
        if path.resolve() == file.resolve():
            raise ConfigError(f"{path} is what the source reads, and would be written over: name another file")
        if path.exists() and not path.is_file():
            raise ConfigError(f"{path} is no file")
        if not path.exists() or not path.stat().st_size:
            checkpoint = Checkpoint(path, begins=beginning(file))
        else:
            position, name, *known = path.read_text().split()
            if int(position) < 0:
                raise ValueError(position)
            (begins,) = known or [""]  # the first versions did not know it
            length = int(begins.partition(":")[0] or 0)
            if length and beginning(file, length) not in ("", begins):
                raise ConfigError(f"{path} is of a file that begins otherwise than {file}: remove it, or name another")
            checkpoint = Checkpoint(path, int(position), name, beginning(file) or begins)
        checkpoint.write()  # at the start: one that cannot be written is no use, and would be known only after messages
        checkpoint.writer.start()
        return checkpoint
    except OSError as error:
        raise ConfigError(f"{error.filename or path}: {error.strerror}") from None
    except ValueError:
        raise ConfigError(f"{path} is no checkpoint of ours: remove it, or name another file") from None


class BackgroundWriter:
    """Runs `write` in a thread of its own, once for each `ask`. One thread may ask, while it is `idle`.

    `write` may raise OSError, which is kept as `error` until a run succeeds.
    """

    def __init__(self, write: Callable[[], None]) -> None:
        self.error: OSError | None = None
        self.idle = Event()  # all that was asked for is done, well or not
        self.idle.set()
        self._write, self._asked = write, Event()

    def start(self) -> None:
        Thread(target=self._run, name="checkpoint", daemon=True).start()

    def ask(self) -> None:
        self.idle.clear()
        self._asked.set()

    def _run(self) -> None:
        while self._asked.wait():
            self._asked.clear()
            try:
                self._write()
                self.error = None
            except OSError as error:
                self.error = error
            self.idle.set()
