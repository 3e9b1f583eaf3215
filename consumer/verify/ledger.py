"""Ledger: what was sent, confirmed and handled, message by message. Pure."""


class Ledger:
    """Messages are numbered from 0. Times are of `time.monotonic()`."""

    def __init__(self) -> None:
        self.latencies: list[float] = []  # seconds from sending to the handler's first sight, in the order they came
        self.ended = 0.0  # when the last came
        self._sent_at: list[float] = []
        self._confirmed: set[int] = set()
        self._handled: dict[int, int] = {}  # how often

    @property
    def attempted(self) -> int:
        """How many were given to the publisher."""
        return len(self._sent_at)

    @property
    def confirmed(self) -> int:
        """How many the broker has taken over."""
        return len(self._confirmed)

    @property
    def handled(self) -> int:
        """How many reached the handler."""
        return len(self._handled)

    @property
    def lost(self) -> int:
        """How many the broker has taken over and did not deliver yet."""
        return len(self._confirmed - self._handled.keys())

    @property
    def duplicates(self) -> int:
        """How many times a message came that had come before."""
        return sum(self._handled.values()) - len(self._handled)

    def age(self, now: float) -> float:
        """Seconds since the first was given to the publisher."""
        return now - self._sent_at[0] if self._sent_at else 0.0

    def send(self, now: float) -> int:
        """The number of the next message."""
        self._sent_at.append(now)
        return len(self._sent_at) - 1

    def confirm(self, number: int) -> None:
        """The broker confirmed it."""
        self._confirmed.add(number)

    def handle(self, number: int, now: float) -> None:
        """It came to the handler, whole."""
        self.ended = now
        if number not in self._handled:
            self.latencies.append(now - self._sent_at[number])
        self._handled[number] = self._handled.get(number, 0) + 1
