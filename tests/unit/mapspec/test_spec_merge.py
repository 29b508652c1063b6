"""Merging two versions of a spec part by part."""

from __future__ import annotations

import pytest

from mapspec import MappingSpec, approval_of, approve, load_spec, unapproved
from mapspec.merge import merge_specs
from tests.review_repo import SPEC


def spec(*edits: tuple[str, str]) -> MappingSpec:
    text = SPEC
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return approve(load_spec(text), None, by="ben@example.com", at="2026-11-20T09:00:00Z")


BASE = spec()
NOTES = ("steps: [{path: notes}]", "steps: [{path: customerNotes}]")
PO = ("steps: [{path: poNumber}]", "steps: [{path: poNumber}, {trim: }]")


def test_different_fields_are_both_taken_and_their_approvals_are_taken_back() -> None:
    merged = merge_specs(BASE, spec(NOTES), spec(PO))
    assert merged.conflicts == ()
    rules = merged.ours.rules()
    assert rules["invoice.notes"].steps == spec(NOTES).rules()["invoice.notes"].steps
    assert rules["invoice.po_number"].steps == spec(PO).rules()["invoice.po_number"].steps
    assert set(merged.reset) == {"invoice.notes", "invoice.po_number"}
    assert {row.part for row in unapproved(merged.ours)} == {"invoice.notes", "invoice.po_number"}
    assert merged.ours.version == 2


def test_one_field_changed_on_both_sides_is_a_conflict_even_in_different_members() -> None:
    check = ("steps: [{path: notes}]", "steps: [{path: notes}]\n    check: [{max_length: 99}]")
    merged = merge_specs(BASE, spec(NOTES), spec(check))
    assert merged.conflicts == ("fields.invoice.notes",)
    assert merged.ours.rules()["invoice.notes"].steps == spec(NOTES).rules()["invoice.notes"].steps
    assert merged.theirs.rules()["invoice.notes"].check == spec(check).rules()["invoice.notes"].check


def test_the_same_change_on_both_sides_is_no_conflict() -> None:
    merged = merge_specs(BASE, spec(NOTES), spec(NOTES, PO))
    assert merged.conflicts == ()


@pytest.mark.parametrize(
    ("ours", "theirs", "text"),
    [
        (("cash: Cash", "cash: Check"), ("check: Check}", "check: Check, wire: Bank Transfer}"), "tables"),
        (("order.created, order.updated", "order.created"), ("America/Chicago", "Asia/Tokyo"), "settings"),
        (("reason: the order is on hold", "reason: waits"), ("[cancelled]", "[cancelled, void]"), "gate"),
        (('within: "0.01"', 'within: "0.02"'), ("has-lines, not_empty", "lines, not_empty"), "assertions"),
        (("unit_price: .unitPrice", "unit_price: .price"), ("total: $.total", "total: $.grandTotal"), "money"),
        (("{name: Shipping, amount: $.shippingTotal}", "{name: Freight, amount: $.x}"), NOTES, "charges"),
    ],
    ids=["rows", "members", "gates", "assertions", "money", "charges"],
)
def test_parts_beside_each_other_merge(ours: tuple[str, str], theirs: tuple[str, str], text: str) -> None:
    merged = merge_specs(BASE, spec(ours), spec(theirs))
    assert merged.conflicts == ()
    both = spec(ours, theirs)
    assert merged.ours.model_copy(update={"version": 1}).tables == both.tables
    for name in ("settings", "gate", "source", "flow"):
        assert getattr(merged.ours, name) == getattr(both, name)
    assert {row.id for row in merged.ours.assertions} == {row.id for row in both.assertions}
    assert merged.ours.blocks()["invoice.lines[]"].money == both.blocks()["invoice.lines[]"].money


@pytest.mark.parametrize(
    ("ours", "theirs", "place"),
    [
        (("cash: Cash", "cash: Check"), ("cash: Cash", "cash: Other"), "tables.kinds.rows.cash"),
        (("America/Chicago", "UTC"), ("America/Chicago", "Asia/Tokyo"), "settings.timezone"),
        (("[cancelled]", "[void]"), ("[cancelled]", "[cancelled, void]"), "gate.cancelled"),
        ((".unitPrice", ".price"), (".unitPrice", ".net"), "fields.invoice.lines[].money.unit_price"),
        (
            ("{line_price: quantity}", "{path: .q}"),
            ("{line_price: quantity}", "{path: .n}"),
            "fields.invoice.lines[].fields.qty",
        ),
        (('key: ["{id}"]', 'key: ["{orderNumber}"]'), ('key: ["{id}"]', 'key: ["{uid}"]'), "flow.invoice"),
    ],
    ids=["row", "setting", "gate", "money", "line", "step"],
)
def test_one_part_changed_in_two_ways_is_a_conflict(ours: tuple[str, str], theirs: tuple[str, str], place: str) -> None:
    assert merge_specs(BASE, spec(ours), spec(theirs)).conflicts == (place,)


def test_removed_here_and_changed_there_is_a_conflict() -> None:
    gone = ('  invoice.notes:\n    steps: [{path: notes}]\n    origin: {by: llm, confidence: "0.78"}\n', "")
    assert merge_specs(BASE, spec(gone), spec(NOTES)).conflicts == ("fields.invoice.notes",)
    assert "invoice.notes" not in merge_specs(BASE, spec(gone), BASE).ours.fields
    assert "invoice.notes" not in merge_specs(BASE, BASE, spec(gone)).ours.fields


def test_a_setting_that_is_called_note_is_no_word_beside_something() -> None:
    base, ours, theirs = (spec(("settings:\n", f"settings:\n  note: {word}\n")) for word in ("a", "b", "c"))
    assert merge_specs(base, ours, theirs).conflicts == ("settings.note",)


def test_an_order_changed_on_both_sides_is_a_conflict_where_order_counts() -> None:
    gates = SPEC[SPEC.index("  - {id: cancelled") : SPEC.index("  - {id: on-hold")]
    hold = "  - {id: on-hold, do: wait, when: {in: [status, [on hold]]}, reason: the order is on hold}\n"
    more = "  - {id: more, do: go, when: {present: id}, reason: go on}\n"
    base = spec((gates + hold, gates + hold + more))
    ours = spec((gates + hold, hold + gates + more))
    theirs = spec((gates + hold, more + gates + hold))
    assert merge_specs(base, ours, theirs).conflicts == ("gate (order)",)
    assert [row.id for row in merge_specs(base, base, theirs).ours.gate] == ["more", "cancelled", "on-hold"]
    assert merge_specs(base, ours, base).conflicts == ()


def test_an_approval_given_on_one_side_to_what_stayed_is_kept() -> None:
    base = load_spec(SPEC)
    ours = approve(base, ["invoice.notes"], by="ben@example.com", at="2026-11-20T09:00:00Z")
    theirs = load_spec(SPEC.replace(*PO))
    merged = merge_specs(base, ours, theirs).ours
    assert approval_of(merged, "invoice.notes").state == "approved"
    assert approval_of(merged, "invoice.po_number").state == "proposed"


def test_parts_that_make_no_spec_together_are_refused() -> None:
    step = "  - {id: send, do: mark_as_sent, of: invoice, needs: [invoice]}\n"
    ours = spec((step, ""), ("needs: [send]", "needs: [invoice]"))
    later = spec((step, step + "  - {id: again, do: mark_as_sent, of: invoice, needs: [send]}\n"))
    with pytest.raises(ValueError, match="needs 'send'"):
        merge_specs(BASE, ours, later)
