"""One comparison: read both systems, pair, look for what is missing, judge; nothing is written anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from connectors.errors import ConnectorError
from connectors.freshbooks import FreshBooks
from sync.connections import UnreachableError, open_clarity, open_freshbooks, require_reachable
from sync.errors import NoStoreError, SettingsError
from sync.flow import load_mappings
from sync.reconcile import judge
from sync.reconcile.books import BooksReader
from sync.reconcile.known import Known
from sync.reconcile.pairs import pair_invoices, pair_payments
from sync.reconcile.period import CompareError, Period
from sync.reconcile.queries import INVOICES, PAYMENTS, REFUNDS, RESULT_CAUSES
from sync.reconcile.source import Approved, Lists, SourceReader
from sync.reconcile.tables import Tables
from sync.settings import Settings
from sync.signin_state import with_sign_in
from sync.store import Store, open_store

_STARTS: Final = (
    "SELECT DISTINCT left(marker, length(marker) - length(number)) AS start FROM orders"
    " WHERE length(number) > 0 AND ends_with(marker, number) AND length(marker) > length(number) LIMIT 5"
)
_FOUND_LIVE: Final = """
SELECT pp.key FROM payment_pairs pp JOIN postings p ON p.id = pp.posting_id WHERE p.state = 'live'"""
_UNPAIRED_ORDERS: Final = f"""
SELECT o.id, o.invoice_number, l.remote_id FROM orders o
LEFT JOIN ledger l ON l.key = o.ledger_key
WHERE o.id NOT IN (SELECT order_id FROM pairs)
  AND (o.decision IN ('go', 'hold') OR l.remote_id IS NOT NULL)
  AND (o.inside OR o.id IN (
    SELECT r.order_id FROM receipts r
    WHERE r.inside AND r.decision = 'go' AND r.key NOT IN ({_FOUND_LIVE})))"""  # noqa: S608  our own names
_UNKNOWN_ORDERS: Final = f"""
SELECT DISTINCT order_id FROM receipts
WHERE inside AND decision = 'go' AND order_id IS NOT NULL AND order_id NOT IN (SELECT id FROM orders)
  AND key NOT IN ({_FOUND_LIVE})"""  # noqa: S608  our own names
_UNPAIRED_INVOICES: Final = (
    "SELECT id FROM invoices WHERE inside AND state = 'live' AND id NOT IN (SELECT invoice_id FROM pairs)"
)
_ORDERS_OF_UNPAIRED: Final = """
SELECT DISTINCT l.record_key FROM ledger l JOIN invoices i ON l.entity = 'invoice' AND l.remote_id = i.id
WHERE i.inside AND i.state = 'live' AND i.id NOT IN (SELECT invoice_id FROM pairs) AND l.record_key LIKE 'order:%'
  AND substr(l.record_key, 7) NOT IN (SELECT id FROM orders)"""
_UNPAIRED_RECEIPTS: Final = """
SELECT r.key, l.remote_id, q.invoice_id FROM receipts r
LEFT JOIN ledger l ON l.key = r.key
LEFT JOIN pairs q ON q.order_id = r.order_id
WHERE r.key NOT IN (SELECT key FROM payment_pairs) AND r.inside AND (r.decision = 'go' OR l.remote_id IS NOT NULL)
  AND (l.remote_id IS NOT NULL OR q.invoice_id IS NOT NULL)
UNION ALL
SELECT NULL, NULL, q.invoice_id FROM pairs q JOIN invoices i ON i.id = q.invoice_id
WHERE i.state = 'live' AND coalesce(i.paid, 0) <> coalesce(
  (SELECT sum(r.amount) FROM receipts r WHERE r.order_id = q.order_id AND r.decision = 'go'), 0)"""
"""Also what is booked on an invoice that is not paid as it should be: whatever its day, it is the cause."""
_UNPAIRED_POSTINGS: Final = (
    "SELECT id FROM postings WHERE inside AND state = 'live' AND id NOT IN (SELECT posting_id FROM payment_pairs)"
)

Say = Callable[[str], None]


@dataclass
class Compared:
    """The tables with every record judged, and what is to be known about the comparison."""

    tables: Tables
    period: Period
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Sources:
    """What a comparison reads."""

    clarity: Lists
    freshbooks: FreshBooks
    store: Store | None
    by_entity: Mapping[str, Approved]


@contextmanager
def reconciled(settings: Settings, mappings: Path, period: Period, *, say: Say | None = None) -> Iterator[Compared]:
    """Compare both systems' books of a period, as the approved mappings of a folder read the orders.

    Args:
        say: Told what is being done, for progress.

    Raises:
        CompareError: A system could not be reached or read to the end.
        SyncError, SpecError: A setting, the store or a mapping is unusable.
    """
    by_entity = load_mappings(mappings).by_entity
    settings = with_sign_in(settings)
    settings.require_freshbooks()
    with ExitStack() as stack:
        try:
            require_reachable(settings.freshbooks.api_url, "FRESHBOOKS_API_URL")
            if settings.clarity.api_url is not None:
                require_reachable(settings.clarity.api_url, "CLARITY_API_URL")
        except UnreachableError as error:
            raise CompareError(f"the books could not be compared: {error.message}") from None
        clarity = open_clarity(settings)
        if clarity is None:
            raise SettingsError("CLARITY_API_URL is not set: the orders to compare with are read from there")
        stack.callback(clarity.close)
        store = _store(settings, stack)
        freshbooks = open_freshbooks(settings, lambda: _token_store(settings, stack))
        stack.callback(freshbooks.close)
        with compared(settings, Sources(clarity, freshbooks, store, by_entity), period, say=say) as found:
            yield found


@contextmanager
def compared(settings: Settings, sources: Sources, period: Period, *, say: Say | None = None) -> Iterator[Compared]:
    """As `reconciled`, with connections that are open already."""
    with Tables() as tables:
        found = Compared(tables, period)
        try:
            _read(found, settings, sources, say or (lambda _text: None))
        except ConnectorError as error:
            raise CompareError(f"the books could not be compared: {error.message}") from None
        if sources.store is None:
            found.notes.append("There is no store: pairs are found by number, notes and payment notes alone.")
        _judge(found, settings, sources)
        yield found


def _read(found: Compared, settings: Settings, sources: Sources, say: Say) -> None:
    tables, period = found.tables, found.period
    source = SourceReader(tables, period, settings, sources.by_entity)
    books, known = BooksReader(tables, period, sources.freshbooks), Known(tables, sources.store)
    say("reading orders, payments and refunds")
    source.read(sources.clarity)
    say("reading invoices and payments of the books")
    books.read()
    say("comparing")
    known.read()
    pair_invoices(tables)
    pair_payments(tables)
    _look_for_orders(tables, source, known, sources.clarity)
    missing = [(row["remote_id"], row["invoice_number"]) for row in tables.rows(_UNPAIRED_ORDERS)]
    if missing:
        say(f"looking for {len(missing)} invoices")
        books.find_invoices(missing)
        pair_invoices(tables)
        pair_payments(tables)
    unpaid = [(row["remote_id"], row["invoice_id"]) for row in tables.rows(_UNPAIRED_RECEIPTS)]
    if unpaid:
        say(f"looking for {len(unpaid)} payments")
        books.find_postings(unpaid)
        pair_payments(tables)
    known.read_of("payment", (row["id"] for row in tables.rows(_UNPAIRED_POSTINGS)))
    known.read_corrections()
    found.notes += source.notes


def _look_for_orders(tables: Tables, source: SourceReader, known: Known, clarity: Lists) -> None:
    """Orders that changed before the period, and are asked for by an invoice or a payment in it."""
    known.read_of("invoice", (row["id"] for row in tables.rows(_UNPAIRED_INVOICES)))
    wanted = [str(row["record_key"]).partition(":")[2] for row in tables.rows(_ORDERS_OF_UNPAIRED)]
    wanted += [str(row["order_id"]) for row in tables.rows(_UNKNOWN_ORDERS)]
    found = [order_id for order_id in dict.fromkeys(wanted) if source.fetch_order(clarity, order_id)]
    if found:
        tables.flush()
        known.read()
        pair_invoices(tables)
        pair_payments(tables)


def _judge(found: Compared, settings: Settings, sources: Sources) -> None:
    tables, policies = found.tables, settings.policies
    rules = judge.Rules(
        lock_date=policies.lock_date,
        dated_today=policies.lock_date_action == "today",
        hand_made_counts=settings.reconcile.hand_made == "difference",
        store_known=sources.store is not None,
        marker_starts=tuple(row["start"] for row in tables.rows(_STARTS)),
    )
    judge_all(tables, rules)


def judge_all(tables: Tables, rules: judge.Rules) -> None:
    """Judge every record, paired before, into the table `result`."""
    _keep(tables, "invoice", INVOICES, lambda row: judge.judge_invoice(row, rules))
    _keep(tables, "payment", PAYMENTS, lambda row: judge.judge_payment(row, rules))
    _keep(tables, "refund", REFUNDS, judge.judge_refund)
    for statement in RESULT_CAUSES:
        tables.run(statement, [judge.SEE_PAYMENTS] * statement.count("?"))


def _keep(tables: Tables, kind: str, query: str, decide: Callable[[Any], judge.Judged]) -> None:
    at = tables.one("SELECT coalesce(max(seq), 0) FROM result")
    for seq, row in enumerate(tables.rows(query), start=at + 1):
        judged = decide(row)
        shown = {name.removeprefix("r_"): value for name, value in row.items() if name.startswith("r_")}
        tables.add(
            "result",
            {
                **shown,
                "seq": seq,
                "kind": kind,
                "status": judged.status,
                "cause": judged.cause,
                "detail": judged.detail,
                "differs": " ".join(judged.differs),
            },
        )
    tables.flush()


def _store(settings: Settings, stack: ExitStack) -> Store | None:
    try:
        store = open_store(settings.store_url, read_only=True)
    except NoStoreError:
        return None
    stack.callback(store.close)
    return store


def _token_store(settings: Settings, stack: ExitStack) -> Store:
    store = open_store(settings.store_url)
    stack.callback(store.close)
    return store
