"""What an approval signs: every member of meaning, and nothing else."""

from __future__ import annotations

import pytest

from mapspec.approval import approve
from mapspec.codec import load_spec
from mapspec.fingerprint import digests, fingerprint

TEXT = """\
spec: shop/flow
version: 1
description: words
source:
  {system: clarity-rest, entity: order, events: [order.created, order.updated], id: id, number: orderNumber,
   updated: updatedAt}
targets:
  client: freshbooks/client
  invoice: freshbooks/invoice
settings:
  zone: UTC
  terms: "0"
tables:
  kinds:
    rows:
      a: A
      b: B
  rates:
    rows:
      TX: "8.25"
  combined:
    rows:
      "A + B + C": ABC
gate:
  - {id: test, do: skip, when: {equal: [test, "true"]}, reason: a test order}
flow:
  - {id: client, do: create_if_missing, target: client, key: ["{customer.id}"], match: [email], after: x, otherwise: no}
  - {id: invoice, do: create_once, target: invoice, key: ["{id}"], needs: [client], each: "parts[]",
     when: {present: .id}}
values:
  currency:
    steps:
      - {path: currency}
    check: [{format: currency}]
fields:
  client.email:
    required: true
    steps:
      - {path: customer.email}
      - {case: lower}
      - {lookup_table: kinds}
    check: [{format: email}, {max_length: "50"}]
    on_fail: warn
    note: words
    origin: {by: fuzzy, confidence: "0.9", why: {name: "0.8"}}
  client.fname:
    steps:
      - {path: customer.firstName}
  invoice.lines[]:
    each: lineItems[]
    note: words
    money:
      currency: values.currency
      quantity: .quantity
      unit_price: .unitPrice
      total: $.total
      line_total: .lineTotal
      discount_kinds: [discount]
      kind: .type
      rate_factor: "100"
      charges:
        - {name: Shipping, amount: $.shippingTotal, tax: $.shippingTax}
      unit_cost_places: "2"
      negative_lines: "false"
      rates: rates
      combined_taxes: combined
    fields:
      qty:
        steps:
          - {line_price: quantity}
assertions:
  - {id: sums, at_most: [{path: "payments[].amount", where: {present: .id}}, total], within: "0.01", message: words}
  - {id: text, same_text: [.currency, values.currency], each: "payments[]", when: {present: .id}, message: words}
ignored:
  - {source: tags, reason: words}
"""

MEANING = [
    ("shop/flow", "shop/other"),
    ("system: clarity-rest", "system: other"),
    ("entity: order,", "entity: orders,"),
    ("order.updated]", "order.cancelled]"),
    ("id: id,", "id: uid,"),
    ("number: orderNumber", "number: no"),
    ("updated: updatedAt", "updated: changedAt"),
    ("freshbooks/client", "freshbooks/client@2"),
    ("zone: UTC", "zone: Asia/Tokyo"),
    ('terms: "0"', 'terms: "30"'),
    ("      a: A", "      a: C"),
    ("      b: B", "      c: B"),
    ("    rows:\n      a: A", "    missing: keep\n    rows:\n      a: A"),
    ("    rows:\n      a: A", "    missing: default\n    default: Z\n    rows:\n      a: A"),
    ('TX: "8.25"', 'TX: "8.5"'),
    ("ABC", "AB"),
    ("do: skip", "do: hold"),
    ('[test, "true"]', '[test, "1"]'),
    ("create_if_missing", "upsert"),
    ('["{customer.id}"]', '["{customer.email}"]'),
    ("match: [email]", "match: [fname]"),
    ("after: x", "after: y"),
    ("needs: [client]", "needs: []"),
    ('each: "parts[]"', 'each: "others[]"'),
    ("when: {present: .id}}\nvalues", "when: {absent: .id}}\nvalues"),
    ("path: currency}", "path: money}"),
    ("check: [{format: currency}]", "check: []"),
    ("required: true", "required: false"),
    ("required: true", "required: true\n    only_on_create: true"),
    ("path: customer.email", "path: email"),
    ("case: lower", "case: upper"),
    ("lookup_table: kinds", "lookup_table: rates"),
    ("{format: email}, ", ""),
    ('max_length: "50"', 'max_length: "40"'),
    ("on_fail: warn", "on_fail: hold"),
    ("customer.firstName", "customer.name"),
    ("client.fname:", "client.lname:"),
    ("each: lineItems[]", "each: items[]"),
    ("currency: values.currency\n      q", "currency: $.currency\n      q"),
    (".quantity\n", ".qty\n"),
    (".unitPrice", ".price"),
    ("total: $.total", "total: $.sum"),
    (".lineTotal", ".sum"),
    ("[discount]", "[rebate]"),
    ("kind: .type", "kind: .kind"),
    ('rate_factor: "100"', 'rate_factor: "1"'),
    ("name: Shipping", "name: Freight"),
    ("$.shippingTotal", "$.freight"),
    ("$.shippingTax", "$.freightTax"),
    ('unit_cost_places: "2"', 'unit_cost_places: "4"'),
    ('negative_lines: "false"', 'negative_lines: "true"'),
    ("      rates: rates\n", ""),
    ("      combined_taxes: combined\n", ""),
    ("line_price: quantity", "line_price: name"),
    ("      qty:", "      name:"),
    ("id: sums", "id: other"),
    ("at_most:", "equal:"),
    ('within: "0.01"', 'within: "0.02"'),
    ("where: {present: .id}", "where: {present: .at}"),
    ("[.currency, values.currency]", "[.code, values.currency]"),
    ('each: "payments[]", when', 'each: "refunds[]", when'),
    ("when: {present: .id}, message", "when: {present: .at}, message"),
    ("total], within", "total], on_fail: warn, within"),
]

NO_MEANING = [
    ("version: 1", "version: 7"),
    ("description: words", "description: others"),
    ("events: [order.created, order.updated]", "events: [order.updated, order.created]"),
    ("note: words\n    origin", "note: other\n    origin"),
    ("by: fuzzy", "by: person"),
    ('confidence: "0.9"', 'confidence: "0.1"'),
    ("note: words\n    money", "note: other\n    money"),
    ("reason: a test order", "reason: another"),
    ("message: words}\n  - {id: text", "message: others}\n  - {id: text"),
    ("{source: tags, reason: words}", "{source: tags, reason: others}"),
    ('zone: UTC\n  terms: "0"', 'terms: "0"\n  zone: UTC'),
    ("      a: A\n      b: B", "      b: B\n      a: A"),
    ("{path: customer.email}", "path: customer.email"),
    ("    on_fail: warn\n", "    on_fail: warn\n    approval: {state: rejected, by: ana}\n"),
    (
        "client: freshbooks/client\n  invoice: freshbooks/invoice",
        "invoice: freshbooks/invoice\n  client: freshbooks/client",
    ),
]


def changed(old: str, new: str) -> str:
    assert TEXT.count(old) == 1, old
    return TEXT.replace(old, new)


@pytest.mark.parametrize(("old", "new"), MEANING, ids=[f"{old} -> {new}".strip()[:60] for old, new in MEANING])
def test_a_change_of_meaning_changes_the_fingerprint(old: str, new: str) -> None:
    assert fingerprint(load_spec(changed(old, new))) != fingerprint(load_spec(TEXT))


@pytest.mark.parametrize(("old", "new"), NO_MEANING, ids=[f"{old} -> {new}".strip()[:60] for old, new in NO_MEANING])
def test_what_has_no_meaning_does_not(old: str, new: str) -> None:
    assert fingerprint(load_spec(changed(old, new))) == fingerprint(load_spec(TEXT))


def test_order_of_fields_does_not_count() -> None:
    spec = load_spec(TEXT)
    turned = spec.model_copy(update={"fields": dict(reversed(spec.fields.items()))})
    assert fingerprint(turned) == fingerprint(spec)
    assertions = spec.model_copy(update={"assertions": tuple(reversed(spec.assertions))})
    assert fingerprint(assertions) == fingerprint(spec)


def test_approvals_do_not_count() -> None:
    spec = load_spec(TEXT)
    assert fingerprint(approve(spec, None, by="ana", at="2026-03-01T00:00:00Z")) == fingerprint(spec)


def test_a_change_touches_the_digest_of_its_part_only() -> None:
    before, after = digests(load_spec(TEXT)), digests(load_spec(changed("customer.firstName", "customer.name")))
    assert [part for part in before if before[part] != after[part]] == ["client.fname"]
    assert list(before) == [
        "flow",
        "values.currency",
        "client.email",
        "client.fname",
        "invoice.lines[]",
        "invoice.lines[].qty",
    ]


def test_a_table_belongs_to_the_parts_that_use_it() -> None:
    before = digests(load_spec(TEXT))
    for old, new, part in [("      a: A", "      a: C", "client.email"), ('"8.25"', '"8.5"', "invoice.lines[]")]:
        after = digests(load_spec(changed(old, new)))
        assert [name for name in before if before[name] != after[name]] == [part]


def test_the_fingerprint_of_a_spec_is_pinned() -> None:
    """Approvals outlive releases: a new value here means that every approved spec must be approved again."""
    assert fingerprint(load_spec(TEXT)) == "6d8f9ba096e9925233093826fa1ee829"
