"""Items, taxes, credit notes and other incomes of the FreshBooks stand-in."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from connectors.sandbox import errors, invoices
from connectors.sandbox.document_lines import build_lines, money, price
from connectors.sandbox.errors import AccountingError
from connectors.sandbox.money import currency_digits, plain, rounded, unit_cost_digits
from connectors.sandbox.resources import CREDIT_TYPES, INCOME_CATEGORIES, Resource
from connectors.sandbox.times import eastern, eastern_today
from connectors.sandbox.wire import JsonObject

if TYPE_CHECKING:
    from connectors.sandbox.books import Books


def create(books: Books, resource: Resource, identifier: int, clean: JsonObject) -> JsonObject:
    """Build an item, tax, credit note or other income from checked fields.

    Raises:
        AccountingError: A reference or value that FreshBooks would not take.
    """
    ids: JsonObject = dict.fromkeys(resource.id_fields, identifier)
    now = eastern(books.clock())
    match resource.name:
        case "item":
            record = ids | clean | {"accounting_systemid": books.account_id, "vis_state": 0, "updated": now}
            record["unit_cost"] = record["unit_cost"] or {"amount": "0", "code": None}
            _finish_item(books, record)
        case "tax":
            record = ids | clean | {"accounting_systemid": books.account_id, "updated": now}
            _refuse_taken_tax(books, record)
        case "credit_note":
            client = books.referenced("client", "clientid", clean["clientid"], "credit_note")
            clean["currency_code"] = (clean["currency_code"] or client["currency_code"]).upper()
            clean["create_date"] = clean["create_date"] or eastern_today(books.clock()).isoformat()
            record = ids | _credit_constants(books, client) | clean | {"updated": now}
            record["credit_number"] = record["credit_number"] or f"CN{identifier}"
            _finish_credit(books, record, clean["lines"], ())
        case _:
            record = ids | clean | {"sourceid": None, "userid": None, "vis_state": 0}
            record |= {"created_at": now, "updated_at": now}
            _finish_income(books, record)
    return record


def update(books: Books, resource: Resource, record: JsonObject, clean: JsonObject) -> None:
    """Merge checked fields.

    Raises:
        AccountingError: As `create`; an update of other income has to repeat `amount` and `date` (1001).
    """
    changed = record | {name: value for name, value in clean.items() if name != "lines"}
    match resource.name:
        case "item":
            changed["unit_cost"] = changed["unit_cost"] or record["unit_cost"]
            _finish_item(books, changed)
        case "tax":
            _refuse_taken_tax(books, changed)
        case "credit_note":
            changed["currency_code"] = (clean.get("currency_code") or record["currency_code"]).upper()
            lines: list[JsonObject] = clean["lines"] if "lines" in clean else record["lines"]
            _finish_credit(books, changed, lines, record["lines"])
        case _:
            for name in ("amount", "date"):
                if name not in clean:
                    raise errors.required("other_income", name)
            _finish_income(books, changed)
    changed["updated_at" if resource.name == "other_income" else "updated"] = eastern(books.clock())
    record.clear()
    record.update(changed)


def overpayment_credit(books: Books, identifier: int, clientid: int, currency: str, day: str) -> JsonObject:
    """The credit that holds the surplus of a payment; the caller writes its amount."""
    return {
        "id": identifier,
        "creditid": identifier,
        **_credit_constants(books, books.tables["client"][clientid]),
        "clientid": clientid,
        "create_date": day,
        "credit_number": f"CN{identifier}",
        "credit_type": "overpayment",
        "currency_code": currency,
        "language": "en",
        "notes": "",
        "terms": None,
        "lines": [],
        "amount": money(Decimal(0), currency),
        "paid": money(Decimal(0), currency),
        "updated": eastern(books.clock()),
    }


def _finish_item(books: Books, item: JsonObject) -> None:
    code = (item["unit_cost"]["code"] or books.switches.base_currency).upper()
    places = unit_cost_digits(code, books.switches.unit_cost_places)
    cost = rounded(Decimal(item["unit_cost"]["amount"]), places)
    item["unit_cost"] = {"amount": plain(cost, least_digits=currency_digits(code)), "code": code}
    for name in ("tax1", "tax2"):
        if item[name] and item[name] not in books.tables["tax"]:
            raise errors.unknown("tax", name, item[name], status=422)
    if item["tax1"] and item["tax1"] == item["tax2"]:
        message = "An item cannot have the same tax twice."
        raise AccountingError(422, errors.ITEM_DUPLICATE_TAX, message, "tax2", "item", str(item["tax2"]))


def _refuse_taken_tax(books: Books, tax: JsonObject) -> None:
    for other in books.tables["tax"].values():
        same = (other["name"], other["amount"]) == (tax["name"], tax["amount"])
        if same and other["taxid"] != tax["taxid"]:
            raise AccountingError(422, errors.DUPLICATE_TAX, "Tax already exists.", "name", "tax", tax["name"])


def _credit_constants(books: Books, client: JsonObject) -> JsonObject:
    return {
        "accounting_systemid": books.account_id,
        "current_organization": client["organization"],
        "description": "",
        "display_status": "created",
        "dispute_status": None,
        "ext_archive": 0,
        "last_order_status": None,
        "payment_status": "unpaid",
        "payment_type": None,
        "sentid": 1,
        "status": "created",
        "template": "clean-grouped",
        "vis_state": 0,
        **invoices.snapshot(client),
    }


def _finish_credit(
    books: Books, credit: JsonObject, lines: Sequence[JsonObject], previous: Sequence[JsonObject]
) -> None:
    if credit["credit_type"] not in CREDIT_TYPES:
        message = "The field 'credit_type' is not valid."
        kind = str(credit["credit_type"])
        raise AccountingError(422, errors.INVALID_VALUE, message, "credit_type", "credit_note", kind)
    number, code = credit["id"], credit["currency_code"]
    credit["lines"] = build_lines(books, "credit_note", number, lines, code, previous)
    credit["amount"] = money(price(books, credit, Decimal(0)).total, code)
    credit["paid"] = money(Decimal(0), code)
    credit["description"] = credit["lines"][0]["description"] if credit["lines"] else ""


def _finish_income(books: Books, income: JsonObject) -> None:
    code = (income["amount"]["code"] or books.switches.base_currency).upper()
    amount = rounded(Decimal(income["amount"]["amount"]), currency_digits(code))
    income["amount"] = money(amount, code)
    category = income["category_name"]
    if category is not None and category not in INCOME_CATEGORIES:
        message = "The field 'category_name' is not valid."
        raise AccountingError(422, errors.INVALID_VALUE, message, "category_name", "other_income", category)
