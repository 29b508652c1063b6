"""Approving parts, and losing the approval by editing."""

from __future__ import annotations

import pytest

from mapspec.approval import Unapproved, approval_of, approve, reset_changed, unapproved
from mapspec.codec import dump_spec, load_spec
from mapspec.fingerprint import digests

TEXT = """\
spec: shop/flow
source: {system: clarity-rest, entity: order}
targets:
  client: freshbooks/client
  invoice: freshbooks/invoice
values:
  currency:
    steps:
      - {path: currency}
fields:
  client.email:
    steps:
      - {path: customer.email}
  invoice.lines[]:
    each: lineItems[]
    fields:
      name:
        steps:
          - {path: .name}
"""
AT = "2026-03-01T09:00:00Z"
PARTS = ["flow", "values.currency", "client.email", "invoice.lines[]", "invoice.lines[].name"]


def approved_text() -> str:
    return dump_spec(approve(load_spec(TEXT), None, by="ana", at=AT))


def test_nothing_is_approved_at_first() -> None:
    assert [found.part for found in unapproved(load_spec(TEXT))] == PARTS
    assert {found.why for found in unapproved(load_spec(TEXT))} == {"is not approved"}


def test_an_approval_survives_the_file() -> None:
    spec = load_spec(approved_text())
    assert unapproved(spec) == []
    for part in PARTS:
        approval = approval_of(spec, part)
        assert (approval.state, approval.by, approval.at) == ("approved", "ana", AT)
        assert approval.digest == digests(spec)[part]


def test_only_the_chosen_parts_are_approved() -> None:
    spec = approve(load_spec(TEXT), ["client.email"], by="ana", at=AT)
    assert [found.part for found in unapproved(spec)] == [part for part in PARTS if part != "client.email"]


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("path: customer.email", "path: email", "client.email"),
        ("path: currency", "path: code", "values.currency"),
        ("each: lineItems[]", "each: items[]", "invoice.lines[]"),
        ("entity: order", "entity: orders", "flow"),
        ("path: .name", "path: .title", "invoice.lines[].name"),
    ],
)
def test_an_edit_takes_the_approval_of_its_part(old: str, new: str, part: str) -> None:
    spec = load_spec(approved_text().replace(old, new))
    changed = unapproved(spec)
    assert Unapproved(part, "was changed after its approval") in changed
    # the members of a list depend on the list that they come from
    assert {found.part for found in changed} <= {part, "invoice.lines[].name"}
    reset = reset_changed(spec)
    assert approval_of(reset, part).state == "proposed"
    assert approval_of(reset, part).digest is None
    assert Unapproved(part, "is not approved") in unapproved(reset)


def test_approving_again_keeps_who_approved_what_did_not_change() -> None:
    spec = load_spec(approved_text().replace("path: customer.email", "path: email"))
    again = approve(spec, None, by="ben", at="2026-04-01T00:00:00Z")
    assert approval_of(again, "client.email").by == "ben"
    assert approval_of(again, "flow").by == "ana"
    assert unapproved(again) == []


def test_a_rejected_part_says_so() -> None:
    spec = load_spec(
        TEXT.replace("- {path: currency}\n", "- {path: currency}\n    approval: {state: rejected, comment: no}\n")
    )
    assert Unapproved("values.currency", "is rejected") in unapproved(spec)
    assert approval_of(approve(spec, ["values.currency"], by="ana", at=AT), "values.currency").comment == "no"


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(KeyError):
        approve(load_spec(TEXT), ["client.nothing"], by="ana", at=AT)
    with pytest.raises(KeyError):
        approval_of(load_spec(TEXT), "client.nothing")
