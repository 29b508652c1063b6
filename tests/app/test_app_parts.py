"""The pure parts below the pages."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from mapper_ai.errors import InputError
from mapper_ai.services.workspace import Alternative, Sample, TargetRow
from mapper_ai.ui.parts import report
from mapper_ai.ui.parts.moving import flows_of
from mapper_ai.ui.parts.records import entity_of, read_folder, read_text
from mapper_ai.ui.parts.rows import chosen_rows, confident, coverage, fields_of, in_order, next_part, table_data
from mapper_ai.ui.parts.steps import check_steps
from mapper_ai.ui.parts.totals import totals_of
from mapper_ai.ui.parts.values import cell, exact_json, shortened
from mapper_ai.ui.session import Surroundings
from mapspec import load_spec

PROJECT = Path(__file__).resolve().parents[2]
ORDER_SPEC = (PROJECT / "mappings/clarity-freshbooks/order-to-invoice.yaml").read_text("utf-8")


def row(part: str, *, state: str = "proposed", confidence: float | None = 0.9, money: bool = False) -> TargetRow:
    return TargetRow(
        part=part,
        target=part,
        required=False,
        sources=("a.b", "a.c"),
        steps="- {path: a.b}",
        words="a.b",
        confidence=confidence,
        origin="fuzzy",
        reason="",
        evidence={},
        state=state,
        alternatives=(),
        digest="d",
        money=money,
    )


def test_bulk_acceptance_takes_sure_proposals_only() -> None:
    rows = [
        row("sure"),
        row("unsure", confidence=0.5),
        row("unknown", confidence=None),
        row("amount", money=True),
        row("done", state="approved"),
        row("flow"),
    ]
    assert [found.part for found in confident(rows, 0.8)] == ["sure"]


def test_next_goes_round_and_starts_over_when_the_part_is_gone() -> None:
    shown = [row("a"), row("b"), row("c")]
    assert next_part(shown, "c") == "a"
    assert next_part(shown, "a", step=-1) == "c"
    assert next_part(shown, "gone") == "a"
    assert next_part([row("a")], "a") is None
    assert next_part([], "a") is None


def test_search_needs_every_word_somewhere() -> None:
    rows = [row("client.fname"), row("invoice.fname")]
    assert [found.part for found in chosen_rows(rows, "All", "INVOICE a.c")] == ["invoice.fname"]


def test_open_required_fields_come_first_then_conflicts_then_the_least_sure() -> None:
    rows = [
        row("done", state="approved"),
        row("sure"),
        row("unsure", confidence=0.2),
        row("wrong", confidence=0.99),
        replace(row("needed"), required=True),
        replace(row("gap", state="unmapped"), required=True),
    ]
    assert [found.part for found in in_order(rows, {"wrong"})][-1] == "done"
    assert [found.part for found in in_order(rows, {"wrong"})][2:5] == ["wrong", "unsure", "sure"]
    assert {found.part for found in in_order(rows, {"wrong"})[:2]} == {"needed", "gap"}
    assert coverage(rows) == (1, 2)
    assert [found.part for found in chosen_rows(rows, "Conflicts", "", {"wrong"})] == ["wrong"]
    assert [found.part for found in chosen_rows(rows, "Missing", "")] == ["gap"]


def test_the_picture_counts_fields_between_objects() -> None:
    rows = [
        replace(row("invoice.lines[].qty", state="approved"), sources=("lineItems[].quantity",)),
        replace(row("invoice.lines[].name"), sources=("lineItems[].name",)),
        replace(row("client.email"), sources=("customer.email", "email")),
        replace(row("client.language"), sources=()),
        row("flow"),
    ]
    assert sorted(flows_of(rows)) == [
        ("customer", "client", 1, 0),
        ("fixed values", "client", 1, 0),
        ("lineItems[]", "invoice.lines[]", 2, 1),
        ("the record", "client", 1, 0),
    ]


def test_table_cells_are_short_text() -> None:
    data = table_data([row("x")], {"x": "y" * 100})
    assert data["Source"] == ["a.b +1"]
    assert len(data["After"][0]) == 28
    assert all(isinstance(value, str) for column in data.values() for value in column)


def test_an_alternative_of_two_fields_is_taken_as_two() -> None:
    assert fields_of(Alternative("customer.firstName + customer.lastName", 0.5, "")) == [
        "customer.firstName",
        "customer.lastName",
    ]


def test_values_keep_their_digits_and_show_no_control_characters() -> None:
    assert cell(Decimal("10.50")) == "10.50"
    assert cell({"amount": "7867", "code": "JPY"}) == "7867 JPY"
    assert cell([True, None, "a\nb"]) == "true, —, a b"
    assert cell("safe\u202etxt.exe\x1b[31m") == "safe\ufffdtxt.exe\ufffd[31m"
    assert json.loads(exact_json({"total": Decimal("10.50")})) == {"total": "10.50"}
    assert shortened("abcdef", 4) == "abc…"


def test_samples_are_read_from_every_shape_people_have() -> None:
    order = {"id": "7", "items": [{"sku": "A"}]}
    assert read_text("o.json", json.dumps(order)) == [Sample("o", order)]
    assert [s.name for s in read_text("o.json", json.dumps([order, {"id": "8"}]))] == ["o 7", "o 8"]
    assert [s.name for s in read_text("o.json", json.dumps({"data": [order], "page": 1}))] == ["o"]
    envelope = {"type": "order.created", "data": {"object": "order", "resource": order}}
    assert read_text("o.ndjson", f"{json.dumps(envelope)}\n\n{json.dumps(order)}\n")[0].record == order
    assert read_text("o.json", b'{"total": 1.10}')[0].record == {"total": Decimal("1.10")}


@pytest.mark.parametrize("text", ["", "7", "[]", '"text"', "[1, 2]"])
def test_a_file_without_records_is_refused_by_name(text: str) -> None:
    with pytest.raises(InputError, match=r"o\.json"):
        read_text("o.json", text)


def test_a_rare_kind_of_event_is_not_lost_among_a_common_one() -> None:
    kinds = ["order.updated"] * 9 + ["order.created"] * 2 + ["order.deleted"]
    rows = [{"id": f"e{n}", "type": kind, "data": {"id": str(n)}} for n, kind in enumerate(kinds)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    chosen = [sample.record["id"] for sample in read_text("hooks.ndjson", text, per_event=2)]
    assert [sum(int(n) in of for n in chosen) for of in (range(9), range(9, 11), range(11, 12))] == [2, 2, 1]
    assert chosen == sorted(chosen, key=int)
    backwards = "".join(json.dumps(row) + "\n" for row in reversed(rows))
    assert sorted(sample.record["id"] for sample in read_text("hooks.ndjson", backwards, per_event=2)) == sorted(chosen)
    assert len(read_text("hooks.ndjson", text)) == len(rows)


def test_a_folder_gives_the_records_of_one_entity() -> None:
    folder = PROJECT / "fixtures/clarity"
    assert len(read_folder(folder, entity_of("order-to-invoice"))) == 15
    assert {"id", "sku"} <= set(read_folder(folder, entity_of("product-to-item"))[0].record)
    assert all("transactionId" in s.record for s in read_folder(folder, entity_of("payment-to-payment")))


def test_totals_of_order_and_invoice_stand_side_by_side() -> None:
    found = totals_of(ORDER_SPEC, read_folder(PROJECT / "fixtures/clarity", "order"))
    assert (found["two-taxes"].order, found["two-taxes"].predicted, found["two-taxes"].difference) == (
        "479.30",
        "479.30",
        "0",
    )
    assert (found["totals-do-not-add-up"].order, found["totals-do-not-add-up"].predicted) == ("173.01", "")
    assert totals_of("spec: broken", []) == {}


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ("- {path: customer.email}\n- {case: lower}", None),
        ("- {path: customer.email}\n- {cast: lower}", "cast"),
        ("path: customer.email", "one step a line"),
        ("- {path: [", "line"),
    ],
)
def test_steps_are_checked_before_they_are_saved(steps: str, problem: str | None) -> None:
    found = check_steps(load_spec(ORDER_SPEC), "client.email", steps)
    assert found is None if problem is None else problem in str(found)


def test_a_report_is_told_in_words() -> None:
    planned = [
        {"method": "POST", "path": "/x", "entity": "invoice", "total": "1234.5", "currency": "USD"},
        {"method": "PUT", "path": "/x/1", "entity": "invoice"},
    ]
    totals = {"sums": {"invoice": {"USD": "1234.50"}}}
    table = report.planned_totals_table(planned, totals)
    assert table == {"What": ["invoice"], "How many": ["1 to create, 1 to change"], "Sums": ["1,234.50 USD"]}
    assert report.planned_table(planned)["Total"] == ["1234.5 USD", ""]
    held = [
        {"record": "order 1", "kind": "held", "reason": "r"},
        {"record": "order 2", "kind": "skipped", "reason": "s"},
    ]
    assert report.held_table({"held": held})["Record"] == ["order 1"]


def test_the_surroundings_come_from_the_environment(tmp_path: Path) -> None:
    found = Surroundings.read({"MAPPER_USER": " ana ", "MAPPER_WORKSPACE": "w", "MAPPER_SAMPLES": str(tmp_path / "no")})
    assert (found.user, found.root, found.samples) == ("ana", Path("w"), None)
    assert found.mappings.name == "clarity-freshbooks"
    assert Surroundings.read({}).user
