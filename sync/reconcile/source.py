"""What should be in the books: the source's orders, payments and refunds, each as its approved mapping reads it.

Dates, numbers, amounts and whether a record is wanted at all come from the mapping, so that the comparison judges by
what was approved and needs to know no shop's member names. Only what a mapping does not say is read by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Protocol

from connectors.errors import RejectedError
from mapspec import CompiledSpec, Draft
from mapspec.errors import TransformError
from sync.assumptions import is_test
from sync.plan import natural_key
from sync.reconcile.period import Period
from sync.reconcile.tables import Tables
from sync.settings import Settings

_DAYS: Final = {
    "order": ("orderDate", "OriginalDate", "CreatedDate", "createdAt"),
    "payment": ("paidAt", "ReceivedDate", "PaymentDate", "CreatedDate", "createdAt"),
    "refund": ("refundedAt", "createdAt", "CreatedDate", "updatedAt"),
}
_AMOUNTS: Final = ("amount", "Amount", "RefundAmount", "total")
_CURRENCIES: Final = ("currency", "CurrencyKey", "CurrencyName")
_ORDER_IDS: Final = ("orderId", "MasterID")
_ORDER_NUMBERS: Final = ("orderNumber", "MasterKey")
_ORDER_LIST: Final = "SalesOrderIDs"
_TRANSACTIONS: Final = ("transactionId", "TransactionNumber", "ExternalPaymentID", "ReferenceNo")

Record = Mapping[str, Any]


class Approved(Protocol):
    """The part of the runner's approved spec that is used here."""

    @property
    def compiled(self) -> CompiledSpec: ...


class Lists(Protocol):
    """The part of a source's client that is used here."""

    def list_updated(self, entity: str, since: datetime | None) -> Iterator[dict[str, Any]]: ...

    def get(self, entity: str, id: int | str) -> dict[str, Any]: ...  # noqa: A002  as the connector's


class SourceReader:
    """Reads the source page by page into the tables."""

    def __init__(self, tables: Tables, period: Period, settings: Settings, by_entity: Mapping[str, Approved]) -> None:
        """Read nothing yet."""
        self._tables, self._period, self._settings, self._by_entity = tables, period, settings, by_entity
        self.notes: list[str] = []

    def read(self, lists: Lists) -> None:
        """Everything that changed since shortly before the period, which is all that can be dated in it.

        Raises:
            ConnectorError: A list could not be read to its end.
        """
        since = datetime.combine(self._period.asked_from, time(), UTC)
        for record in lists.list_updated("order", since):
            self.add_order(record)
        self._read_list(lists, "payment", since, self._add_payment)
        self._read_list(lists, "refund", since, self._add_refund)
        self._tables.flush()
        self._settle_orders()

    def fetch_order(self, lists: Lists, order_id: str) -> bool:
        """Add one order that was not among the lists; False when the source does not know it any more."""
        try:
            self.add_order(lists.get("order", order_id))
        except RejectedError as error:
            if error.status not in (404, 410):
                raise
            return False
        return True

    def add_order(self, record: Record) -> None:
        """One order, and the payments inside it that its mapping would post."""
        record = self._settings.reading.record(record)
        spec = self._by_entity.get("order")
        order_id = str(record.get(self._settings.reading.id, ""))
        base = {"id": order_id, "number": record.get(self._settings.reading.number)}
        day = _named_day(record, "order")
        if spec is None:
            reason = {"decision": "skip", "reason_id": "no-mapping", "reason": "no approved mapping takes orders"}
            amount, currency = _named_amount(record), _named(record, _CURRENCIES)
            row = {**base, **reason, "day": day, "amount": amount, "currency": currency}
            self._tables.add("orders", {**row, "inside": self._period.has(day)})
            return
        compiled = spec.compiled
        draft = compiled.apply(record)
        invoice = _body(compiled, draft, "invoice")
        day = to_day(self._member(compiled, record, invoice, "create_date")) or day
        marker = self._member(compiled, record, invoice, "notes")
        total = draft.priced.total if draft.priced is not None else _stated_total(compiled, record)
        key = _key(compiled, draft, "invoice") or order_id
        client = _key(compiled, draft, "client")
        row = {
            **base,
            **_decided(draft),
            "day": day,
            "currency": self._member(compiled, record, invoice, "currency_code"),
            "amount": total,
            "test": is_test(record, self._settings.profile, self._settings.reading),
            "invoice_number": self._member(compiled, record, invoice, "invoice_number"),
            "marker": first_line(marker) or None,
            "ledger_key": natural_key("invoice", key),
            "client_key": natural_key("client", client) if client else None,
            "inside": self._period.has(day),
        }
        self._tables.add("orders", row)
        self._add_embedded(compiled, draft, row)

    def _add_embedded(self, compiled: CompiledSpec, draft: Draft, order: Record) -> None:
        for target, documents in draft.documents.items():
            if compiled.spec.entity_of(target) != "payment":
                continue
            for document in documents:
                key, money = document.key or "", document.body.get("amount") or {}
                day = to_day(document.body.get("date"))
                self._tables.add(
                    "receipts",
                    {
                        "key": natural_key("payment", key),
                        "id": key,
                        "record_key": f"order:{order['id']}",
                        "order_id": order["id"],
                        "transaction": document.body.get("transactionid"),
                        "day": day,
                        "currency": money.get("code"),
                        "amount": to_decimal(money.get("amount")),
                        "decision": "go",
                        "note": document.body.get("note"),
                        "weak": key.startswith(f"{draft.id}-"),
                        "embedded": True,
                        "inside": self._period.has(day),
                    },
                )

    def _add_payment(self, record: Record) -> None:
        compiled = self._by_entity["payment"].compiled
        draft = compiled.apply(record)
        body = _body(compiled, draft, "payment")
        money = self._member(compiled, record, body, "amount", "payment")
        money = money if isinstance(money, Mapping) else {}
        day = to_day(self._member(compiled, record, body, "date", "payment")) or _named_day(record, "payment")
        payment_id = draft.id or str(record.get(self._settings.reading.id, ""))
        found = [draft.keys.get(step.id) for step in compiled.spec.flow if step.do == "find"]
        amount = to_decimal(money.get("amount"))
        self._tables.add(
            "receipts",
            {
                "key": natural_key("payment", _key(compiled, draft, "payment") or payment_id),
                "id": payment_id,
                "record_key": f"payment:{payment_id}",
                "order_id": next((key for key in found if key), None) or _named(record, _ORDER_IDS),
                "order_number": _named(record, _ORDER_NUMBERS),
                "transaction": body.get("transactionid") or _named(record, _TRANSACTIONS),
                "day": day,
                "currency": money.get("code") or _named(record, _CURRENCIES),
                "amount": _named_amount(record) if amount is None else amount,
                **_decided(draft),
                "note": self._member(compiled, record, body, "note", "payment"),
                "weak": False,
                "embedded": False,
                "inside": self._period.has(day),
            },
        )

    def _add_refund(self, record: Record) -> None:
        if not self._settings.reading.is_paid_back(record):
            return
        refund_id, day = str(record.get(self._settings.reading.id, "")), _named_day(record, "refund")
        amount = _named_amount(record)
        listed = record.get(_ORDER_LIST)
        orders = listed if isinstance(listed, list) else []
        self._tables.add(
            "refunds",
            {
                "id": refund_id,
                "order_id": _named(record, _ORDER_IDS) or (str(orders[0]) if len(orders) == 1 else None),
                "day": day,
                "currency": _named(record, _CURRENCIES),
                "amount": None if amount is None else abs(amount),
                "ledger_key": natural_key("refund", refund_id),
                "inside": self._period.has(day),
            },
        )

    def _read_list(self, lists: Lists, entity: str, since: datetime, add: Any) -> None:
        if entity == "payment" and "payment" not in self._by_entity:
            self.notes.append("No approved mapping takes payments: those inside the orders are compared.")
            return
        try:
            for record in lists.list_updated(entity, since):
                add(self._settings.reading.record(record))
        except RejectedError as error:
            if error.status != 404:
                raise
            self.notes.append(f"The source has no list of {entity}s.")

    def _settle_orders(self) -> None:
        """Name the order of a payment that only names its number; count a payment once that came in two ways."""
        self._tables.run(
            "UPDATE receipts SET order_id = o.id FROM orders o"
            " WHERE receipts.order_id IS NULL AND o.number = receipts.order_number"
        )
        same = "order_id, coalesce(transaction, ''), currency, amount"
        self._tables.run(
            f"WITH numbered AS (SELECT key, weak, row_number() OVER (PARTITION BY {same}, weak ORDER BY key) AS nth,"  # noqa: S608  our own names
            f" {same.replace(', ', ' || chr(31) || ')} AS what FROM receipts WHERE decision = 'go')"
            " DELETE FROM receipts WHERE key IN (SELECT w.key FROM numbered w JOIN numbered r"
            " ON w.what = r.what AND w.nth = r.nth AND w.weak AND NOT r.weak)"
        )
        self._tables.run(
            "UPDATE refunds SET currency = o.currency FROM orders o"
            " WHERE refunds.currency IS NULL AND o.id = refunds.order_id"
        )

    def _member(
        self, compiled: CompiledSpec, record: Record, body: Record, member: str, entity: str = "invoice"
    ) -> Any:
        """A member of a document; calculated by itself where the record made none."""
        if member in body:
            return body[member]
        target = _target(compiled, entity)
        try:
            return compiled.value(f"{target}.{member}", record) if target else None
        except (TransformError, KeyError, ValueError):
            return None


def first_line(text: Any) -> str:
    """The line that bears the marker."""
    return str(text or "").strip().partition("\n")[0].strip()


def _decided(draft: Draft) -> dict[str, Any]:
    reason = draft.reasons[0] if draft.reasons and draft.decision != "go" else None
    message = "; ".join(one.message for one in draft.reasons) if reason is not None else None
    return {"decision": draft.decision, "reason_id": reason.id if reason else None, "reason": message}


def _target(compiled: CompiledSpec, entity: str) -> str | None:
    return next((name for name in compiled.spec.targets if compiled.spec.entity_of(name) == entity), None)


def _documents(compiled: CompiledSpec, draft: Draft, entity: str) -> Iterator[Any]:
    for target, documents in draft.documents.items():
        if compiled.spec.entity_of(target) == entity:
            yield from documents


def _body(compiled: CompiledSpec, draft: Draft, entity: str) -> Record:
    return next((document.body for document in _documents(compiled, draft, entity)), {})


def _key(compiled: CompiledSpec, draft: Draft, entity: str) -> str | None:
    return next((document.key for document in _documents(compiled, draft, entity) if document.key), None)


def _stated_total(compiled: CompiledSpec, record: Record) -> Decimal | None:
    for block in compiled.spec.blocks().values():
        if block.money is not None:
            value: Any = record
            for name in block.money.total.text.removeprefix("$.").split("."):
                value = value.get(name) if isinstance(value, Mapping) else None
            return to_decimal(value)
    return None


def _named(record: Record, names: tuple[str, ...]) -> str | None:
    return next((str(record[name]) for name in names if record.get(name) not in (None, "")), None)


def _named_amount(record: Record) -> Decimal | None:
    return to_decimal(_named(record, _AMOUNTS))


def _named_day(record: Record, entity: str) -> date | None:
    return next((day for name in _DAYS[entity] if (day := to_day(record.get(name))) is not None), None)


def to_day(value: Any) -> date | None:
    try:
        return datetime.fromisoformat(str(value).strip()).date() if value else None
    except ValueError:
        return None


def to_decimal(value: Any) -> Decimal | None:
    try:
        found = None if value is None or isinstance(value, bool) else Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return found if found is not None and found.is_finite() and abs(found) < Decimal(10) ** 20 else None
