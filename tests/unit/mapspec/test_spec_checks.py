"""Rules over a spec: each finds its mistake, on its line, and the shipped specs are free of errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.profiles import load_profile
from mapspec.checks import Finding, check_spec
from mapspec.codec import load_spec, load_with_lines
from mapspec.engine import compile_spec
from mapspec.errors import SpecError

SHIPPED = sorted((Path(__file__).parents[3] / "mappings/clarity-freshbooks").glob("*.yaml"))
BOOKS = load_profile("freshbooks")
CONTRACTS = {
    f"freshbooks/{name}": BOOKS.fields(name) for name in ("client", "invoice", "payment", "item", "credit_note")
}
GOOD = """\
spec: shop/flow
source: {system: clarity-rest, entity: order}
targets:
  client: freshbooks/client
  invoice: freshbooks/invoice
settings:
  prefix: W
tables:
  terms:
    rows:
      net 30: "30"
flow:
  - {id: client, do: upsert, target: client, key: ["{customer.id}"], match: [email]}
  - {id: invoice, do: create_once, target: invoice, key: ["{id}"], needs: [client]}
values:
  code:
    steps:
      - {path: currency}
fields:
  client.email:
    steps:
      - {path: customer.email}
  client.currency_code:
    steps:
      - {path: values.code}
  invoice.customerid:
    required: true
    steps:
      - {step_output: client.id}
  invoice.create_date:
    required: true
    steps:
      - {path: orderDate}
      - {parse_instant: }
      - {to_date: }
  invoice.due_offset_days:
    steps:
      - {path: paymentTerms}
      - {lookup_table: terms}
      - {int: }
  invoice.invoice_number:
    steps:
      - {template: "{settings.prefix}{orderNumber}"}
  invoice.lines[]:
    each: lineItems[]
    money: {currency: values.code, quantity: .quantity, unit_price: .unitPrice, total: $.total}
    fields:
      name:
        steps:
          - {path: .name}
      unit_cost:
        steps:
          - {line_price: unit_cost}
"""


def findings(text: str) -> list[Finding]:
    spec, lines = load_with_lines(text)
    source = [field.path for field in load_profile("clarity-rest").fields(spec.source.entity)]
    return check_spec(spec, lines=lines, contracts=CONTRACTS, source_fields=source)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_specs_have_no_errors(path: Path) -> None:
    found = findings(path.read_text(encoding="utf-8"))
    assert [finding for finding in found if finding.severity == "error"] == []
    assert {finding.id for finding in found} <= {"unknown-source-path", "lossy-step"}


def test_a_good_spec_has_no_findings() -> None:
    assert findings(GOOD) == []


CASES: list[tuple[str, str, str, str, str]] = [
    # (old, new, id, severity, in message or mend)
    ("client.email:", "client.emial:", "unknown-target-path", "error", "did you mean 'email'?"),
    ("client.email:", "client.emial:", "no-key-match", "error", "none of them has a rule"),
    ("invoice.lines[]:", "invoice.line[]:", "unknown-target-path", "error", "did you mean 'lines[]'?"),
    ("      unit_cost:", "      unit_price:", "unknown-target-path", "error", "did you mean 'lines[].unit_cost'?"),
    ("invoice.due_offset_days:", "invoice.due_date:", "read-only-target", "error", "'due_date' is read-only"),
    ("client.currency_code:", "client.id:", "read-only-target", "error", "'id' is read-only"),
    ("invoice.customerid:", "invoice.ownerid:", "missing-required-target", "error", "'invoice.customerid' is required"),
    ("  invoice.create_date:\n    required: true", "  invoice.create_date:", "required-not-enforced", "warning",
     "required: true"),
    ("freshbooks/invoice", "freshbooks/invoise", "unknown-contract", "error", "did you mean 'freshbooks/invoice'?"),
    ("path: customer.email", "path: customer.emial", "unknown-source-path", "warning", "mean 'customer.email'?"),
    ("path: orderDate", "path: orderdate", "unknown-source-path", "error", "did you mean 'orderDate'?"),
    ("path: orderDate", "coalesce: [orderDay, orderDate]", "unknown-source-path", "info", "'orderDay'"),
    ("path: orderDate", "coalesce: [orderDay, orderDaet]", "unknown-source-path", "error", "did you mean 'orderDate'?"),
    (".quantity", ".qty", "unknown-source-path", "error", "'lineItems[].qty'"),
    ("path: .name}", "path: .title}", "unknown-source-path", "warning", "'lineItems[].title'"),
    ("each: lineItems[]", "each: lines[]", "unknown-source-path", "error", "'lines[]'"),
    ("each: lineItems[]", "each: lineItems", "each-is-no-list", "error", "write lineItems[]"),
    ("{customer.id}", "{customer.uid}", "unknown-source-path", "error", "'customer.uid'"),
    ("path: customer.email", "path: .email", "item-path-outside-list", "error", "there is no list here"),
    ("total: $.total", "total: .total", "item-path-outside-list", "error", "there is no list here"),
    ("path: values.code", "path: values.cod", "unknown-value", "error", "did you mean 'code'?"),
    ("path: values.code}", "path: currency}\n  client.language:\n    steps:\n      - {setting: prefx}",
     "unknown-setting", "error", "did you mean 'prefix'?"),
    ("to_date: }", "to_date: settings.zone}", "unknown-setting", "error", "no setting 'zone'"),
    ("{settings.prefix}", "", "unused-setting", "warning", "'prefix' is not used"),
    ("lookup_table: terms", "lookup_table: term", "unknown-table", "error", "did you mean 'terms'?"),
    ("lookup_table: terms", "lookup_table: term", "unused-table", "warning", "'terms' is not used"),
    ('net 30: "30"', 'net 30: "30"\n      NET 30: "31"', "table-key-twice", "error", "are the same key"),
    ("total: $.total", "total: $.total, rates: terms", "bad-rate", "warning-not", ""),
    ("path: customer.email", "line_price: note", "line-price-outside-money", "error", "inside a list block"),
    ("step_output: client.id", "step_output: clinet.id", "unknown-step", "error", "did you mean 'client'?"),
    ("step_output: client.id", "step_output: invoice.id", "later-step", "error", "runs no earlier"),
    ("{path: currency}", "{step_output: client.id}", "later-step", "error", "before any flow step"),
    (", needs: [client]", "", "step-not-needed", "warning", "needs: [client]"),
    ("      - {int: }\n", "", "type-mismatch", "error", "add {int: }"),
    ("      - {to_date: }\n", "", "type-mismatch", "error", "{to_date: }"),
    ("      - {parse_instant: }\n", "      - {trim: }\n", "type-mismatch", "error", "'to_date' takes instant or date"),
    ("{step_output: client.id}", "{step_output: client.id}\n      - {trim: }", "type-mismatch", "error", "only later"),
    ("{path: customer.email}", "{trim: }", "type-mismatch", "error", "has nothing to work on"),
    ("- {line_price: unit_cost}", "- {path: .unitPrice}\n          - {decimal: }", "type-mismatch", "error",
     "takes money"),
    ("- {path: values.code}", "- {const: dollars}", "max-length-conflict", "error", "longer than the 3 characters"),
    ("- {path: values.code}", "- {path: values.code}\n      - {max_length: \"5\"}", "max-length-conflict", "error",
     "lower"),
    ("match: [email]", "match: [email, phone]", "match-field-unmapped", "warning", "'phone'"),
    ("path: values.code}", "path: currency}\n  client.note:\n    steps: []", "no-steps", "error", "no steps"),
    ("- {path: customer.email}", "- {path: customer.email}\n      - {max_length: {n: 9, over: truncate}}", "lossy-step",
     "error", "over: error"),
    ("{orderNumber}\"}", "{orderNumber}\"}\n      - {max_length: {n: 9, over: truncate}}", "lossy-step", "error",
     "a key"),
    ("- {path: .name}", "- {path: .name}\n          - {max_length: {n: 9, over: truncate}}", "lossy-step", "info",
     "cuts what is longer than 9"),
    ("- {line_price: unit_cost}", "- {path: .unitPrice}\n          - {round: 1}\n          - {money: $.currency}",
     "lossy-step", "warning", "rounds to 1 digits"),
    ("values:\n", "  - {id: again, do: upsert, target: client, key: [x], match: [email]}\nvalues:\n",
     "target-written-twice", "error", "'client' and 'again'"),
    ("- {path: customer.email}", "- {when: {if: {in: [status, []]}, then: [{const: a}], else: [{const: b}]}}",
     "unreachable-when", "warning", "'then' of 'when' is never reached"),
    ("- {path: customer.email}", "- {when: {if: {any: [{present: id}, {absent: id}]}, then: [{const: a}], else: "
     "[{const: b}]}}", "bad-rate", "warning-not", ""),
    ("- {path: customer.email}", "- {when: {if: {equal: [status, a]}, then: [{const: a}], else: [{when: {if: {in: "
     "[status, [A, ' a']]}, then: [{const: b}]}}]}}", "unreachable-when", "warning", "'then'"),
    ("- {path: customer.email}", "- {list: 'lineItems[]'}\n      - {filter: {all: [{gt: [.quantity, 5]}, {lt: "
     "[.quantity, 5]}]}}\n      - {count: }", "unreachable-when", "warning", "'filter' can never hold"),
    ("flow:\n", "gate:\n  - {id: one, do: skip, when: {in: [status, [a, b]]}, reason: r}\n  - {id: two, do: hold, when"
     ": {equal: [status, B]}, reason: r}\nflow:\n", "unreachable-when", "warning", "earlier rule has decided"),
    ("flow:\n", "gate:\n  - {id: one, do: go, when: {not: {in: [id, []]}}, reason: r}\n  - {id: two, do: hold, when: "
     "{present: id}, reason: r}\nflow:\n", "unreachable-when", "warning", "holds for every record"),
    (", needs: [client]", ", needs: [client], when: {all: [{absent: id}, {equal: [id, x]}]}", "unreachable-when",
     "warning", "never runs"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "rule", "severity", "told"), CASES, ids=[f"{c[2]}-{i}" for i, c in enumerate(CASES)]
)
def test_a_mistake_is_found(old: str, new: str, rule: str, severity: str, told: str) -> None:
    if severity == "warning-not":  # "30" is a percent
        assert rule not in {finding.id for finding in findings(GOOD.replace(old, new, 1))}
        return
    assert old in GOOD
    found = [finding for finding in findings(GOOD.replace(old, new, 1)) if finding.id == rule]
    assert found, findings(GOOD.replace(old, new, 1))
    assert severity in {finding.severity for finding in found}
    assert any(told in finding.message or told in finding.mend for finding in found)


def test_enum_conflicts_of_constants_and_tables() -> None:
    text = """\
spec: shop/pay
source: {system: clarity-rest, entity: payment}
targets:
  payment: freshbooks/payment
tables:
  types:
    rows:
      card: Credit Card
      wire: Wire Transfer
    missing: default
    default: Othr
flow:
  - {id: payment, do: create_once, target: payment, key: ["{id}"]}
fields:
  payment.type:
    steps:
      - {when: {if: {present: method}, then: [{path: method}, {lookup_table: types}], else: [{const: Stripe}]}}
"""
    found = [finding for finding in findings(text) if finding.id == "enum-conflict"]
    assert [finding.message.split("'")[1] for finding in found] == ["Othr", "Stripe", "Wire Transfer"]
    assert "did you mean 'Other'?" in {finding.mend for finding in found}
    assert {finding.line for finding in found} == {15}
    missing = {f.message.split("'")[1] for f in findings(text) if f.id == "missing-required-target"}
    assert missing == {"payment.invoiceid", "payment.amount.amount", "payment.date"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("client.a", "client.a.b"),
        ("client.a.b", "client.a"),
        ("invoice.lines", "invoice.lines[]"),
        ("invoice.lines[].code", "invoice.lines"),
        ("invoice.lines[].unit_cost", "invoice.lines[].unit_cost.amount"),
    ],
)
def test_two_rules_for_one_place_do_not_compile(first: str, second: str) -> None:
    rule = "{steps: [{const: x}]}"
    inner = [name.removeprefix("invoice.lines[].") for name in (first, second) if name.startswith("invoice.lines[].")]
    outer = [name for name in (first, second) if not name.startswith("invoice.lines[].")]
    text = "spec: a/b\nsource: {system: s, entity: e}\n"
    text += "targets: {client: freshbooks/client, invoice: freshbooks/invoice}\nfields:\n"
    text += "".join(f"  {name}: {rule}\n" for name in outer)
    if inner:
        members = ", ".join(f"{name}: {rule}" for name in inner)
        text += f"  invoice.lines[]: {{each: 'rows[]', fields: {{{members}}}}}\n"
    with pytest.raises(SpecError, match="writes this place too; keep one of the two"):
        compile_spec(load_spec(text))


def test_rules_for_neighbours_compile() -> None:
    rules = "  client.a.b: {steps: [{const: x}]}\n  client.a.c: {steps: [{const: x}]}\n"
    assert compile_spec(load_spec(GOOD.replace("  client.currency_code:", f"{rules}  client.currency_code:")))


def test_a_finding_stands_at_the_step_it_is_about() -> None:
    found = findings(
        GOOD.replace("      - {lookup_table: terms}\n", "      - {lookup_table: terms}\n      - {lookup_table: term}\n")
    )
    [unknown] = [finding for finding in found if finding.id == "unknown-table"]
    rows = GOOD.splitlines()
    assert (unknown.line, unknown.column) == (rows.index("  invoice.due_offset_days:") + 1, 3)
    [misfit] = [f for f in findings(GOOD.replace("- {parse_instant: }", "- {trim: }")) if f.id == "type-mismatch"]
    assert (misfit.line, misfit.column) == (rows.index("      - {to_date: }") + 1, 9)
    [wrong] = [f for f in findings(GOOD.replace("path: orderDate", "path: orderdate")) if f.severity == "error"]
    assert (wrong.line, wrong.column) == (rows.index("      - {path: orderDate}") + 1, 9)


def test_findings_stand_on_their_lines_errors_first() -> None:
    text = GOOD.replace("client.email:", "client.emial:").replace("{settings.prefix}", "").replace(".name}", ".title}")
    found = findings(text)
    rows = text.splitlines()
    for finding in found:
        assert finding.line is not None
        if finding.id == "unknown-target-path":
            assert rows[finding.line - 1] == "  client.emial:"
        if finding.id == "no-key-match":
            assert "id: client" in rows[finding.line - 1]
        if finding.id == "unused-setting":
            assert rows[finding.line - 1] == "  prefix: W"
    ranks = [["error", "warning", "info"].index(finding.severity) for finding in found]
    assert ranks == sorted(ranks)


def test_a_flow_without_fields_is_an_error() -> None:
    text = "spec: a/b\nsource: {system: s, entity: e}\ntargets: {client: freshbooks/client}\nflow:\n"
    text += "  - {id: c, do: upsert, target: client, key: ['{id}'], match: [email]}\n"
    assert [f.id for f in check_spec(load_spec(text), lines={}, contracts=CONTRACTS, source_fields=None)] == [
        "target-without-fields"
    ]


def test_nothing_is_said_of_an_unknown_source() -> None:
    spec, lines = load_with_lines(GOOD.replace("orderDate", "anything"))
    assert check_spec(spec, lines=lines, contracts=CONTRACTS, source_fields=None) == []
    assert all(f.line is None for f in check_spec(spec, lines={}, contracts={}, source_fields=[]))


def test_custom_attributes_are_the_stores_own() -> None:
    assert findings(GOOD.replace("path: customer.email", "path: customAttributes.contactMail")) == []


VALIDATIONS: list[tuple[str, str, str, str, str]] = [
    ("- {path: customer.email}", "- {path: customer.email}\n    check: [{unique_in_list: }]", "unique-outside-list",
     "error", "there is no list here"),
    ("- {path: customer.email}", "- {path: customer.email}\n    check: [{min_length: 9}, {max_length: 8}]",
     "length-window-empty", "error", "at least 9 and at most 8"),
    ("- {path: values.code}", "- {path: values.code}\n    check: [{min_length: 4}]", "max-length-conflict", "error",
     "asks for 4 characters"),
    ("- {path: customer.email}", "- {path: customer.email}\n    check: [{format: email}, {format: url}]",
     "check-twice", "warning", "stands twice"),
    ("      - {to_date: }", "      - {to_date: }\n    check: [{date_window: {from: orderDaet}}]",
     "unknown-source-path", "warning", "did you mean 'orderDate'?"),
    ("      - {to_date: }", "      - {to_date: }\n    check: [{date_window: {from: .at}}]",
     "item-path-outside-list", "error", "no list here"),
    ("values:", "assertions:\n  - {id: a, unique: 'lineItems[].skuu', message: m}\nvalues:",
     "unknown-source-path", "error", "did you mean 'lineItems[].sku'?"),
    ("values:", "assertions:\n  - {id: a, one_of_present: [id, idd], message: m}\nvalues:",
     "unknown-source-path", "info", "'idd'"),
    ("values:", "assertions:\n  - {id: a, not_empty: 'tags[]', message: m}\n"
     "  - {id: a, required_together: [id, total], message: m}\nvalues:", "assertion-twice", "warning", "own id"),
    ("values:", "assertions:\n  - {id: a, predicted_total: {lines: 'invoice.rows[]', total: total, "
     "currency: currency}, message: m}\nvalues:", "predicted-total-without-lines", "error", "no list of this spec"),
    ("values:", "assertions:\n  - {id: a, predicted_total: {lines: 'invoice.lines[]', total: total, "
     "currency: currency}, message: m}\nvalues:", "predicted-total-without-lines", "error", "add a rule for qty"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "rule", "severity", "told"), VALIDATIONS, ids=[f"{c[2]}-{i}" for i, c in enumerate(VALIDATIONS)]
)
def test_a_validation_without_sense_is_found(old: str, new: str, rule: str, severity: str, told: str) -> None:
    assert GOOD.count(old) >= 1
    text = GOOD.replace(old, new, 1)
    found = [finding for finding in findings(text) if finding.id == rule]
    assert found, findings(text)
    assert severity in {finding.severity for finding in found}
    assert any(told in finding.message or told in finding.mend for finding in found)
    for finding in found:
        assert finding.line is not None
        row = text.splitlines()[finding.line - 1]
        assert "check:" in row or "id: a" in row or finding.part.rsplit(".", 1)[-1] in row


def test_validations_in_their_place_are_not_remarked() -> None:
    text = GOOD.replace("- {path: .name}", "- {path: .name}\n        check: [{unique_in_list: }, {min_length: 2}]")
    text = text.replace("values:", "assertions:\n  - {id: a, unique: 'lineItems[].sku', message: m}\nvalues:")
    assert findings(text) == []
