"""What the preview shows is what the runner sends.

Equal means: a record goes, waits, is skipped or held by the preview as by the runner, for the same reasons; and of one
that goes, every body that a dry run plans, and that a run sends, is the preview's document with the ids in the places
that the preview writes as {step.member}. Nothing more is sent, and nothing less where FreshBooks has none of it yet.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.sandbox.generator import generate
from connectors.sandbox.server import Sandbox, running_sandbox
from mapper_ai.services.preview import PreviewRow, preview_rows
from tests.flows import MAPPINGS, ORDERS, Books, envelope, order

SPEC = (MAPPINGS / "order-to-invoice.yaml").read_text(encoding="utf-8")
# Decided by the runner alone, before anything is sent: by what is in the books, not by the mapping.
OF_THE_BOOKS = {"customer-unknown"}
_PLACEHOLDER = re.compile(r"\{[a-z_]+\.[a-z_]+\}")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox() as running:
        yield running


def fits(shown: Any, sent: Any) -> bool:
    """True when a body is the document, but for the ids that only the run knows."""
    if isinstance(shown, str) and _PLACEHOLDER.fullmatch(shown):
        return isinstance(sent, int) or (isinstance(sent, str) and sent.startswith("{id of "))
    if isinstance(shown, dict) and isinstance(sent, dict):
        return shown.keys() == sent.keys() and all(fits(shown[key], sent[key]) for key in shown)
    if isinstance(shown, list) and isinstance(sent, list):
        return len(shown) == len(sent) and all(map(fits, shown, sent))
    return type(shown) is type(sent) and bool(shown == sent)


def documents(row: PreviewRow) -> list[tuple[str, Any]]:
    entities = {"client": "client", "guest": "client", "invoice": "invoice", "payment": "payment"}
    return [(entities[target], body) for target, bodies in row.documents.items() for body in bodies]


def compare(rows: dict[str, PreviewRow], bodies: dict[str, list[tuple[str, Any]]], held: dict[str, str]) -> None:
    """Compare by record id: the preview's rows, the runner's bodies (entity, body), and why it held a record."""
    for record, row in rows.items():
        sent = bodies.get(record, [])
        if row.decision == "hold":
            assert record in held, (record, row.reasons)
            told = ["; ".join(row.reasons[:count]) for count in range(1, len(row.reasons) + 1)]  # warnings stand last
            assert held[record] in told
        if row.decision != "go" or record in held:
            assert sent == []
            continue
        shown = documents(row)
        for entity, body in sent:
            match = next((one for one in shown if one[0] == entity and fits(one[1], body)), None)
            assert match is not None, (record, entity, body, [one for kind, one in shown if kind == entity])
            shown.remove(match)
        # a client that an earlier order brought along is there already
        assert {entity for entity, _ in shown} <= {"client"}, (record, shown)


def dry(books: Books, orders: list[dict[str, Any]]) -> None:
    report = books.run(*(envelope("order.created", record) for record in orders), dry_run=True)
    rows = {row.sample: row for row in preview_rows(SPEC, [(str(record["id"]), record) for record in orders])}
    bodies: dict[str, list[tuple[str, Any]]] = {}
    for planned in report.planned:
        if planned["method"] == "POST":
            record = planned["record"].split(":", 1)[1]
            bodies.setdefault(record, []).append((planned["entity"], planned["body"][planned["entity"]]))
    told = {str(line["id"]): line for line in report.status["held"]}
    own = {record for record, line in told.items() if line["reason_id"] in OF_THE_BOOKS}
    compare({key: row for key, row in rows.items() if key not in own}, bodies,
            {record: line["reason"] for record, line in told.items()})  # fmt: skip


def test_generated_orders_are_planned_as_previewed(make_books: Callable[..., Books]) -> None:
    dry(make_books(), [case.order for case in generate(11, 120)])


@pytest.mark.parametrize("path", sorted(ORDERS.glob("order__*.json")), ids=lambda path: path.stem[7:])
def test_an_order_is_sent_as_previewed(path: Path, sandbox: Sandbox, tmp_path: Path) -> None:
    record = order(path.stem[7:], id=f"run-{path.stem}", orderNumber=path.stem[7:])
    books = Books(sandbox, tmp_path)
    before = len(books.writes())
    report = books.run(envelope("order.created", record))
    [row] = preview_rows(SPEC, [(record["id"], record)])
    entities = {"clients": "client", "invoices": "invoice", "payments": "payment"}
    sent = []
    for write in books.writes()[before:]:
        if write["method"] == "POST":
            entity = entities[write["path"].rstrip("/").rsplit("/", 1)[1]]
            sent.append((entity, write["body"][entity]))
    held = {str(line["id"]): line["reason"] for line in report.status["held"]}
    compare({record["id"]: row}, {record["id"]: sent}, held)


NAMES = ["plain-card", "two-taxes", "order-discount", "split-payment", "currency-jpy", "guest-without-email"]
PLACES = [
    ("status",), ("currency",), ("total",), ("taxTotal",), ("orderDate",), ("paymentTerms",), ("customer", "email"),
    ("customer", "firstName"), ("lineItems", 0, "quantity"), ("lineItems", 0, "unitPrice"), ("lineItems", 0, "name"),
    ("lineItems", 0, "sku"), ("shippingTotal",), ("payments", 0, "status"), ("payments", 0, "amount"), ("payments",),
    ("payments", 0, "method"), ("discountTotal",), ("notes",), ("billingAddress", "country"), ("customer",),
]  # fmt: skip
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", " ", "0", 0, "1", 2, "12.345", "-5.00", "1e9", "captured", "pending", "processing", "cancelled", "usd",
     "EUR", "XXX", "2026-03-01", "2026-02-30", "Net 30", "a@example.com", "nobody", "Tee \U0001f375", "<b>x</b>",
     [], {}, ["x"], [{}], {"a": 1}, "x" * 3000, True]
)  # fmt: skip


def put(record: Any, place: tuple[Any, ...], value: Any) -> None:
    for name in place[:-1]:
        inside = isinstance(record, dict) and name in record
        inside = inside or (isinstance(record, list) and isinstance(name, int) and name < len(record))
        if not inside:
            return
        record = record[name]
    last = place[-1]
    if isinstance(record, dict) or (isinstance(record, list) and isinstance(last, int) and last < len(record)):
        record[last] = value


@st.composite
def orders(draw: Any) -> list[dict[str, Any]]:
    made = []
    for number in range(8):
        record = order(draw(st.sampled_from(NAMES)))
        for place, value in draw(st.lists(st.tuples(st.sampled_from(PLACES), VALUES), max_size=3)):
            put(record, place, value)
        record |= {"id": f"o{number}", "orderNumber": f"W-{number}"}
        made.append(record)
    return made


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(orders())
def test_odd_orders_are_planned_as_previewed(sandbox: Sandbox, some: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        dry(Books(sandbox, Path(folder)), some)


def test_the_comparison_can_fail(sandbox: Sandbox) -> None:
    [row] = preview_rows(SPEC, [("o", order())])
    good = [(entity, _with_ids(body)) for entity, body in documents(row)]
    compare({"o": row}, {"o": good}, {})
    invoice = next(body for entity, body in good if entity == "invoice")
    for wrong in (
        [*good, ("payment", {"amount": 1})],
        [one for one in good if one[0] != "invoice"],
        [(entity, {**body, "notes": "other"}) if body is invoice else (entity, body) for entity, body in good],
        [
            (entity, {**body, "customerid": "{client.id}"}) if body is invoice else (entity, body)
            for entity, body in good
        ],
    ):
        with pytest.raises(AssertionError):
            compare({"o": row}, {"o": wrong}, {})


def _with_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_ids(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_ids(inner) for inner in value]
    return 7 if isinstance(value, str) and _PLACEHOLDER.fullmatch(value) else value
