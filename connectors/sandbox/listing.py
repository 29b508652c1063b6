"""Lists of the FreshBooks stand-in: filters, sorting and paging.

A filter that a resource does not know is ignored silently, as FreshBooks ignores it: the whole list comes back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from connectors.sandbox import errors, invoices
from connectors.sandbox.books import Books
from connectors.sandbox.errors import AccountingError
from connectors.sandbox.resources import Resource
from connectors.sandbox.wire import JsonObject

Pairs = Sequence[tuple[str, str]]
"""Decoded query parameters in the order sent."""

Getter = Callable[[Books, JsonObject], Any]
Test = Callable[[Books, JsonObject], bool]

DEFAULT_PER_PAGE = 15
MAX_PER_PAGE = 100
_SEARCH = re.compile(r"^search\[(?P<name>[^\]]+)\](?P<many>\[\])?$")


def select(books: Books, resource: Resource, query: Pairs) -> list[JsonObject]:
    """Records that pass every known filter, sorted; deleted ones only when vis_state asks for them.

    Raises:
        AccountingError: A filter's value has the wrong type (1023, 1024, 1032).
    """
    tests: list[Test] = []
    visible: frozenset[int] = frozenset({0, 2})
    many: dict[str, list[str]] = {}
    for key, value in query:
        match = _SEARCH.match(key)
        if match is None:
            continue
        name = match["name"]
        if name == "vis_state" and resource.has_vis_state:
            visible = frozenset({int(_number(name, value))})
        elif match["many"]:
            many.setdefault(name, []).append(value)
        else:
            tests += _single(books, resource, name, value)
    for name, values in many.items():
        if name in _MANY.get(resource.name, {}):
            wanted = frozenset(int(_number(name, value)) for value in values)
            tests.append(_one_of(_MANY[resource.name][name], wanted))
    found = [
        record
        for record in books.tables[resource.name].values()
        if record.get("vis_state", 0) in visible and all(test(books, record) for test in tests)
    ]
    return _sorted(books, resource, found, dict(query).get("sort", ""))


def page_of(records: Sequence[JsonObject], query: Pairs) -> tuple[list[JsonObject], JsonObject]:
    """One page and its numbers.

    Page 0 counts as 1; behind the last page the list is empty; `pages` is 0 when there is nothing; more than 100 a
    page are cut to 100 silently.

    Raises:
        AccountingError: errno 1013 for per_page, 1014 for page.
    """
    sent = dict(query)
    per_page = _whole(sent.get("per_page", str(DEFAULT_PER_PAGE)))
    if per_page is None or per_page < 1:
        message = "per_page must be a positive integer."
        raise AccountingError(422, errors.INVALID_PER_PAGE, message, "per_page", "", sent["per_page"])
    page = _whole(sent.get("page", "1"))
    if page is None or page < 0:
        message = "page must be a positive integer."
        raise AccountingError(422, errors.INVALID_PAGE, message, "page", "", sent["page"])
    page, per_page = max(page, 1), min(per_page, MAX_PER_PAGE)
    total = len(records)
    numbers = {"page": page, "pages": -(-total // per_page), "per_page": per_page, "total": total}
    return list(records[(page - 1) * per_page : page * per_page]), numbers


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
_SORTS: dict[str, dict[str, Getter]] = {
    "client": {
        "organization_name": _key("organization"),
        "fullname": _joined("fname", "lname"),
        "email": _key("email"),
        "updated": _key("updated"),
    },
    "invoice": {"invoice_date": _key("create_date")},
}


def _single(books: Books, resource: Resource, name: str, value: str) -> list[Test]:
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
        return [_one_of(getter, frozenset({int(_number(name, value))}))]
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


def _sorted(books: Books, resource: Resource, records: list[JsonObject], sort: str) -> list[JsonObject]:
    name, _, direction = sort.rpartition("_")
    getter = _SORTS.get(resource.name, {}).get(name)
    if getter is None or direction not in ("asc", "desc"):
        return records
    return sorted(records, key=lambda record: str(getter(books, record)).casefold(), reverse=direction == "desc")


def _whole(text: str) -> int | None:
    return int(text) if re.fullmatch(r"-?[0-9]{1,9}", text) else None


def _number(name: str, value: str) -> Decimal:
    try:
        number = Decimal(value)
    except InvalidOperation:
        number = Decimal("NaN")
    if number.is_finite():
        return number
    message = f"The filter '{name}' must be a number."
    raise AccountingError(422, errors.FILTER_NUMBER, message, name, "", value)


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
