"""Sees deliveries, events and requests as they happen, for metrics and traces. Ids, kinds and outcomes; no values."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from connectors.watching import Sent, Told

if TYPE_CHECKING:
    from sync.inbox import Event
    from sync.metrics import Metrics
    from sync.traces import Traces

ToldEvent = Callable[[str, str], None]
"""Takes the fate of an event and its first reason id, "" without one."""


class Watch:
    """What a process is watched by; without metrics and traces it does nothing."""

    def __init__(
        self,
        metrics: Metrics | None = None,
        traces: Traces | None = None,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Start nothing."""
        self.metrics = metrics
        self.traces = traces
        self._clock = clock

    @contextmanager
    def delivery(self, system: str) -> Iterator[Told]:
        """Around one webhook; what is yielded takes the result of the answer."""
        result = ""
        with self._span("delivery", {"system": system}) as put:

            def told(outcome: str) -> None:
                nonlocal result
                result = outcome
                put("result", outcome)

            began = self._clock()
            yield told
        if self.metrics is not None:
            self.metrics.webhooks.labels(system, result or "failed").inc()
            self.metrics.webhook_seconds.labels(system).observe(self._clock() - began)

    @contextmanager
    def event(self, event: Event) -> Iterator[ToldEvent]:
        """Around the work on one event."""
        attributes = {"record": event.record_key, "lane": event.lane_key, "event": event.type, "seq": event.seq}
        with self._span("event", attributes) as put:
            began = self._clock()

            def told(fate: str, reason: str) -> None:
                put("fate", fate)
                put("reason", reason)
                if self.metrics is not None:
                    self.metrics.events.labels(event.entity, fate).inc()
                    self.metrics.event_seconds.labels(event.entity).observe(self._clock() - began)
                    if fate == "retry":
                        self.metrics.retries.labels(reason or "unknown").inc()

            yield told

    @contextmanager
    def request(self, sent: Sent) -> Iterator[Told]:
        """Around one request to another system (`connectors.watching`)."""
        attributes = {
            "http.request.method": sent.method,
            "server.address": sent.host,
            "operation": sent.operation,
        }
        with self._span("request", attributes) as put:
            began = self._clock()

            def told(outcome: str) -> None:
                put("outcome", outcome)
                if self.metrics is not None:
                    self.metrics.requests.labels(sent.host, sent.method, outcome).inc()
                    self.metrics.request_seconds.labels(sent.host, sent.method).observe(self._clock() - began)
                    if outcome == "in-doubt" or (sent.method != "GET" and outcome.startswith("5")):
                        self.metrics.in_doubt.inc()

            yield told

    @contextmanager
    def _span(self, name: str, attributes: dict[str, Any]) -> Iterator[Callable[[str, str], None]]:
        if self.traces is None:
            yield _nothing
            return
        with self.traces.span(name, attributes) as put:
            yield put


def _nothing(_name: str, _value: str) -> None:
    """There is no trace."""
