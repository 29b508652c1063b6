"""Kinds of change that a review has to recognise: what is edited, and exactly what has to be found, and where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.review_repo import MAPPING, Repo, approved

Found = tuple[str, str, str]  # rule, part, what stands on the line it points at


@dataclass(frozen=True)
class Kind:
    """One kind of change.

    Attributes:
        edits: (old passage, new passage) of the mapping's text.
        found: Gravest first, as the review tells them.
        approve: Approve everything after the edit, and raise the version.
        files: Other files to write, or a function that makes them.
    """

    name: str
    edits: tuple[tuple[str, str], ...]
    found: tuple[Found, ...]
    approve: bool = True
    files: dict[str, str | None] = field(default_factory=dict)
    rewrite: Callable[[str], str] | None = None

    def apply(self, repo: Repo) -> None:
        """Edit and commit."""
        text = repo.edit(*self.edits)
        if self.rewrite is not None:
            text = self.rewrite(text)
        if self.approve:
            text = approved(text)
        repo.commit({MAPPING: text, **self.files}, self.name)


VERSION = "version:"
KINDS = (
    Kind(
        "money-source",
        (("unit_price: .unitPrice", "unit_price: .listPrice"),),
        (("money-changed", "invoice.lines[]", "unit_price: .listPrice"), ("decision-changed", "flow", "unit_price:")),
    ),
    Kind(
        "money-rounding",
        (("- {money: values.currency}", "- {decimal: }\n      - {round: 0}\n      - {money: values.currency}"),),
        (("money-changed", "payment.amount", "{decimal: }"), ("total-changed", "spec", "{decimal: }")),
    ),
    Kind(
        "tax-rate",
        (("- {line_price: tax_percent_1}", '- {line_price: tax_percent_1}\n          - {multiply: "1.25"}'),),
        (
            ("tax-changed", "invoice.lines[].taxAmount1", 'multiply: "1.25"'),
            ("total-changed", "spec", 'multiply: "1.25"'),
        ),
    ),
    Kind(
        "tax-source",
        (("      taxes: .taxLines[]\n", ""),),
        (("tax-changed", "invoice.lines[]", "money:"), ("decision-changed", "flow", "money:")),
    ),
    Kind(
        "currency",
        (("- {path: currency}\n      - {case: upper}", "- {const: EUR}"),),
        (
            ("currency-changed", "values.currency", "{const: EUR}"),
            ("total-changed", "spec", "{const: EUR}"),
            ("total-changed", "spec", "{const: EUR}"),
        ),
    ),
    Kind(
        "key",
        (('target: invoice, key: ["{id}"]', 'target: invoice, key: ["{orderNumber}"]'),),
        (("key-changed", "flow", "{orderNumber}"),),
    ),
    Kind(
        "key-value",
        (("{coalesce: [customer.id, customer.email]}", "{path: customer.email}"),),
        (("key-changed", "values.buyer", "{path: customer.email}"),),
    ),
    Kind(
        "step-removed",
        (
            ("  - {id: send, do: mark_as_sent, of: invoice, needs: [invoice]}\n", ""),
            ("needs: [send]", "needs: [invoice]"),
        ),
        (("flow-step-changed", "flow", "do: create_once, target: payment"), ("flow-step-removed", "flow", "flow:")),
    ),
    Kind(
        "lookup-added",
        (
            ("flow:\n", "flow:\n  - {id: known, do: lookup, entity: client, match: [email], value: customer.email}\n"),
            ("- {path: customer.firstName}", "- {lookup_remote: known.fname}"),
        ),
        (
            ("remote-lookup-added", "flow", "do: lookup"),
            ("remote-lookup-added", "client.fname", "lookup_remote"),
            ("source-changed", "client.fname", "lookup_remote"),
        ),
    ),
    Kind(
        "gate",
        (("{in: [status, [cancelled]]}", "{in: [status, [void]]}"),),
        (("gate-changed", "flow", "[void]"), ("decision-changed", "flow", "[void]")),
    ),
    Kind(
        "resource",
        (("payment: freshbooks/payment", "payment: freshbooks/credit_note"),),
        (("resource-changed", "flow", "payment: freshbooks/credit_note"),),
    ),
    Kind(
        "check-removed",
        (("    check: [{format: email}]\n", ""),),
        (("check-removed", "client.email", "client.email:"),),
    ),
    Kind(
        "check-loosened",
        (("check: [{max_length: 20}]", "check: [{max_length: 40}]"),),
        (("check-loosened", "invoice.po_number", "max_length: 40"),),
    ),
    Kind(
        "assertion-loosened",
        (('within: "0.01"', 'within: "1"'),),
        (("assertion-loosened", "flow", 'within: "1"'),),
    ),
    Kind(
        "assertion-removed",
        (('  - {id: has-lines, not_empty: "lineItems[]", message: the order has no lines}\n', ""),),
        (("assertion-removed", "flow", "assertions:"),),
    ),
    Kind(
        "required-removed",
        (("  client.email:\n    required: true\n", "  client.email:\n"),),
        (("required-removed", "client.email", "client.email:"),),
    ),
    Kind(
        "source",
        (("- {path: notes}", "- {path: customerNotes}"),),
        (("source-changed", "invoice.notes", "{path: customerNotes}"),),
    ),
    Kind(
        "type",
        (("- {path: poNumber}", '- {path: poNumber}\n      - {regex_extract: "([0-9]+)"}\n      - {int: }'),),
        (("type-changed", "invoice.po_number", "{regex_extract:"),),
    ),
    Kind(
        "truncation",
        (("- {path: notes}", "- {path: notes}\n      - {max_length: {n: 10, over: truncate}}"),),
        (("truncation-added", "invoice.notes", "over: truncate"),),
    ),
    Kind(
        "default-on-required",
        (
            (
                "- {path: customer.email}\n      - {trim: }",
                "- {path: customer.email}\n      - {trim: }\n      - {default: nobody@example.com}",
            ),
        ),
        (("key-changed", "client.email", "{default: nobody@example.com}"),),
    ),
    Kind(
        "default-on-required-date",
        (
            (
                "- {path: .paidAt}\n",
                '- {path: .paidAt}\n      - {default: "2026-01-01T00:00:00Z"}\n',
            ),
        ),
        (("default-added", "payment.date", "{default:"),),
    ),
    Kind(
        "table",
        (("      cash: Cash\n", ""),),
        (("table-changed", "tables.kinds", "rows:"),),
    ),
    Kind(
        "setting",
        (("timezone: America/Chicago", "timezone: Asia/Tokyo"),),
        (("setting-changed", "settings.timezone", "timezone: Asia/Tokyo"),),
    ),
    Kind(
        "setting-of-a-key",
        (("invoice_prefix: W-", "invoice_prefix: X-"),),
        (("key-changed", "settings.invoice_prefix", "invoice_prefix: X-"),),
    ),
    Kind(
        "events",
        (("order.created, order.updated", "order.created"),),
        (("events-changed", "flow", "source:"),),
    ),
    Kind(
        "field-added",
        (("  invoice.notes:\n", "  invoice.terms:\n    steps:\n      - {path: paymentTerms}\n  invoice.notes:\n"),),
        (("field-added", "invoice.terms", "invoice.terms:"),),
    ),
    Kind(
        "field-moved",
        (("  invoice.notes:\n", "  invoice.terms:\n"),),
        (("field-moved", "invoice.terms", "invoice.terms:"),),
    ),
    Kind(
        "version-and-approval-forgotten",
        (("- {path: notes}", "- {path: customerNotes}"),),
        (
            ("digest-mismatch", "invoice.notes", "approval:"),
            ("source-changed", "invoice.notes", "{path: customerNotes}"),
            ("version-not-bumped", "spec", "version: 1"),
        ),
        approve=False,
    ),
    Kind(
        "approval-taken-back",
        (("approval: {state: approved, by: ben@example.com", "approval: {state: rejected, by: ben@example.com"),),
        (("not-approved", "flow", "approval: {state: rejected"),),
        approve=False,
    ),
    Kind(
        "samples-shrunk",
        (),
        (("samples-shrunk", "spec", "spec: acme/order-to-invoice"),),
        approve=False,
        files={"samples/order__cash.json": None, "samples/order__unpaid.json": None},
    ),
    Kind(
        "suppressed",
        (
            ("- {path: notes}", "- {path: customerNotes}"),
            (
                "assertions:\n",
                "suppressed:\n  - {id: source-changed, part: invoice.notes, reason: agreed, until: 2027-01-31}\n"
                "  - {id: money-changed, reason: an old one, until: 2026-01-31}\nassertions:\n",
            ),
        ),
        (
            ("suppression-added", "invoice.notes", "id: source-changed"),
            ("suppression-expired", "spec", "id: money-changed"),
        ),
    ),
)


def reordered(text: str) -> str:
    """The mapping with comments, another layout, other quotes, and its members in another order."""
    text = text.replace("settings:\n  timezone: America/Chicago\n  invoice_prefix: W-\n", "")
    text = text.replace(
        "targets:\n", "settings: {invoice_prefix: W-, 'timezone': \"America/Chicago\"}   # set here\ntargets:\n"
    )
    text = text.replace(
        "      card: Credit Card\n      cash: Cash\n",
        "      cash: Cash\n      # a comment\n      card: 'Credit Card'\n",
    )
    head, _, rest = text.partition("  client.email:\n")
    block, _, tail = rest.partition("  client.fname:\n")
    other, _, tail = tail.partition("  invoice.customerid:\n")
    text = head + "  client.fname:\n" + other + "  client.email:\n" + block + "  invoice.customerid:\n" + tail
    return text.replace("events: [order.created, order.updated]", "events: [order.updated, order.created]")


# Nothing of these is a change of meaning.
UNCHANGED = (
    Kind("reordered", (), (), approve=False, rewrite=reordered),
    Kind("comment", (("gate:\n", "# who may pass\ngate:\n"),), (), approve=False),
    Kind(
        "words",
        (
            ("reason: the order is on hold", "reason: somebody put it on hold"),
            ("message: the order has no lines", "message: an order without lines"),
        ),
        (),
        approve=False,
    ),
    Kind("value-renamed", (("  buyer:\n", "  customer_key:\n"), ("{values.buyer}", "{values.customer_key}")), ()),
    Kind(
        "table-renamed", (("  kinds:\n", "  ways_to_pay:\n"), ("lookup_table: kinds", "lookup_table: ways_to_pay")), ()
    ),
    Kind("step-renamed", (("id: send,", "id: mark,"), ("needs: [send]", "needs: [mark]")), ()),
    Kind("approved-again", (), (), approve=True),
)
