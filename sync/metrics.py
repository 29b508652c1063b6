"""Prometheus metrics of one process, in a registry of its own; gauges are asked of the store when they are scraped."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import prometheus_client
import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from sync import control, inbox, records
from sync.budget import budgets
from sync.drift import drift_counts
from sync.spec_safety import mapping_states
from sync.store import Store
from sync.store import alert as alert_table
from sync.store import inbox as inbox_table
from sync.store import lane as lane_table
from sync.store import ledger as ledger_table

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_STATES = ("pending", "done", "dead", "held", "skipped", "ignored", "superseded")


class Metrics:
    """What one process counted, and what its store says."""

    def __init__(self, store: Store, *, now: Callable[[], float]) -> None:
        """Register everything; nothing is asked of the store yet."""
        registry = self.registry = CollectorRegistry()
        self.webhooks = Counter(
            "mapper_webhooks_total",
            "Deliveries since the start of this process by result.",
            ("system", "result"),
            registry=registry,
        )
        self.webhook_seconds = Histogram(
            "mapper_webhook_seconds",
            "Time from a delivery's first byte to its answer.",
            ("system",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.events = Counter(
            "mapper_events_total", "Events worked on by what became of them.", ("entity", "fate"), registry=registry
        )
        self.event_seconds = Histogram(
            "mapper_event_seconds", "Time of the work on one event.", ("entity",), buckets=_SECONDS, registry=registry
        )
        self.requests = Counter(
            "mapper_requests_total",
            "Requests to other systems by outcome: the status, no-answer (nothing changed) or in-doubt.",
            ("host", "method", "outcome"),
            registry=registry,
        )
        self.request_seconds = Histogram(
            "mapper_request_seconds",
            "Time of one request to another system.",
            ("host", "method"),
            buckets=_SECONDS,
            registry=registry,
        )
        self.retries = Counter(
            "mapper_retries_total", "Events to be tried again, by reason.", ("reason",), registry=registry
        )
        self.in_doubt = Counter(
            "mapper_in_doubt_total", "Writes that were sent and have no clear answer.", registry=registry
        )
        registry.register(_OfTheStore(store, now))

    def text(self) -> bytes:
        """Everything in Prometheus' text format 0.0.4."""
        return generate_latest(self.registry)


class _OfTheStore(Collector):
    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing: a registry that asks for names must not ask the store."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """All gauges, from one look at the store."""
        store, now = self._store, self._now()
        with store.read() as conn:
            counted = sa.select(inbox_table.c.state, sa.func.count()).group_by(inbox_table.c.state)
            states: dict[str, int] = {row[0]: row[1] for row in conn.execute(counted)}
            waiting = sa.and_(inbox_table.c.state == "pending", inbox_table.c.fate == "waiting")
            aside = sa.or_(inbox_table.c.state.in_(("held", "dead")), waiting)
            held = conn.scalar(sa.select(sa.func.count(inbox_table.c.record_key.distinct())).where(aside)) or 0
            entries = conn.execute(
                sa.select(ledger_table.c.entity, ledger_table.c.state, sa.func.count())
                .group_by(ledger_table.c.entity, ledger_table.c.state)
                .order_by(ledger_table.c.entity, ledger_table.c.state)
            ).all()
            lanes = sa.and_(lane_table.c.owner.is_not(None), lane_table.c.until > now)
            working = conn.scalar(sa.select(sa.func.count()).select_from(lane_table).where(lanes)) or 0
            open_alerts = conn.execute(
                sa.select(alert_table.c.kind, sa.func.count())
                .where(alert_table.c.state == "open")
                .group_by(alert_table.c.kind)
            ).all()
        due = inbox.next_due_at(store, now=now, waiting=True)
        paused = control.paused(store) is not None
        known = records.connections(store)
        yield _gauge(
            "mapper_inbox_events",
            "Events in the inbox by state.",
            ("state",),
            [((state,), states.get(state, 0)) for state in _STATES],
        )
        yield _gauge(
            "mapper_held_records",
            "Records that were not posted and wait for a person or another record.",
            (),
            [((), held)],
        )
        yield _gauge(
            "mapper_inbox_lag_seconds",
            "How long the most overdue event has been due.",
            (),
            [((), 0.0 if due is None else max(0.0, now - due))],
        )
        yield _gauge("mapper_lanes_working", "Lanes that a worker holds now.", (), [((), working)])
        yield _gauge("mapper_paused", "1 while somebody has paused all writing.", (), [((), int(paused))])
        yield _gauge(
            "mapper_ledger_entries",
            "Ledger entries by target entity and state.",
            ("entity", "state"),
            [((entity, state), count) for entity, state, count in entries],
        )
        yield _gauge(
            "mapper_connection_up",
            "1 when a connection works.",
            ("connection",),
            [((name,), int(one.state == "ok")) for name, one in known.items()],
        )
        yield _gauge(
            "mapper_mapping_up",
            "1 when a mapping file runs as it stands, 0 when it may not.",
            ("file",),
            [((one.file,), int(one.state == "runs")) for one in mapping_states(store) if one.state != "removed"],
        )
        yield _gauge(
            "mapper_drift_records",
            "Records of the last days that differ from what their mapping reads, by kind.",
            ("file", "kind"),
            [
                ((str(one["file"]), kind), count)
                for one in drift_counts(store, now=now)
                for kind, count in one["counts"].items()
            ],
        )
        rates = budgets(store, now=now)
        refused = CounterMetricFamily(
            "mapper_rate_refused", "Requests that a system refused for its rate limit (429).", labels=("connection",)
        )
        for name, one in rates.items():
            refused.add_metric([name], one["refused"])
        yield refused
        yield _gauge(
            "mapper_rate_pause_seconds",
            "How long nobody sends to a system because it asked for a pause.",
            ("connection",),
            [((name,), one["pause_s"]) for name, one in rates.items()],
        )
        yield _gauge(
            "mapper_rate_limit_per_minute",
            "Limit learned from refusals; absent while there is none.",
            ("connection",),
            [((name,), one["per_minute"]) for name, one in rates.items() if one["per_minute"] is not None],
        )
        yield _gauge(
            "mapper_open_alerts",
            "Alerts that are open, by kind.",
            ("kind",),
            [((kind,), count) for kind, count in open_alerts],
        )


def _gauge(
    name: str, text: str, labels: tuple[str, ...], values: list[tuple[tuple[str, ...], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for of_labels, value in values:
        family.add_metric(list(of_labels), value)
    return family
