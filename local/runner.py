"""Watching a pair: from its start to the summary."""

import math
import shutil
import sys
import time
from collections import deque
from dataclasses import replace

from common.terminal import cut, rewrites
from local import SERVICES, Failure
from local.compose import Compose
from local.counts import Counts
from local.processes import Processes
from local.reports import connected_seconds, events, get, readiness
from local.view import line, state, summary

_LOOK_SECONDS = 0.5
_PRINT_SECONDS = 5.0
_DRAIN_SECONDS = 10.0
_SETTLED_SECONDS = 1.0
_TAIL_LINES = 5


class Runner:
    """Follows one running pair and prints what flows."""

    def __init__(self, pair: Compose | Processes) -> None:
        self._pair = pair
        self._lives = dict.fromkeys(SERVICES, Counts())
        self._past = Counts()
        self._anew = False
        self._states = dict.fromkeys(SERVICES, "starting")
        self._codes: dict[str, int] = {}
        self._began = self._flowed = time.monotonic()
        self._history = deque([(self._began, Counts())], maxlen=8)
        self._printed = -math.inf
        self._moving = rewrites(sys.stdout)

    @property
    def _counts(self) -> Counts:
        return sum(self._lives.values(), self._past)

    def watch(self) -> None:
        """Print until the producer is through and its messages are handled; raises Failure when a service broke."""
        while "producer" not in self._codes:
            self._look()
            if "consumer" in self._codes and "producer" not in self._codes:
                raise Failure("the consumer ended before the producer")
        self._drain(math.inf)

    def finish(self) -> bool:
        """Stop producer, then consumer, and print the summary; True when both ended well with nothing known left."""
        self._stop("producer")
        self._drain(time.monotonic() + _DRAIN_SECONDS)
        self._stop("consumer")
        logs = {service: self._pair.log(service) for service in SERVICES}
        closed = [self._close(service, logs[service]) for service in SERVICES]
        exact = all(closed) and not self._anew
        if self._moving:
            print("\r\x1b[K", end="")
        if self._counts != Counts() or exact:
            # A short flow may be over before the first look.
            seconds = max(self._flowed - self._began, connected_seconds(logs["producer"]))
            print(summary(self._counts, seconds, exact, self._pair.keeps), flush=True)
        left = exact and (self._counts.left or self._counts.unconfirmed)
        return not left and not any(self._codes.values())

    def _close(self, service: str, log: list[str]) -> bool:
        """Take the service's own totals from its closing line; False when it has not left one."""
        closing = events(log, "stopped")[-1:]
        for event in closing:
            self._lives[service] = self._lives[service].stopped(event)
        return bool(closing)

    def _stop(self, service: str) -> None:
        if service not in self._codes:
            self._pair.stop(service)
            self._codes[service] = self._pair.exit_code(service) or 0
            self._states[service] = "stopped"

    def _drain(self, deadline: float) -> None:
        """Wait while the consumer is at it; what it has not got in ten quiet seconds will not come."""
        while "consumer" not in self._codes and time.monotonic() < deadline:
            self._look()
            quiet = time.monotonic() - self._flowed
            if not self._counts.unsettled and quiet > (_DRAIN_SECONDS if self._counts.left else _SETTLED_SECONDS):
                return

    def _look(self) -> None:
        """Take one look at both services, print, and rest."""
        for service in SERVICES:
            if service not in self._codes:
                self._ask(service)
        (looked, before), now = self._history[-1], time.monotonic()
        if self._counts != before:
            self._began = looked if before == Counts() else self._began
            self._flowed = now
        self._history.append((now, self._counts))
        self._show(now)
        time.sleep(_LOOK_SECONDS)

    def _ask(self, service: str) -> None:
        try:
            address = self._pair.address(service)
            old, new = self._lives[service], Counts().seen(get(f"{address}/metrics")[1])
            if new.confirmed < old.confirmed or new.settled < old.settled:
                # Killed and started anew by Docker: it counts from 0 again.
                self._past += replace(old, unconfirmed=0, unsettled=0)
                self._anew = True
            self._lives[service] = new
            self._states[service] = state(*readiness(address))
        except OSError:
            code = self._pair.exit_code(service)
            if code is None:
                if self._states[service] != "starting":
                    self._states[service] = "not answering"
                return
            self._codes[service] = code
            self._states[service] = "finished" if code == 0 else f"exit code {code}"
            log = self._pair.log(service)
            self._close(service, log)
            if code:
                last = "\n".join(log[-_TAIL_LINES:])
                raise Failure(f"the {service} ended with exit code {code}:\n{last}") from None

    def _show(self, now: float) -> None:
        if not self._moving and now - self._printed < _PRINT_SECONDS:
            return
        self._printed = now
        (since, old), (until, new) = self._history[0], self._history[-1]
        seconds = max(until - since, _LOOK_SECONDS)
        rates = ((new.confirmed - old.confirmed) / seconds, (new.settled - old.settled) / seconds)
        text = line(self._counts, rates, self._states)
        if self._moving:
            print("\r\x1b[K" + cut(text, shutil.get_terminal_size().columns - 1), end="", flush=True)
        else:
            print(text, flush=True)
