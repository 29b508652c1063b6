"""Pages for people: what was posted into the FreshBooks stand-in, readable without any tool.

Rendered on the server; every value is escaped, nothing is fetched from elsewhere, no script runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from starlette.responses import Response

from connectors.sandbox import invoices
from connectors.sandbox.books import Books
from connectors.sandbox.wire import JsonObject

_STYLE = """
:root { color-scheme: light dark; --line: #d5d9e0; --soft: #f3f5f8; --muted: #5b6472; --accent: #0b6bcb; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3a414d; --soft: #232830; --muted: #a2abba; --accent: #7ab8ff; }
}
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; background: var(--soft); white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.muted, .empty { color: var(--muted); }
.status { border: 1px solid currentColor; border-radius: 1rem; padding: 0 .6rem; white-space: nowrap; }
.facts th { width: 9rem; }
.totals { width: auto; margin: .5rem 0 0 auto; }
a { color: var(--accent); }
pre { white-space: pre-wrap; margin: 0; font: inherit; }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_HIDDEN = {1: "deleted", 2: "archived"}


def html(text: str, status: int = 200, *, forms: bool = False) -> Response:
    """An HTML answer that may load nothing; `forms` lets its forms be sent, and sent on, anywhere."""
    # a lone surrogate is legal in JSON but cannot be encoded
    raw = text.encode("utf-8", "replace")
    policy = _POLICY.replace("form-action 'none'", "form-action 'self' https: http:") if forms else _POLICY
    headers = {"content-security-policy": policy, "cache-control": "no-store"}
    return Response(raw, status, headers, "text/html; charset=utf-8")


def index_page(books: Books) -> str:
    """Invoices, clients, payments, items, taxes and credits of the account, newest first."""
    tables = books.tables
    body = [
        f"<h1>FreshBooks sandbox</h1><p class=muted>Account {_text(books.account_id)}. "
        "A stand-in on this machine: nothing here reached FreshBooks.</p>",
        _section(
            "Invoices",
            ("Number", "Date", "Client", "Status", "Lines", "#Total", "#Paid", "#Outstanding"),
            [_invoice_row(books, invoice) for invoice in _newest(tables["invoice"])],
        ),
        _section(
            "Clients",
            ("Id", "Name", "Organization", "E-mail", "City", "Country", "Currency"),
            [_client_row(client) for client in _newest(tables["client"])],
        ),
        _section(
            "Payments",
            ("Id", "Date", "Invoice", "Type", "Note", "#Amount"),
            [_payment_row(books, payment) for payment in _newest(tables["payment"])],
        ),
        _section(
            "Items",
            ("Id", "SKU", "Name", "Description", "#Unit cost"),
            [
                [
                    _text(item["id"]),
                    _text(item["sku"]),
                    _text(item["name"]) + _hidden(item),
                    _text(item["description"]),
                    _money(item["unit_cost"]),
                ]
                for item in _newest(tables["item"])
            ],
        ),
        _section(
            "Taxes",
            ("Id", "Name", "Number", "#Percent"),
            [
                [_text(tax["id"]), _text(tax["name"]), _text(tax["number"]), _text(tax["amount"])]
                for tax in _newest(tables["tax"])
            ],
        ),
        _section(
            "Credits",
            ("Number", "Date", "Client", "Kind", "#Amount"),
            [
                [
                    _text(credit["credit_number"]) + _hidden(credit),
                    _text(credit["create_date"]),
                    _client_name(books, credit["clientid"]),
                    _text(credit["credit_type"]),
                    _money(credit["amount"]),
                ]
                for credit in _newest(tables["credit_note"])
            ],
        ),
    ]
    return _document("FreshBooks sandbox", "".join(body))


def invoice_page(books: Books, invoice: JsonObject) -> str:
    """One invoice with its lines, totals and payments."""
    number = _text(invoice["invoice_number"])
    facts = [
        ("Client", _client_name(books, invoice["customerid"])),
        ("Date", _text(invoice["create_date"])),
        ("Due", _text(invoice["due_date"])),
        ("PO number", _text(invoice["po_number"])),
        ("Address", _text(", ".join(filter(None, _address(invoice))))),
        ("Notes", f"<pre>{_text(invoice['notes'])}</pre>"),
        ("Terms", f"<pre>{_text(invoice['terms'])}</pre>"),
    ]
    totals = [
        ("Discount", _money(invoice["discount_total"])),
        ("Total", f"<strong>{_money(invoice['amount'])}</strong>"),
        ("Paid", _money(invoice["paid"])),
        ("Outstanding", _money(invoice["outstanding"])),
    ]
    body = [
        f"<p><a href='/'>All records</a></p><h1>Invoice {number} {_status(books, invoice)}</h1>",
        _facts(facts),
        _section(
            "Lines",
            ("Name", "Description", "#Quantity", "#Unit cost", "Taxes", "#Amount"),
            [_line_row(line) for line in invoice["lines"]],
        ),
        _facts(totals, "totals"),
        _section(
            "Payments",
            ("Id", "Date", "Invoice", "Type", "Note", "#Amount"),
            [_payment_row(books, payment) for payment in books.payments_of(invoice["id"])],
        ),
    ]
    return _document(f"Invoice {invoice['invoice_number']}", "".join(body))


def missing_page() -> str:
    """Shown for an invoice that does not exist."""
    return _document("Not found", "<h1>No such invoice</h1><p><a href='/'>All records</a></p>")


def message_page(title: str, text: str, extra: str = "") -> str:
    """A page with one paragraph, and markup that is escaped already."""
    return _document(title, f"<h1>{_text(title)}</h1><p>{_text(text)}</p>{extra}")


def _document(title: str, body: str) -> str:
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>{body}</main></body></html>"
    )


def _section(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    heading = f"<h2>{title} <span class=muted>({len(rows)})</span></h2>"
    if not rows:
        return f"{heading}<p class=empty>None yet.</p>"
    numeric = [" class=number" if column.startswith("#") else "" for column in columns]
    head = "".join(
        f"<th scope=col{mark}>{column.lstrip('#')}</th>" for column, mark in zip(columns, numeric, strict=True)
    )
    lines = "".join(
        f"<tr>{''.join(f'<td{mark}>{cell}</td>' for cell, mark in zip(row, numeric, strict=True))}</tr>" for row in rows
    )
    return f"{heading}<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>"


def _facts(pairs: Iterable[tuple[str, str]], kind: str = "facts") -> str:
    mark = " class=number" if kind == "totals" else ""
    rows = "".join(f"<tr><th scope=row>{name}</th><td{mark}>{value}</td></tr>" for name, value in pairs)
    return f"<table class='{kind}'><tbody>{rows}</tbody></table>"


def _invoice_row(books: Books, invoice: JsonObject) -> list[str]:
    lines = "; ".join(f"{line['qty']} × {line['name']}" for line in invoice["lines"])
    return [
        _invoice_link(invoice) + _hidden(invoice),
        _text(invoice["create_date"]),
        _client_name(books, invoice["customerid"]),
        _status(books, invoice),
        _text(lines),
        _money(invoice["amount"]),
        _money(invoice["paid"]),
        _money(invoice["outstanding"]),
    ]


def _client_row(client: JsonObject) -> list[str]:
    return [
        _text(client["id"]),
        _text(f"{client['fname']} {client['lname']}".strip()) + _hidden(client),
        _text(client["organization"]),
        _text(client["email"]),
        _text(client["p_city"]),
        _text(client["p_country"]),
        _text(client["currency_code"]),
    ]


def _payment_row(books: Books, payment: JsonObject) -> list[str]:
    surplus = " <span class=muted>(overpaid: credit made)</span>" if payment["overpaymentid"] else ""
    return [
        _text(payment["id"]) + _hidden(payment),
        _text(payment["date"]),
        _invoice_link(books.tables["invoice"][payment["invoiceid"]]),
        _text(payment["type"]),
        _text(payment["note"]) + surplus,
        _money(payment["amount"]),
    ]


def _line_row(line: JsonObject) -> list[str]:
    taxes = [
        f"{line[f'taxName{position}']} {line[f'taxAmount{position}']} %"
        for position in (1, 2)
        if line[f"taxName{position}"]
    ]
    return [
        _text(line["name"]),
        f"<pre>{_text(line['description'])}</pre>",
        _text(line["qty"]),
        _money(line["unit_cost"]),
        _text(", ".join(taxes)),
        _money(line["amount"]),
    ]


def _address(invoice: JsonObject) -> list[str | None]:
    return [invoice[name] for name in ("street", "street2", "city", "province", "code", "country")]


def _newest(table: dict[int, JsonObject]) -> list[JsonObject]:
    return list(reversed(table.values()))


def _status(books: Books, invoice: JsonObject) -> str:
    return f"<span class=status>{_text(invoices.v3_status(books, invoice))}</span>"


def _hidden(record: JsonObject) -> str:
    word = _HIDDEN.get(record["vis_state"])
    return f" <span class=muted>({word})</span>" if word else ""


def _invoice_link(invoice: JsonObject) -> str:
    return f"<a href='/invoice/{invoice['id']}'>{_text(invoice['invoice_number'])}</a>"


def _client_name(books: Books, identifier: int) -> str:
    client = books.tables["client"].get(identifier, {})
    return _text(client.get("organization") or identifier)


def _money(value: JsonObject) -> str:
    return _text(f"{value['amount']} {value['code']}")


def _text(value: Any) -> str:
    return escape(str(value)) if value not in (None, "") else ""
