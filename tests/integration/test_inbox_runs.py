"""Runs on a real SQLite file with a stand-in flow: outcomes, waiting, dry run, a killed runner, polling, tokens."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy.exc import OperationalError

from connectors.clarity_port import Head
from connectors.errors import AuthError, RateLimitedError, RejectedError, TransientError
from connectors.tokens import TokenPair
from sync import inbox, ledger, records
from sync.connections import UnreachableError
from sync.errors import InputError, SettingsError
from sync.inbox import Event
from sync.poll import poll_clarity
from sync.runner import Progress, RunReport, run
from sync.settings import FreshBooksSettings, RunnerSettings, Settings
from sync.store import Store, open_store
from sync.tokens_db import DatabaseTokenStore
from sync.worker import MAX_RETRIES, Context


@dataclass(frozen=True)
class Reason:
    id: str
    message: str


@dataclass(frozen=True)
class Outcome:
    fate: str
    reasons: tuple[Reason, ...] = ()
    due_in_s: float | None = None
    waits_for: str | None = None
    settled: None = None


@dataclass
class Flow:
    """Answers with what a test says, and remembers what it was asked."""

    answer: Callable[[Event, Context], Outcome] = lambda event, context: Outcome("done")
    seen: list[str] = field(default_factory=list)

    def load_mappings(self, folder: Path) -> str:
        return folder.name

    def process(self, event: Event, context: Context) -> Outcome:
        self.seen.append(event.record_key)
        return self.answer(event, context)


class Clock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.at = 1_000.0
        self.waits: list[float] = []

    def now(self) -> float:
        return self.at

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.at += seconds


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        books = FreshBooksSettings(
            api_url=f"http://127.0.0.1:{server.getsockname()[1]}", account_id="A1", access_token=SecretStr("t")
        )
        yield Settings(store_url=f"sqlite:///{tmp_path / 'm.db'}", freshbooks=books, runner=RunnerSettings(workers=1))


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    opened = open_store(settings.store_url)
    yield opened
    opened.close()


def line(number: int, record: str = "order:1", **resource: Any) -> str:
    entity, _, record_id = record.partition(":")
    action = "captured" if entity == "payment" else "created"
    data = {"object": entity, "id": record_id, "resource": {"x": 1, **resource}}
    return json.dumps({"id": f"evt_{number}", "type": f"{entity}.{action}", "data": data})


def events(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "events.ndjson"
    path.write_text("\n".join(lines) + "\n")
    return path


def go(settings: Settings, flow: Flow, path: Path | None = None, **more: Any) -> RunReport:
    clock = more.pop("clock", None) or Clock()
    return run(settings, Path("maps"), events=path, flow=flow, now=clock.now, wait=clock.wait, **more)


def test_a_file_is_worked_through_once(settings: Settings, tmp_path: Path) -> None:
    path = events(tmp_path, line(1), "", line(2, "customer:5"))
    flow, shown = Flow(), []
    report = go(settings, flow, path, on_progress=shown.append)
    assert (report.ingested.new, report.fates, report.exit_code) == (2, {"done": 2}, 0)
    assert shown == [Progress(1, 2), Progress(2, 2)]
    again = go(settings, flow, path)
    assert (again.ingested.new, again.ingested.duplicate, again.fates) == (0, 2, {})
    assert flow.seen == ["order:1", "customer:5"]


@pytest.mark.parametrize(
    ("bad", "says"),
    [("{nonsense", "events.ndjson:2: not valid JSON"), ("[]", "events.ndjson:2: expected a webhook envelope")],
)
def test_a_malformed_line_is_named_and_nothing_is_ingested(
    settings: Settings, tmp_path: Path, bad: str, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        go(settings, Flow(), events(tmp_path, line(1), bad, line(3)))
    assert not (tmp_path / "m.db").exists()


def test_a_missing_file_is_named(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.ndjson: no such file"):
        go(settings, Flow(), tmp_path / "gone.ndjson")


def test_a_byte_order_mark_and_windows_line_ends_are_read(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "e.ndjson"
    path.write_bytes(b"\xef\xbb\xbf" + line(1).encode() + b"\r\n" + line(2).encode() + b"\r\n")
    assert go(settings, Flow(), path).ingested.new == 2


def test_an_unreachable_server_is_said_at_once(settings: Settings, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    books = settings.freshbooks.model_copy(update={"api_url": f"http://127.0.0.1:{port}"})
    gone = settings.model_copy(update={"freshbooks": books})
    with pytest.raises(UnreachableError, match=f"cannot reach http://127.0.0.1:{port} .*FRESHBOOKS_API_URL"):
        go(gone, Flow(), events(tmp_path, line(1)))


def test_fates_become_states_and_the_exit_code(settings: Settings, tmp_path: Path) -> None:
    fates = {"order:1": "held", "order:2": "dead", "order:3": "skipped", "order:4": "done"}
    flow = Flow(lambda event, _: Outcome(fates[event.record_key], (Reason("why", "because"),)))
    path = events(tmp_path, *[line(n, f"order:{n}") for n in range(1, 5)])
    report = go(settings, flow, path)
    assert report.exit_code == 3
    assert [(row["record"], row["kind"]) for row in report.status["held"]] == [
        ("order 1", "held"),
        ("order 2", "dead"),
        ("order 3", "skipped"),
    ]


def test_skipped_orders_alone_are_no_failure(settings: Settings, tmp_path: Path) -> None:
    report = go(settings, Flow(lambda e, c: Outcome("skipped", (Reason("cancelled", "x"),))), events(tmp_path, line(1)))
    assert report.exit_code == 0


def test_a_payment_before_its_order_is_done_after_it(settings: Settings, tmp_path: Path) -> None:
    done: set[str] = set()

    def answer(event: Event, context: Context) -> Outcome:
        if event.entity == "payment" and "order:1" not in done:
            return Outcome("waiting", (Reason("order-missing", "x"),), waits_for="order:1")
        done.add(event.record_key)
        return Outcome("done")

    flow, clock = Flow(answer), Clock()
    report = go(settings, flow, events(tmp_path, line(1, "payment:9", orderId="1"), line(2)), clock=clock)
    assert flow.seen == ["payment:9", "order:1", "payment:9"]
    assert (report.exit_code, clock.waits) == (0, [])


def test_a_payment_whose_order_never_comes_is_listed_and_does_not_keep_the_run(
    settings: Settings, tmp_path: Path
) -> None:
    flow, clock = Flow(lambda e, c: Outcome("waiting", (Reason("order-missing", "x"),), waits_for="order:1")), Clock()
    report = go(settings, flow, events(tmp_path, line(1, "payment:9", orderId="1")), clock=clock)
    assert (report.exit_code, clock.waits, report.left) == (3, [], 0)
    assert report.status["held"][0]["kind"] == "waiting"


def test_a_retry_is_waited_for(settings: Settings, tmp_path: Path) -> None:
    answers = iter([Outcome("retry", due_in_s=20), Outcome("retry", due_in_s=30), Outcome("done")])
    clock = Clock()
    report = go(settings, Flow(lambda e, c: next(answers)), events(tmp_path, line(1)), clock=clock)
    assert (report.fates, report.exit_code) == ({"retry": 2, "done": 1}, 0)
    assert clock.waits == [20, 30]


def test_a_run_does_not_wait_longer_than_it_may(settings: Settings, tmp_path: Path) -> None:
    clock = Clock()
    flow = Flow(lambda e, c: Outcome("retry", (Reason("transient", "x"),), due_in_s=40))
    report = go(settings, flow, events(tmp_path, line(1)), clock=clock, max_wait_s=100)
    assert clock.waits == [40, 40]
    assert (report.left, report.exit_code) == (1, 1)
    assert [row["kind"] for row in report.status["waiting"]] == ["retry"]


def test_retries_are_bounded(settings: Settings, tmp_path: Path) -> None:
    flow = Flow(lambda e, c: Outcome("retry", (Reason("transient", "no answer"),)))
    report = go(settings, flow, events(tmp_path, line(1)), max_wait_s=1e9)
    assert len(flow.seen) == MAX_RETRIES + 1
    assert report.status["held"][0]["reason"] == "given up after 13 tries; no answer"


def test_a_refused_login_ends_the_run_and_loses_nothing(settings: Settings, tmp_path: Path, store: Store) -> None:
    flow = Flow(lambda e, c: Outcome("stop", (Reason("auth", "reconnect FreshBooks"),)))
    report = go(settings, flow, events(tmp_path, line(1), line(2, "order:2")))
    assert (report.exit_code, report.stopped, len(flow.seen)) == (1, "reconnect FreshBooks", 1)
    assert report.status["connections"]["freshbooks"]["state"] == "stopped"
    assert go(settings, Flow()).fates == {"done": 2}
    assert records.connections(store)["freshbooks"].state == "ok"


@pytest.mark.parametrize(
    ("error", "fate"),
    [
        (AuthError("no"), "stop"),
        (TransientError("busy", 5.0), "retry"),
        (RejectedError(422, 1001, "lname", "required"), "dead"),
        (ValueError("ana@example.com"), "dead"),
    ],
)
def test_what_escapes_the_flow_still_has_a_fate(
    settings: Settings, tmp_path: Path, error: Exception, fate: str, store: Store
) -> None:
    raised: list[Event] = []

    def answer(event: Event, context: Context) -> Outcome:
        if not raised:
            raised.append(event)
            raise error
        return Outcome("done")

    report = go(settings, Flow(answer), events(tmp_path, line(1)))
    assert report.fates[fate] == 1
    assert "ana@" not in json.dumps(report.status)


def test_stopping_ends_after_the_event_in_hand(settings: Settings, tmp_path: Path) -> None:
    stop = threading.Event()

    def answer(event: Event, context: Context) -> Outcome:
        stop.set()
        return Outcome("done")

    report = go(settings, Flow(answer), events(tmp_path, line(1), line(2, "order:2")), stop=stop)
    assert (report.fates, report.stopped, report.exit_code) == ({"done": 1}, "stopped by request", 1)


def written(event: Event, context: Context) -> Outcome:
    key = f"clarity:invoice:{event.record_id}"
    if ledger.get(context.store, key) is None:
        amount = {"total": Decimal("25.57"), "currency": "USD"}
        now = context.now()
        ledger.open_intent(
            context.store, key, entity="invoice", record_key=event.record_key, phase="create", now=now, **amount
        )
        ledger.confirm(context.store, key, remote_id="1", now=now)
        if context.dry_run:
            context.planned.append({"method": "POST", "path": "/x", "body": {"a": 1}, "entity": "invoice", **amount})
    return Outcome("done")


def test_the_report_sums_what_this_run_wrote(settings: Settings, tmp_path: Path) -> None:
    clock = Clock()
    report = go(settings, Flow(written), events(tmp_path, line(1), line(2, "order:2")), clock=clock)
    assert report.totals == {"counts": {"invoice": {"confirmed": 2}}, "sums": {"invoice": {"USD": "51.14"}}}
    clock.at += 10
    assert go(settings, Flow(written), tmp_path / "events.ndjson", clock=clock).totals == {"counts": {}, "sums": {}}


def test_a_dry_run_leaves_no_trace(settings: Settings, tmp_path: Path) -> None:
    path = events(tmp_path, line(1))
    report = go(settings, Flow(written), path, dry_run=True)
    assert report.totals == {"counts": {"invoice": {"planned": 1}}, "sums": {"invoice": {"USD": "25.57"}}}
    assert [request["path"] for request in report.planned] == ["/x"]
    assert sorted(found.name for found in tmp_path.iterdir()) == ["events.ndjson"]


def test_a_dry_run_knows_what_was_written_and_what_is_pending(settings: Settings, tmp_path: Path, store: Store) -> None:
    go(settings, Flow(written), events(tmp_path, line(1)))
    inbox.ingest(store, [json.loads(line(5, "order:5"))], source="test", now=0)
    before = inbox.counts(store)
    flow = Flow(written)
    report = go(settings, flow, events(tmp_path, line(2), line(3, "order:3")), dry_run=True)
    assert flow.seen == ["order:5", "order:1", "order:3"]
    assert len(report.planned) == 2
    assert inbox.counts(store) == before


DYING = """
import os, sys
from pathlib import Path
from pydantic import SecretStr
from sync.runner import run
from sync.settings import FreshBooksSettings, Settings

class Flow:
    def load_mappings(self, folder):
        return None
    def process(self, event, context):
        os._exit(9)

books = FreshBooksSettings(api_url=sys.argv[2], account_id="A1", access_token=SecretStr("t"))
run(Settings(store_url=sys.argv[1], freshbooks=books), Path("maps"), events=Path(sys.argv[3]), flow=Flow())
"""


def test_a_fresh_run_takes_over_from_a_killed_one_at_once(settings: Settings, tmp_path: Path) -> None:
    path = events(tmp_path, line(1), line(2, "order:2"))
    arguments = [sys.executable, "-c", DYING, settings.store_url, settings.freshbooks.api_url, str(path)]
    assert subprocess.run(arguments, check=False).returncode == 9
    clock = Clock()
    flow = Flow()
    report = run(settings, Path("maps"), flow=flow, wait=clock.wait)
    assert (flow.seen, clock.waits, report.exit_code) == (["order:1", "order:2"], [], 0)


class Shop:
    """Lists of a Clarity store."""

    def __init__(self, **rows: list[dict[str, Any]] | Exception) -> None:
        self.rows = rows
        self.asked: list[tuple[str, datetime | None]] = []

    def head(self, row: Mapping[str, Any]) -> Head:
        return Head(row["id"], row["updatedAt"])

    def list_updated(self, entity: str, since: datetime | None) -> Iterator[dict[str, Any]]:
        self.asked.append((entity, since))
        rows = self.rows.get(entity, [])
        if isinstance(rows, Exception):
            raise rows
        yield from rows


def row(record_id: str, updated_at: str) -> dict[str, Any]:
    return {"id": record_id, "updatedAt": updated_at, "total": Decimal("1.10")}


LATER = 1_800_000_000.0


def test_polling_brings_what_changed_once_and_moves_its_cursor(store: Store) -> None:
    shop = Shop(order=[row("1", "2026-03-01T14:00:00Z"), row("2", "2026-03-01T15:00:00Z")])
    assert poll_clarity(store, shop, now=LATER, overlap_s=300).result.new == 2
    shop.rows["order"] = [row("2", "2026-03-01T15:00:00Z"), row("1", "2026-03-01T16:00:00Z")]
    assert poll_clarity(store, shop, now=LATER, overlap_s=300).result == inbox.IngestResult(new=1, duplicate=1)
    assert [since for entity, since in shop.asked if entity == "order"] == [
        None,
        datetime(2026, 3, 1, 14, 55, tzinfo=UTC),
    ]
    event = inbox.next_due(store, now=LATER, owner="me")
    assert event is not None
    assert (event.delivery_id, event.type) == ("poll:order:1:2026-03-01T14:00:00.000000Z", "order.updated")


def test_a_record_from_the_future_does_not_carry_the_cursor_there(store: Store) -> None:
    shop = Shop(order=[row("1", "2026-03-01T14:00:00Z"), row("2", "2099-01-01T00:00:00Z")])
    poll_clarity(store, shop, now=LATER, overlap_s=300)
    shop.rows["order"] = [row("3", datetime.fromtimestamp(LATER, UTC).isoformat())]
    poll_clarity(store, shop, now=LATER + 60, overlap_s=300)
    assert [since for entity, since in shop.asked if entity == "order"][-1] == datetime.fromtimestamp(LATER - 300, UTC)
    assert inbox.counts(store) == {"pending": 3}


def test_a_list_that_fails_keeps_its_cursor_and_stops_no_other(store: Store) -> None:
    shop = Shop(customer=TransientError("busy"), order=[row("1", "2026-03-01T14:00:00Z")])
    report = poll_clarity(store, shop, now=1)
    assert (report.result.new, report.problems) == (1, ["Clarity, customer list: busy"])
    assert records.connections(store)["clarity"].reason == "Clarity, customer list: busy"
    poll_clarity(store, shop, now=2)
    assert [since is None for entity, since in shop.asked if entity == "customer"] == [True, True]


def test_a_used_up_rate_limit_says_nothing_about_the_connection(store: Store) -> None:
    used_up = RateLimitedError("clarity: its rate limit is used up for 40 s", 40.0)
    report = poll_clarity(store, Shop(order=used_up), now=1)
    assert report.problems == ["Clarity, order list: clarity: its rate limit is used up for 40 s"]
    assert "clarity" not in records.connections(store)
    poll_clarity(store, Shop(), now=2)
    poll_clarity(store, Shop(order=used_up), now=3)
    assert records.connections(store)["clarity"].state == "ok"
    poll_clarity(store, Shop(order=used_up, customer=TransientError("busy")), now=4)
    found = records.connections(store)["clarity"]
    assert (found.state, found.reason) == ("stopped", "Clarity, customer list: busy")


def test_a_refused_login_stops_polling(store: Store) -> None:
    shop = Shop(customer=AuthError("Clarity sign-in refused"))
    assert poll_clarity(store, shop, now=1).refused
    assert [entity for entity, _ in shop.asked] == ["customer"]


def test_a_webhook_and_a_poll_of_the_same_change_are_two_deliveries_of_one_record(store: Store) -> None:
    inbox.ingest(store, [json.loads(line(1))], source="webhook", now=0)
    poll_clarity(store, Shop(order=[row("1", "2026-03-01T14:00:00Z")]), now=1)
    found = records.latest(store, "order:1")
    assert found is not None
    assert found.version == "2026-03-01T14:00:00.000000Z"


PAIR = TokenPair("access-1", "refresh-1", 1_772_000_000.5)


def test_tokens_are_kept_encrypted(store: Store) -> None:
    tokens = DatabaseTokenStore(store, "freshbooks")
    with tokens.exclusive() as cell:
        assert cell.load() is None
        cell.save(PAIR)
        assert cell.load() == PAIR
    assert store.path is not None
    key = store.path.with_name("m.db.key")
    assert key.stat().st_mode & 0o777 == 0o600
    with store.read() as conn:
        assert "refresh-1" not in str(conn.exec_driver_sql("SELECT * FROM token").all())
    with DatabaseTokenStore(store, "freshbooks").exclusive() as cell:
        assert cell.load() == PAIR


def test_a_changed_key_is_said(store: Store) -> None:
    with DatabaseTokenStore(store, "freshbooks").exclusive() as cell:
        cell.save(PAIR)
    other = SecretStr("A" * 43 + "=")
    with (
        DatabaseTokenStore(store, "freshbooks", key=other).exclusive() as cell,
        pytest.raises(SettingsError, match="cannot be decrypted"),
    ):
        cell.load()
    with (
        pytest.raises(SettingsError, match="MAPPER_TOKEN_KEY: expected a Fernet key"),
        DatabaseTokenStore(store, "freshbooks", key=SecretStr("short")).exclusive(),
    ):
        pass


def test_one_refresher_at_a_time_while_webhooks_are_stored(store: Store) -> None:
    """Counts up under the lock from several threads; the inbox stays writable meanwhile."""

    def renew() -> None:
        tokens = DatabaseTokenStore(store, "freshbooks")
        for _ in range(5):
            with tokens.exclusive() as cell:
                held = cell.load()
                inbox.wake(store, "order:1", now=0)
                cell.save(TokenPair("a", str(int(held.refresh) + 1 if held else 1), 0.0))

    threads = [threading.Thread(target=renew) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with DatabaseTokenStore(store, "freshbooks").exclusive() as cell:
        held = cell.load()
    assert held is not None
    assert held.refresh == "20"


def test_a_store_that_fails_for_a_moment_sets_no_record_aside(settings: Settings, tmp_path: Path) -> None:
    failures = [OperationalError("SELECT", None, sqlite3.OperationalError("database is locked"))]

    def answer(_event: Event, _context: Context) -> Outcome:
        if failures:
            raise failures.pop()
        return Outcome("done")

    clock = Clock()
    report = go(settings, Flow(answer), events(tmp_path, line(1)), clock=clock)
    assert (report.fates, report.exit_code) == ({"retry": 1, "done": 1}, 0)
