"""The consumer's service: from the subscription to the workers, and their outcomes back to the broker."""

import time
from functools import partial
from typing import Any

import structlog

from common.amqp.connection import State
from common.amqp.errors import BrokerError
from common.amqp.topology import Topology
from common.process.run import Process
from consumer import metrics
from consumer.breaker import Breaker
from consumer.coroutines import Coroutines
from consumer.delivery import Delivery
from consumer.handler import Handle, SetUp, runs_on_loop
from consumer.lost_runs import LostRuns
from consumer.outcome import ACK, succeeded
from consumer.requeue import Requeue
from consumer.retry import RetryPublisher
from consumer.settings import ConsumerSettings
from consumer.settle import Done, settle
from consumer.subscription import Subscription
from consumer.workers import Workers

log = structlog.get_logger()


class ConsumerService:
    """Implements `common.process.run.Service`. All of it runs on the I/O thread."""

    def __init__(self, process: Process, settings: ConsumerSettings, handle: Handle | SetUp) -> None:
        wake = process.guarded(self._on_outcomes)
        delays = settings.consumer_retry_delays
        self._idle_exit, self._handler_timeout = settings.consumer_idle_exit, settings.consumer_handler_timeout
        judge = partial(succeeded, queue=settings.mq_ch, max_body=settings.mq_max_body)
        workers = handle, settings.consumer_workers, delays, lambda: process.call_soon(wake), judge
        rate = settings.consumer_rate
        self._workers = (
            Coroutines(*workers, timeout=self._handler_timeout, rate=rate)
            if runs_on_loop(handle)
            else Workers(*workers, rate=rate)
        )
        self._subscription = Subscription(process, settings, self._on_deliveries, self._on_lost, self._on_cancelled)
        self._topology = Topology(settings.mq_ch, delays)
        self._lost_runs = LostRuns(self._handler_timeout)
        self._subscription.runs_here = self._lost_runs.runs
        self._breaker = Breaker(settings.consumer_breaker if delays else None)
        self._postpone_max_age = settings.consumer_postpone_max_age
        self._retry = RetryPublisher(process, settings, self._topology, self._subscription, self._workers.hand_over)
        self._retry.on_forwarded = self._conclude
        self._requeue = Requeue(self._subscription, self._workers, self._retry, self._topology)
        metrics.WORKERS.set(settings.consumer_workers)
        metrics.TIMEOUT_SECONDS.set(self._handler_timeout)
        metrics.RUNNING_SECONDS.set_function(lambda: self._workers.longest(time.monotonic()))
        metrics.OLDEST_SECONDS.set_function(self._workers.oldest)
        metrics.BREAKER_OPEN.set_function(lambda: self._breaker.open)
        self._handled, self._stopping = 0, False
        self._held: list[Delivery] = []  # kept from the handlers while what they forward fills the memory

    def start(self) -> None:
        self._workers.start()
        self._heed_set_up()

    @property
    def error(self) -> BaseException | None:
        """What the handler's set-up or tear-down failed with."""
        return self._workers.error

    def _heed_set_up(self) -> None:
        """Take nothing before there is a handler, and stop if there will be none."""
        if self._stopping:
            return
        if self.error:
            self.stop()
        elif self._workers.ready:
            self._subscription.connection.open()
            self._retry.publisher.connection.open()

    def tick(self, now: float) -> None:
        self._heed_set_up()
        self._retry.tick(now)
        self._requeue.tick(now)
        self._subscription.tick(self._workers.waiting, now)
        if self._held and self._subscription.half_empty:
            self._release()
        breaker, idle, subscription = self._breaker, self._idle_exit, self._subscription
        if not self._requeue and (not breaker.open or now >= breaker.try_at):
            subscription.resume()
        away = subscription.connection.state is not State.OPEN or breaker.open  # what waits is not tried just now
        if away or subscription.unsettled or self._workers.busy:
            subscription.active_at = now
        elif idle is not None and now - subscription.active_at >= idle and not self._stopping:
            log.info("idle", seconds=idle)
            self.stop()

    def stop(self) -> None:
        """Consume no more; then requeue what no handler began with."""
        self._stopping = True
        self._subscription.cancel()

    def done(self) -> bool:
        """True after a stop when all is settled and acknowledged, or cannot be, and the handler's context is left."""
        if self.error:
            return self._stopping
        subscription = self._subscription
        settled = subscription.cancelled and not subscription.unsettled and subscription.flushed()
        over = subscription.connection.state is not State.OPEN or settled
        # A handler outlives its connection.
        return self._stopping and over and not self._workers.busy and self._workers.leave()

    def close(self) -> None:
        self._subscription.close()
        self._retry.publisher.connection.close()

    def closed(self) -> bool:
        return self._subscription.connection.state is self._retry.publisher.connection.state is State.CLOSED

    def problems(self) -> list[str]:
        return self._workers.problems(time.monotonic(), self._handler_timeout)

    def reasons(self) -> list[str]:
        if not self._workers.ready:
            return ["the handler is being set up"]
        connections = [*self._subscription.connection.reasons(), *self._retry.publisher.reasons()]
        return connections + self._lost_runs.reasons(time.monotonic())

    def notes(self) -> list[str]:
        """What an operator should know though the service is ready: an outage elsewhere must not take pods out."""
        error = self._breaker.error
        return [f"messages are tried one at a time, since all fail: {error}"] if error else []

    def summary(self) -> tuple[int, dict[str, Any]]:
        """Left over are deliveries that the broker delivers again, with those whose handler runs on a lost channel."""
        left = max(self._subscription.unsettled, self._workers.busy) + bool(self.error)
        return left, {"handled": self._handled, **self._retry.totals}

    def _on_deliveries(self, deliveries: list[Delivery]) -> None:
        if self._lost_runs.active:
            deliveries, done = self._lost_runs.claim(deliveries, self._workers.running(), time.monotonic())
            self._settle(done)
        if self._held:
            self._held += deliveries
        else:
            self._workers.hand_over(deliveries)

    def _release(self) -> None:
        held, self._held = self._held, []
        self._workers.hand_over(held)

    def _on_outcomes(self) -> None:
        done = self._workers.outcomes()
        metrics.HANDLER_SECONDS.observe([seconds for _, _, seconds in done])
        self._conclude(done)

    def _conclude(self, done: list[Done]) -> None:
        """`done` by a handler, or by the broker that has confirmed or refused what a handler forwards."""
        if self._breaker.failed or any(outcome is not ACK for _, outcome, _ in done):
            done = self._breaker.judge(done, time.monotonic())
            self._heed_breaker()
        self._settle(done)

    def _settle(self, done: list[Done]) -> None:
        settlement = settle(done, self._subscription.channel, self._topology, time.time(), self._postpone_max_age)
        metrics.AGE_SECONDS.observe(settlement.ages)
        metrics.ACKED.inc(len(settlement.acks))
        self._handled += len(settlement.acks)
        self._subscription.acknowledge(settlement.acks, len(settlement.copies))
        if settlement.copies:
            self._retry.publish(settlement.copies)
        if settlement.forwards:
            self._retry.forward(settlement.forwards)
            if self._subscription.full:
                self._held = self._workers.take_back() + self._held
        if settlement.stale and (taken := self._lost_runs.ended(settlement.stale)):
            self._settle(taken)

    def _heed_breaker(self) -> None:
        """Before what was judged is settled: an acknowledgement would bring the next delivery."""
        breaker, subscription = self._breaker, self._subscription
        if breaker.open != subscription.one_at_a_time:
            subscription.one_at_a_time = breaker.open
            if breaker.open:
                log.warning("breaker opened: all fail, so one message at a time is tried", error=breaker.error)
            else:
                log.info("breaker closed: a message was handled")
        if breaker.open:
            subscription.pause()

    def _on_lost(self, broker_error: BrokerError) -> None:
        self._lost_runs.lost(self._workers.running(), broker_error, time.monotonic())
        self._workers.take_back()
        self._held = []
        self._retry.lost()
        self._requeue.lost()

    def _on_cancelled(self, unread: list[Delivery]) -> None:
        self._release()
        if self._stopping:
            self._requeue.on_stop(unread)
        else:
            self._requeue.on_narrowing(unread, 0 if self._breaker.open else self._workers.count)
