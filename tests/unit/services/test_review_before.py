"""The short way to what the old mapping made of a record gives what the whole old mapping gives."""

from __future__ import annotations

import pytest

from mapper_ai.services.review.before import old_drafts
from mapspec import compile_spec, load_spec
from tests.review_changes import KINDS, UNCHANGED, Kind
from tests.review_repo import SAMPLES, SPEC, approved, order

RECORDS = [
    *SAMPLES.values(),
    order(6, notes="x" * 3000),
    order(7, lineItems=[]),
    order(8, payments=[{"id": "p", "amount": "-1", "paidAt": "2026-11-05T10:00:00Z"}]),
    order(9, customer={}),
    order(1, orderDate=None, currency="nowhere"),
    order(2, payments=[{"id": "a", "amount": "1"}, {"id": "b", "amount": "1"}]),
    {},
]
PLAIN = approved(SPEC, bump=False)
NESTED = (
    (
        "steps: [{path: notes}]",
        "steps: [{path: notes}]\n  invoice.presentation.theme:\n    steps: [{path: customerNotes}]",
    ),
    ("theme:\n", "theme:\n    on_fail: warn\n"),
)


def edited(kind: Kind) -> str:
    """The mapping as written, with the edits."""
    text = PLAIN
    for old, new in kind.edits:
        assert old in text
        text = text.replace(old, new, 1)
    return text


@pytest.mark.parametrize("kind", [*KINDS, *UNCHANGED], ids=lambda kind: kind.name)
@pytest.mark.parametrize("backwards", [False, True], ids=["", "back"])
def test_the_short_way_is_the_long_way(kind: Kind, backwards: bool) -> None:
    texts = [PLAIN, edited(kind)]
    old, new = (compile_spec(load_spec(text)) for text in (reversed(texts) if backwards else texts))
    before = old_drafts(old, new.spec)
    for record in RECORDS:
        short, whole = before(record, new.apply(record)), old.apply(record)
        assert short.decision == whole.decision
        assert short.documents == whole.documents
        assert {row.message for row in short.reasons} == {row.message for row in whole.reasons}


def test_a_member_that_two_rules_fill_is_taken_whole() -> None:
    one = SPEC.replace(*NESTED[0]).replace(
        "invoice.presentation.theme:\n",
        "invoice.presentation.date:\n    steps: [{path: orderDate}]\n  invoice.presentation.theme:\n",
    )
    old, new = (
        compile_spec(load_spec(one)),
        compile_spec(load_spec(one.replace("{path: customerNotes}", "{path: notes}"))),
    )
    before = old_drafts(old, new.spec)
    for record in RECORDS:
        assert before(record, new.apply(record)).documents == old.apply(record).documents
