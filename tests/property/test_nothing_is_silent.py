"""Nothing is ever silent: what an order's total is made of is posted, or a reason says why not.

Sound, defect and mutilated orders alike: whatever a record holds, an invoice that would go comes to the order's total
however FreshBooks rounds, each of its lines and charges is in it or in a note, and money that is not posted is named.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.sandbox.generator import dumps_exact
from connectors.sandbox.money import currency_digits
from mapspec.drafts import Draft
from mapspec.engine import CompiledSpec, compile_spec
from tests.books import ROUNDING_UNITS, mixed, order_spec, server_totals

ODD = [None, "", "0", "-1", "1e3", "0.005", "999999999999", 7, -3, True, [], {}, "12.3456", "USD", "captured"]


@cache
def compiled() -> CompiledSpec:
    return compile_spec(order_spec())


@cache
def orders() -> list[str]:
    return [dumps_exact(case.order) for case in mixed(21, 250)]


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every member of a record, and of every element of its lists."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield (*above, key)
        yield from places(inner, (*above, key))


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """An order, with up to three members removed, replaced, doubled or moved by some cents."""
    record: dict[str, Any] = json.loads(draw(st.sampled_from(orders())), parse_float=Decimal)
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(list(places(record))))
        parent: Any = record
        for key in path[:-1]:
            parent = parent[key]
        change = draw(st.sampled_from(["remove", "replace", "double", "move"]))
        value = parent[path[-1]]
        if change == "remove":
            del parent[path[-1]]
        elif change == "double" and isinstance(parent, list):
            parent.append(copy.deepcopy(value))
        elif change == "move" and (moved := shifted(value, draw(st.integers(-700, 700)))) is not None:
            parent[path[-1]] = moved
        else:
            parent[path[-1]] = draw(st.sampled_from(ODD))
        if not record:
            break
    return record


def shifted(value: Any, cents: int) -> Any:
    """The amount moved by some cents, as it was written; None when it is no amount."""
    try:
        moved = Decimal(str(value)) + Decimal(cents) / 100
    except InvalidOperation:
        return None
    return str(moved) if isinstance(value, str) else moved


@given(records())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_the_total_is_posted_or_a_reason_is_named(record: dict[str, Any]) -> None:
    draft = compiled().apply(record)
    if draft.decision != "go":
        assert draft.reasons
        assert all(reason.id and reason.message for reason in draft.reasons)
        return
    (invoice,) = draft.documents["invoice"]
    priced = draft.priced
    assert priced is not None
    unit = Decimal(1).scaleb(-currency_digits(invoice.body["currency_code"]))
    total = Decimal(str(record["total"]))
    assert abs(priced.total - total) <= unit / 2
    assert min(abs(server - priced.total) for server in server_totals(invoice.body).values()) <= ROUNDING_UNITS * unit
    every_line_is_there(record, draft)
    every_payment_is_told(record, draft, total)


def every_line_is_there(record: dict[str, Any], draft: Draft) -> None:
    """Each of the order's lines is a line of the invoice, or a warning names it; so is each charge."""
    assert draft.priced is not None
    shown = {line.row for line in draft.priced.lines}
    said = " ".join(warning.message for warning in draft.warnings)
    for number, row in enumerate(record["lineItems"]):
        if str(row.get("type")).casefold() != "discount":
            assert number in shown or f"line {number + 1} " in said
    for name in ("shipping", "handling", "fees"):
        amount = record.get(f"{name}Total")
        if amount not in (None, "", [], {}) and Decimal(str(amount).strip() or 0) > 0:
            assert any(line.row is None and line.name.startswith(name.title()) for line in draft.priced.lines)


def every_payment_is_told(record: dict[str, Any], draft: Draft, total: Decimal) -> None:
    """Each payment is posted or a warning says that it is not, and all together are not more than the total."""
    rows = record.get("payments")
    posted = draft.documents["payment"]
    skipped = [warning for warning in draft.warnings if "is not posted" in warning.message]
    if isinstance(rows, list):
        assert len(posted) + len(skipped) == len(rows)
    assert sum((Decimal(one.body["amount"]["amount"]) for one in posted), Decimal(0)) <= total or not posted
