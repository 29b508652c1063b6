"""Filters of the FreshBooks stand-in's lists: which names a resource knows, and what a value is compared with."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from connectors.sandbox import errors, invoices
from connectors.sandbox.books import Books
from connectors.sandbox.errors import AccountingError
from connectors.sandbox.resources import Resource
from connectors.sandbox.wire import JsonObject

Getter = Callable[[Books, JsonObject], Any]
Test = Callable[[Books, JsonObject], bool]


def _key(name: str) -> Getter:
    return lambda _, record: record[name]


def _joined(*names: str) -> Getter:
    return lambda _, record: " ".join(str(record[name] or "") for name in names)


def _amount(name: str) -> Getter:
    return lambda _, record: Decimal(record[name]["amount"])


def _optional_decimal(name: str) -> Getter:
    return lambda _, record: Decimal(record[name]) if record[name] is not None else None


def _invoice_of(field: str) -> Getter:
    return lambda books, payment: books.tables["invoice"][payment["invoiceid"]][field]


def _client_name(books: Books, payment: JsonObject) -> str:
    client = books.tables["client"][payment["clientid"]]
    return f"{client['organization']} {client['fname']} {client['lname']}"


def _has(status: Callable[[Books, JsonObject], bool]) -> Getter:
    return lambda books, client: any(
        status(books, invoice)
        for invoice in books.tables["invoice"].values()
        if invoice["customerid"] == client["id"] and invoice["vis_state"] != 1
    )


def _has_credit(books: Books, client: JsonObject) -> bool:
    return any(
        credit["clientid"] == client["id"] and credit["vis_state"] != 1
        for credit in books.tables["credit_note"].values()
    )


_EQUALS: dict[str, dict[str, Getter]] = {
    "client": {"username": _key("username")},
    "invoice": {"v3_status": invoices.v3_status},
    "payment": {"type": _key("type"), "currency": lambda _, payment: payment["amount"]["code"]},
    "item": {"sku": _key("sku")},
}
_NUMBERS: dict[str, dict[str, Getter]] = {
    "client": {"userid": _key("id")},
    "invoice": {"customerid": _key("customerid"), "invoiceid": _key("id")},
    "payment": {
        "logid": _key("id"),
        "invoiceid": _key("invoiceid"),
        "clientid": _key("clientid"),
        "customerid": _key("clientid"),
    },
    "item": {"itemid": _key("id")},
    "tax": {"taxid": _key("id")},
    "credit_note": {"clientid": _key("clientid")},
}
_MANY: dict[str, dict[str, Getter]] = {
    **{name: {f"{key}s": getter for key, getter in known.items()} for name, known in _NUMBERS.items()},
    "client": {"userids": _key("id"), "clientids": _key("id")},
}
_LIKE: dict[str, dict[str, Getter]] = {
    "client": {
        "email_like": _key("email"),
        "fname_like": _key("fname"),
        "lname_like": _key("lname"),
        "organization_like": _key("organization"),
        "address_like": _joined(*(f"p_{part}" for part in ("street", "street2", "city", "province", "code"))),
        "note_like": _key("note"),
        "phone_like": _joined("bus_phone", "mob_phone", "home_phone"),
        "user_like": _joined("username", "fname", "lname", "organization", "email"),
    },
    "payment": {"notes": _key("note"), "client_name": _client_name, "number": _invoice_of("invoice_number")},
    "item": {"description": _key("description")},
    "tax": {"name": _key("name"), "number": _key("number")},
}
_BOOLEANS: dict[str, dict[str, Getter]] = {
    "client": {
        "has_credit": _has_credit,
        "has_draft": _has(lambda _, invoice: invoice["display_status"] == "draft"),
        "has_outstanding": _has(lambda _, invoice: Decimal(invoice["outstanding"]["amount"]) > 0),
        "has_overdue": _has(lambda books, invoice: invoices.v3_status(books, invoice) == "overdue"),
    },
    "invoice": {
        "paid": lambda _, invoice: invoice["payment_status"] == "paid",
        "outstanding": lambda _, invoice: Decimal(invoice["outstanding"]["amount"]) > 0,
    },
    "payment": {"from_credit": _key("from_credit")},
    "tax": {"compound": _key("compound")},
}
_DATES: dict[str, dict[str, Getter]] = {
    "client": {"updated": _key("updated")},
    "invoice": {"date": _key("create_date"), "updated": _key("updated")},
    "payment": {"date": _key("date"), "updated": _key("updated")},
    "item": {"updated": _key("updated")},
    "tax": {"updated": _key("updated")},
    "credit_note": {"date": _key("create_date")},
}
_RANGES: dict[str, dict[str, Getter]] = {
    "payment": {"amount": _amount("amount")},
    "item": {
        "unit_cost": _amount("unit_cost"),
        "inventory": _optional_decimal("inventory"),
        "qty": _optional_decimal("qty"),
    },
}


def names(resource: Resource) -> list[str]:
    """Every filter a resource knows, as it stands after `search`: `[email]`, `[userids][]`."""
    kind = resource.name
    special = {"client": ["email"], "invoice": ["invoice_number"], "payment": ["payment_or_credit"]}
    single = [*special.get(kind, [])]
    for table in (_EQUALS, _NUMBERS, _LIKE, _BOOLEANS):
        single += table.get(kind, {})
    for table in (_DATES, _RANGES):
        single += [f"{name}_{end}" for name in table.get(kind, {}) for end in ("min", "max")]
    many = [f"[{name}][]" for name in _MANY.get(kind, {})]
    return [f"[{name}]" for name in single] + many + (["[vis_state]"] if resource.has_vis_state else [])


def among(resource: Resource, name: str, values: Sequence[str]) -> list[Test]:
    """Tests of `search[name][]`, empty when the resource does not know the name.

    Raises:
        AccountingError: A value is not a whole number (1024).
    """
    getter = _MANY.get(resource.name, {}).get(name)
    if getter is None:
        return []
    return [_one_of(getter, frozenset(whole_number(name, value) for value in values))]


def single(books: Books, resource: Resource, name: str, value: str) -> list[Test]:
    """Tests of `search[name]`, empty when the resource does not know the name.

    Raises:
        AccountingError: The value has the wrong type (1023, 1024, 1032).
    """
    kind = resource.name
    if (kind, name) == ("client", "email"):
        return [_email_test(value, folded=books.switches.email_search == "casefold")]
    if (kind, name) == ("invoice", "invoice_number"):
        return _number_test(value, books.switches.invoice_number_search)
    if (kind, name) == ("payment", "payment_or_credit"):
        wanted = value == "credit"
        return [lambda _, payment: payment["from_credit"] is wanted]
    if getter := _EQUALS.get(kind, {}).get(name):
        return [_one_of(getter, frozenset({value}))]
    if getter := _NUMBERS.get(kind, {}).get(name):
        return [_one_of(getter, frozenset({whole_number(name, value)}))]
    if getter := _LIKE.get(kind, {}).get(name):
        return [_like(getter, value)]
    if getter := _BOOLEANS.get(kind, {}).get(name):
        return [_one_of(getter, frozenset({_truth(name, value)}))]
    if name.endswith(("_min", "_max")):
        field, _, end = name.rpartition("_")
        if getter := _DATES.get(kind, {}).get(field):
            return [_between(getter, _day(name, value), least=end == "min", days=True)]
        if getter := _RANGES.get(kind, {}).get(field):
            return [_between(getter, _number(name, value), least=end == "min", days=False)]
    return []


def _one_of(getter: Getter, wanted: frozenset[Any]) -> Test:
    return lambda books, record: getter(books, record) in wanted


def _like(getter: Getter, part: str) -> Test:
    return lambda books, record: part.casefold() in str(getter(books, record) or "").casefold()


def _between(getter: Getter, bound: Any, *, least: bool, days: bool) -> Test:
    def test(books: Books, record: JsonObject) -> bool:
        value = getter(books, record)
        if value is None:
            return False
        if days:
            value = value[:10]
        # documented: the lower bound counts in, the upper one does not
        return bool(value >= bound if least else value < bound)

    return test


def _email_test(value: str, *, folded: bool) -> Test:
    if folded:
        return lambda _, client: client["email"].casefold() == value.casefold()
    return lambda _, client: bool(client["email"] == value)


def _number_test(value: str, kind: str) -> list[Test]:
    if kind == "ignored":
        return []
    if kind == "like":
        return [_like(_key("invoice_number"), value)]
    return [lambda _, invoice: bool(invoice["invoice_number"] == value)]


def whole_number(name: str, value: str) -> int:
    """Read a whole number.

    Raises:
        AccountingError: errno 1024.
    """
    number = _number(name, value)
    if number != number.to_integral_value():
        raise _not_a_number(name, value)
    return int(number)


def _number(name: str, value: str) -> Decimal:
    if re.fullmatch(r"\s*[-+]?[0-9]{1,18}(\.[0-9]{0,18})?\s*", value, re.ASCII):
        return Decimal(value.strip())
    raise _not_a_number(name, value)


def _not_a_number(name: str, value: str) -> AccountingError:
    message = f"The filter '{name}' must be a number."
    return AccountingError(422, errors.FILTER_NUMBER, message, name, "", value)


def _day(name: str, value: str) -> str:
    try:
        return date.fromisoformat(value[:10]).isoformat()
    except ValueError:
        message = f"The filter '{name}' must be a date (YYYY-MM-DD)."
        raise AccountingError(422, errors.FILTER_DATE, message, name, "", value) from None


def _truth(name: str, value: str) -> bool:
    known = {"1": True, "true": True, "0": False, "false": False}.get(value.lower())
    if known is None:
        message = f"The filter '{name}' must be a boolean."
        raise AccountingError(422, errors.FILTER_BOOLEAN, message, name, "", value)
    return known
