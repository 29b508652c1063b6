"""Every flow, crashed at each of its boundaries in turn and resumed: the books must end as without a crash."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.chaos.crash import Forker, until_it_ends
from tests.chaos.judge import Effect, doubled, out_of_order
from tests.chaos.recorder import Recorder
from tests.flows import Books, envelope, order

Event = Mapping[str, Any]
_LATER, _LAST = "2026-03-09T00:00:00Z", "2026-03-10T00:00:00Z"
_OF_THE_MOMENT = {"lineid", "updated", "updated_at", "created_at", "signup_date", "version", "uuid", "username"}


@dataclass(frozen=True)
class Flow:
    """What happens, and what it does to the books.

    Attributes:
        before: Events that were worked on, without a crash, before those that are disturbed.
        writes: What the disturbed events do to the books without a crash; a flow that does nothing is no test.
        held: Reason ids at the end, by record.
        switches: Of the sandbox.
        policies: Of mapper.toml, by key.
        store_lost: What was before is in the books, and the store knows nothing of it.
    """

    name: str
    events: Callable[[], Sequence[Event]]
    writes: tuple[str, ...]
    before: Callable[[], Sequence[Event]] | None = None
    held: Mapping[str, str] = field(default_factory=dict)
    switches: Mapping[str, Any] = field(default_factory=dict)
    policies: Mapping[str, str] = field(default_factory=dict)
    store_lost: bool = False


def _customer(revision: int, updated: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": "540", "email": "pavel.ibarra.40@example.org", "firstName": "Pavel", "lastName": "Ibarra",
        "company": "", "phone": "+1 512 555 0166", "currency": "USD", "language": "en", "taxId": None,
        "billingAddress": {"line1": "410 Example Bluff Road", "line2": f"Rev {revision}", "city": "Austin",
                           "state": "TX", "postalCode": "78701", "country": "US"},
        "updatedAt": updated, **changes,
    }  # fmt: skip


def _product(revision: int, price: str, updated: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": "7001", "sku": "KTL-GSN-17", "name": "Gooseneck kettle", "description": f"Rev {revision}",
        "price": price, "currency": "USD", "active": True, "updatedAt": updated, **changes,
    }  # fmt: skip


def _payment_of(record: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    return {**record["payments"][0], "orderId": record["id"], "updatedAt": record["updatedAt"], **changes}


def _created() -> Sequence[Event]:
    return [envelope("order.created", order())]


def _edited(**changes: Any) -> Callable[[], Sequence[Event]]:
    return lambda: [envelope("order.updated", order(updatedAt=_LATER, **changes))]


_ARCHIVE: Final = {"clients.ended": "archive", "items.ended": "archive"}
_POSTED: Final = ("create client", "create invoice", "update invoice", "create payment")

FLOWS: Final = (
    Flow("order", _created, _POSTED),
    Flow(
        "customer",
        lambda: [envelope("customer.updated", _customer(2, _LAST, phone="+1 512 555 0199"))],
        ("update client",),
        before=lambda: [envelope("customer.created", _customer(1, _LATER))],
    ),
    Flow(
        "customer-ended",
        lambda: [envelope("customer.updated", _customer(1, _LAST, active=False))],
        ("update client",),
        before=lambda: [envelope("customer.created", _customer(1, _LATER))],
        policies=_ARCHIVE,
    ),
)
"""For `make test`: everything that is created, and a change of what is there."""

MORE_FLOWS: Final = (
    Flow(
        "payment-first",
        lambda: [
            envelope("payment.captured", _payment_of(order())),
            envelope("order.created", order(payments=[])),
        ],
        _POSTED,
    ),
    Flow("product", lambda: [envelope("product.created", _product(1, "64.50", _LATER))], ("create item",)),
    Flow("customer-created", lambda: [envelope("customer.created", _customer(1, _LATER))], ("create client",)),
    Flow(
        "product-changed",
        lambda: [envelope("product.updated", _product(2, "66.00", _LAST))],
        ("update item",),
        before=lambda: [envelope("product.created", _product(1, "64.50", _LATER))],
    ),
    Flow(
        "split-payment",
        lambda: [envelope("order.created", order("split-payment"))],
        (*_POSTED, "create payment"),
    ),
    Flow("guest", lambda: [envelope("order.created", order("guest-without-email"))], _POSTED),
    Flow(
        "rounding-line",
        lambda: [envelope("order.created", order("line-discount"))],
        (*_POSTED[:3], "update invoice", "create payment"),
        switches={"rounding": "total"},
    ),
    Flow(
        "edited-after-it-was-sent",
        _edited(notes="other"),
        (),
        before=_created,
        held={"order:10066": "edited-after-invoice"},
    ),
    Flow(
        "refunded",
        _edited(status="Refunded", paymentStatus="refunded"),
        (),
        before=_created,
        held={"order:10066": "refunded-after-invoice"},
    ),
    Flow(
        "held-and-its-payment",
        lambda: [
            envelope("order.created", order("totals-do-not-add-up")),
            envelope("payment.captured", _payment_of(order("totals-do-not-add-up", payments=order()["payments"]))),
        ],
        (),
        held={"order:10012": "totals-do-not-add-up", "payment:9061": "order-not-posted"},
    ),
    Flow(
        "released-hold",
        _edited(),
        _POSTED,
        before=lambda: [
            envelope("order.created", order(status="On Hold")),
            envelope("payment.captured", _payment_of(order())),
        ],
    ),
    Flow(
        "customer-back",
        lambda: [envelope("customer.updated", _customer(2, "2026-03-11T00:00:00Z"))],
        ("update client", "update client"),
        before=lambda: [
            envelope("order.created", order()),
            envelope("customer.deleted", {"id": "540", "updatedAt": _LAST}),
        ],
        policies=_ARCHIVE,
    ),
    Flow(
        "order-of-an-ended-customer",
        lambda: [envelope("order.created", order(id="67", orderNumber="WEB-26-67", payments=[]))],
        ("update client", "create invoice", "update invoice"),
        before=lambda: [
            envelope("order.created", order()),
            envelope("customer.deleted", {"id": "540", "updatedAt": _LAST}),
        ],
        policies=_ARCHIVE,
    ),
    Flow(
        "customers-merged",
        lambda: [envelope("customer.updated", _customer(1, _LAST, mergedIntoId="541"))],
        ("update client",),
        before=lambda: [
            envelope("order.created", order()),
            envelope("customer.created", _customer(1, _LATER, id="541", email="other@example.org")),
        ],
        policies=_ARCHIVE,
    ),
    Flow(
        "e-mail-changed",
        lambda: [envelope("customer.updated", _customer(1, _LAST, email="pavel@example.net"))],
        ("update client",),
        before=lambda: [envelope("customer.created", _customer(1, _LATER))],
    ),
    Flow(
        "sku-changed",
        lambda: [envelope("product.updated", _product(1, "64.50", _LAST, sku="KTL-NEW"))],
        ("update item",),
        before=lambda: [envelope("product.created", _product(1, "64.50", _LATER))],
    ),
    Flow(
        "variant-gone",
        lambda: [envelope("product.updated", _product(1, "66.00", _LAST, variants=[{"id": "2", "sku": "V-2"}]))],
        ("update item", "update item", "update item"),
        before=lambda: [
            envelope(
                "product.created",
                _product(1, "64.50", _LATER, variants=[{"id": "1", "sku": "V-1"}, {"id": "2", "sku": "V-2"}]),
            )
        ],
        policies=_ARCHIVE,
    ),
    Flow(
        "customer-known-from-an-order",
        lambda: [envelope("customer.updated", _customer(3, _LAST))],
        ("update client",),
        before=_created,
    ),
    Flow(
        "customer-known-to-the-books-alone",
        lambda: [envelope("customer.updated", _customer(3, _LAST))],
        ("update client",),
        before=_created,
        store_lost=True,
    ),
)
"""What else becomes of records: mostly the same steps in other company."""


@dataclass(frozen=True)
class _Outcome:
    rows: tuple[Any, ...]
    created: tuple[str, ...]
    held: Mapping[str, str]
    left: int
    effects: tuple[Effect, ...] = field(compare=False)


@dataclass(frozen=True)
class Swept:
    """How many crashes were tried, and each that left something else than a run without one."""

    crashes: int
    wrong: tuple[str, ...]


def sweep(flow: Flow, books: Books, recorder: Recorder, runs: Forker, *, every: bool) -> Swept:
    """Crash a flow at every boundary, one after the other, each time from the same beginning.

    Args:
        books: A sandbox with a folder for the stores.
        every: Also at the boundaries that leave what the one before left.
    """
    books.sandbox.state.change_switches(**flow.switches)
    config = books.folder / "mapper.toml"
    lines = [f'{key} = "{value}"' for key, value in flow.policies.items()]
    config.write_text("\n".join(["[policies]", *lines, ""]), encoding="utf-8")
    environ = {**books.environ(), "MAPPER_CONFIG": str(config)}
    beginning = books.folder / "beginning"
    beginning.mkdir()
    if flow.before is not None:
        for event in flow.before():
            runs.run(environ, books.mappings, books.file([event]))
        for path in () if flow.store_lost else books.folder.glob("store.db*"):
            shutil.copy2(path, beginning / path.name)
    start = recorder.snapshot()
    events = books.file(flow.events())

    def begin() -> None:
        for path in books.folder.glob("store.db*"):
            path.unlink()
        for path in beginning.iterdir():
            shutil.copy2(path, books.folder / path.name)
        recorder.restore(start)

    def run(crash_at: int = 0) -> dict[str, Any] | None:
        return runs.run(environ, books.mappings, events, crash_at=crash_at, every=every)

    def crashing(number: int) -> dict[str, Any] | None:
        begin()
        return run(number)

    begin()
    undisturbed = _outcome(run(), recorder)
    wrong = []
    writes = tuple(f"{effect.verb} {effect.entity}" for effect in recorder.effects)
    if writes != flow.writes or undisturbed.held != flow.held:
        wrong.append(f"without a crash: {', '.join(writes)}; held {dict(undisturbed.held)}")
    crashes = 0
    for number in until_it_ends(crashing):
        crashes, where = number, f"{number} ({runs.last_words()})"
        outcome = _outcome(run(), recorder)
        bad = [str(finding) for finding in (*doubled(recorder.books()), *out_of_order(start.effects + outcome.effects))]
        if outcome != undisturbed or bad:
            wrong.append(f"crash at {where}: {'; '.join(bad) or _difference(undisturbed, outcome)}")
    return Swept(crashes, tuple(wrong))


def _outcome(report: Mapping[str, Any] | None, recorder: Recorder) -> _Outcome:
    assert report is not None
    after = recorder.books()
    rows = tuple(_lasting(row) for row in (*after.clients, *after.invoices, *after.payments, *after.items))
    created = tuple(effect.entity for effect in recorder.effects if effect.verb == "create")
    return _Outcome(rows, created, report["held"], report["left"], tuple(recorder.effects))


def _lasting(value: Any) -> Any:
    """Without what differs between any two runs."""
    if isinstance(value, Mapping):
        return {name: _lasting(item) for name, item in value.items() if name not in _OF_THE_MOMENT and name[0] != "_"}
    return [_lasting(item) for item in value] if isinstance(value, list) else value


def _difference(wanted: _Outcome, found: _Outcome) -> str:
    if wanted.created != found.created:
        return f"created {', '.join(found.created)} and not {', '.join(wanted.created)}"
    if wanted.held != found.held or wanted.left != found.left:
        return f"held {dict(found.held)} and not {dict(wanted.held)}, {found.left} left"
    pairs = zip(wanted.rows, found.rows, strict=True)
    return "; ".join(
        f"{name} is {row.get(name)!r} and not {other.get(name)!r}"
        for other, row in pairs
        for name in sorted({*row, *other})
        if row.get(name) != other.get(name)
    )
