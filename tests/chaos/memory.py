"""How much memory the services take at most."""

import threading
from pathlib import Path

from tests.chaos.pair import Pair


def peak_rss(pid: int) -> float:
    """The most memory that a process ever had, in MiB; 0 when it is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = [line.split()[1] for line in text.splitlines() if line.startswith("VmHWM:")]
    return int(found[0]) / 1024 if found else 0.0


class PeakMemory:
    """Looks at a pair twice a second, in a thread of its own; `peak` is in MiB."""

    def __init__(self, pair: Pair) -> None:
        self.peak = 0.0
        self._pair, self._end = pair, threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)

    def _run(self) -> None:
        while not self._end.wait(0.5):
            for process in self._pair.processes:
                if process.code() is None:
                    self.peak = max(self.peak, peak_rss(process.pid))

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._end.set()
        self._thread.join(10)
