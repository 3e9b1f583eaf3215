"""Saver: a thread that saves when it is asked to, so that nobody waits for the disk."""

from collections.abc import Callable
from threading import Event, Thread


class Saver:
    """`save` may raise OSError, which is kept as `error` until it has saved again. One thread may ask."""

    def __init__(self, save: Callable[[], None]) -> None:
        self.error: OSError | None = None  # of the last one; written by the thread
        self._save = save
        self._asked, self._resting = Event(), Event()
        self._resting.set()

    def start(self) -> None:
        """Start the thread."""
        Thread(target=self._run, name="saver", daemon=True).start()

    @property
    def resting(self) -> bool:
        """Whether all that was asked for is done, well or not."""
        return self._resting.is_set()

    def ask(self) -> None:
        """Save once, if it rests."""
        self._resting.clear()
        self._asked.set()

    def wait(self, seconds: float) -> bool:
        """Whether it rests by then."""
        return self._resting.wait(seconds)

    def _run(self) -> None:
        while self._asked.wait():
            self._asked.clear()
            try:
                self._save()
                self.error = None
            except OSError as error:
                self.error = error
            self._resting.set()
