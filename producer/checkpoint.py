"""Checkpoint: how far a file is confirmed, remembered in a small file of its own."""

import errno
import os
from collections import deque
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from string import ascii_letters, digits
from threading import Event, Thread

import structlog

from common.plugins import ConfigError
from producer.follower import Follower

log = structlog.get_logger()
WRITE_INTERVAL_SECONDS = 0.5  # what was confirmed since the last write is sent again after a crash
SLOW_WRITE_SECONDS = 1.0  # one that takes longer is logged, and is waited for no longer at the end
CHUNK = 1024 * 1024


def new_name() -> str:
    """Ten characters that no other source has (59 bits): a message id is them and a number, and has to be short."""
    return "".join((ascii_letters + digits)[byte % 62] for byte in os.urandom(10))


class Identity:
    """What an open file is known by: the bytes it begins with, as many as are confirmed, and its inode.

    Its first bytes alone, or those before the position, are equal in many files: lines have a header or are alike.
    """

    def __init__(self, descriptor: int) -> None:
        self.inode = os.fstat(descriptor).st_ino  # and not the device, whose number changes with a mount
        self._descriptor, self._hash, self._length = descriptor, blake2b(digest_size=8), 0

    def until(self, position: int) -> str:
        """The number of bytes looked at, at least `position` if there are so many, and their hash. Raises OSError."""
        while chunk := os.pread(self._descriptor, min(CHUNK, max(0, position - self._length)), self._length):
            self._hash.update(chunk)
            self._length += len(chunk)
        return f"{self._length}:{self._hash.hexdigest()}"

    def known(self, position: int) -> str:
        """The words of a checkpoint at `position`. Raises OSError."""
        begins = self.until(position)
        if self._length < position:
            raise OSError(errno.EIO, "the file became shorter than what was read of it")
        return f"{begins} {self.inode}"


class Checkpoint(Follower):
    """Positions go out in order and are confirmed in any order; `position` is how far all are."""

    def __init__(
        self,
        path: Path,
        position: int = 0,
        name: str | None = None,
        descriptor: int | None = None,
        known: Callable[[int], str] = lambda _: "",
    ) -> None:
        """Everything before `position` is confirmed already. `name` begins the ids of all messages.

        It outlives the process: a line that is sent again by the next one keeps its message id. `descriptor` is of the
        file that the positions are of, if that can be opened, and `known(position)` says what to know it by.
        """
        self.name = name or new_name()
        self.position = self._written = position
        self.descriptor = descriptor
        self._path, self._known = path, known
        self._unconfirmed: deque[int] = deque()  # and those that were confirmed before the first of them
        self._confirmed: set[int] = set()
        self._write_at = 0.0
        self._warned = False
        self.writer = BackgroundWriter(self.write)

    def taken(self, position: int) -> None:
        self._unconfirmed.append(position)

    def confirmed(self, position: int) -> None:
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
        position, new = self.position, _new(self._path)
        text = f"{position} {self.name} {self._known(position)}".rstrip() + "\n"
        new.unlink(missing_ok=True)  # of a crash, or a link that somebody put there: neither is written to
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
        self._written = position


def _new(path: Path) -> Path:
    """Where a checkpoint is written, to take the place of `path` then."""
    return path.with_name(f"{path.name}.new")


def open_checkpoint(path: Path | None, file: Path) -> Checkpoint | None:
    """The checkpoint of `file` in the file `path`, which is made when it is not there. Raises ConfigError."""
    if path is None:
        return None
    try:
        # By any name: what stands where it is written first is removed, be it a link.
        if {file.resolve(), file.parent.resolve() / file.name} & {path.resolve(), _new(path.resolve())}:
            raise ConfigError(f"{file} is what the source reads, and {path} would replace it: name another file")
        if path.is_symlink():
            raise ConfigError(f"{path} is a symbolic link, which is not followed: name the file itself")
        if path.exists() and not path.is_file():
            raise ConfigError(f"{path} is no file")
        checkpoint = _read(path.absolute(), file)  # a source may change the working folder
        checkpoint.write()  # at the start: one that cannot be written is no use, and would be known only after messages
        checkpoint.writer.start()
        return checkpoint
    except OSError as error:
        raise ConfigError(f"{error.filename or path}: {error.strerror}") from None
    except ValueError:
        raise ConfigError(f"{path} is no checkpoint of ours: remove it, or name another file") from None


def _read(path: Path, file: Path) -> Checkpoint:
    """Raises ConfigError for one of another file, ValueError for another thing, OSError."""
    descriptor = identity = None
    # What is no file or may not be read is the source's to say; and to open a pipe is to wait for a writer.
    if os.access(file, os.R_OK) and file.is_file():
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        identity = Identity(descriptor)
    if not path.exists() or not path.stat().st_size:
        return Checkpoint(path, 0, None, descriptor, identity.known if identity else lambda _: "")
    done, name, *words = path.read_text("utf-8").split()
    # The first versions knew neither, or not the inode.
    begins, inode = {0: ("0:", "0"), 1: (*words, "0")}.get(len(words), words)
    position, length, then = int(done), int(begins.partition(":")[0]), int(inode)
    if position < 0:
        raise ValueError(position)
    if not identity:
        return Checkpoint(path, position, name, known=lambda _: " ".join(words))
    if length and identity.until(length) != begins:
        raise ConfigError(f"{path} is of a file that begins otherwise than {file}: remove it, or name another")
    if position and then not in (0, identity.inode):
        raise ConfigError(
            f"{file} has the bytes that {path} knows, and is another file (inode {identity.inode}, then {then}). "
            "Whether it is a copy, or has new lines of the same text, cannot be known: remove "
            f"{path} to send all of it, or for a copy the last word in {path} to go on behind what is confirmed"
        )
    # Where nothing is confirmed, what was sent of another file may have ids of the same positions.
    return Checkpoint(path, position, name if then in (0, identity.inode) else None, descriptor, identity.known)


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
