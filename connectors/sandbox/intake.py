"""Turns the fields of a request body into stored values, or refuses them the way FreshBooks does.

Unknown keys are dropped silently. Numbers are accepted where text is stored and the other way round, because
the wire carries quantities and percents as strings.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from connectors.sandbox import errors
from connectors.sandbox.errors import AccountingError
from connectors.sandbox.money import plain, rounded
from connectors.sandbox.resources import Field
from connectors.sandbox.switches import Switches
from connectors.sandbox.wire import JsonObject

_PERCENT_PLACES = 3
_BEYOND_BMP = 0xFFFF
_MOST_DIGITS = 15  # before the point; keeps every sum within the precision of `money`
_MOST_PLACES = 30  # zeros behind the point, so that no exponent is written out as a megabyte of them


def read_fields(
    object_name: str, table: Iterable[Field], sent: JsonObject, switches: Switches, *, creating: bool
) -> JsonObject:
    """Check and convert what was sent.

    Args:
        object_name: For messages and length limits, "client".
        table: The writable fields.
        sent: The object of the request body.
        switches: Length limits and the emoji rule.
        creating: Required fields must be there, defaults are filled in, and create-only fields count.

    Returns:
        Stored values by field name; with `creating`, one for every field of the table.

    Raises:
        AccountingError: A required field is missing (1001), or a value has the wrong type or length.
    """
    clean: JsonObject = {}
    for known in table:
        if known.when == "create" and not creating:
            continue
        if known.name not in sent:
            if creating:
                if known.required:
                    raise errors.required(object_name, known.name)
                clean[known.name] = list(known.default) if known.kind == "list" else known.default
            continue
        value = sent[known.name]
        if known.required and value in (None, ""):
            raise errors.required(object_name, known.name)
        clean[known.name] = _convert(object_name, known, value, switches)
    return clean


def decimal_of(object_name: str, field_name: str, value: Any) -> Decimal:
    """Read a number or numeric text.

    Raises:
        AccountingError: errno 1015.
    """
    if isinstance(value, int | Decimal | str) and not isinstance(value, bool):
        try:
            number = Decimal(value.strip() if isinstance(value, str) else value)
        except InvalidOperation:
            pass
        else:
            if number == 0:
                return Decimal(0)
            if number.is_finite() and -_MOST_PLACES < number.adjusted() < _MOST_DIGITS:
                return number
    raise _not_a_number(object_name, field_name, value)


def _convert(object_name: str, known: Field, value: Any, switches: Switches) -> Any:
    name = known.name
    if value is None:
        return list(known.default) if known.kind == "list" else known.default
    match known.kind:
        case "text":
            return _text(object_name, name, value, switches)
        case "int":
            return _integer(object_name, known, value)
        case "number":
            return plain(decimal_of(object_name, name, value)) if value != "" else known.default
        case "percent":
            return _percent(object_name, known, value)
        case "money":
            return _money(object_name, name, value)
        case "date":
            return _date(object_name, name, value)
        case "bool":
            return _boolean(object_name, name, value)
        case "list":
            listed = _container(object_name, name, value, list)
            return [_container(object_name, name, item, dict) for item in listed] if name != "lines" else listed
        case "object":
            return _container(object_name, name, value, dict)


def _text(object_name: str, name: str, value: Any, switches: Switches) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise AccountingError(422, errors.MAPPING_ERROR, f"The field '{name}' must be a string.", name, object_name)
    text = str(value)
    limit = switches.max_lengths.get(f"{object_name}.{name}")
    if name == "invoice_number" and switches.invoice_number_max is not None:
        limit = switches.invoice_number_max
    if limit is not None and len(text) > limit:
        message = f"The field '{name}' must be at most {limit} characters long."
        raise AccountingError(422, errors.MAX_LENGTH_EXCEEDED, message, name, object_name, text)
    if switches.emoji == "refuse" and any(ord(character) > _BEYOND_BMP for character in text):
        message = f"The field '{name}' holds characters out of range."
        raise AccountingError(422, errors.UNICODE_OUT_OF_RANGE, message, name, object_name)
    return text


def _integer(object_name: str, known: Field, value: Any) -> int | None:
    if value == "":
        return int(known.default) if known.default is not None else None
    number = decimal_of(object_name, known.name, value)
    if number != number.to_integral_value():
        raise _not_a_number(object_name, known.name, value)
    return int(number)


def _percent(object_name: str, known: Field, value: Any) -> str:
    if value == "":
        return str(known.default)
    number = decimal_of(object_name, known.name, value)
    if number < 0:
        message = f"The field '{known.name}' must be a valid percentage."
        raise AccountingError(422, errors.INVALID_PERCENT, message, known.name, object_name, str(value))
    # at most three decimals are kept; whoever sends more sees a different total
    return plain(rounded(number, _PERCENT_PLACES))


def _money(object_name: str, name: str, value: Any) -> JsonObject:
    if not isinstance(value, dict) or "amount" not in value:
        message = f"The field '{name}' must be an object with 'amount' and 'code'."
        raise AccountingError(422, errors.MAPPING_ERROR, message, name, object_name)
    amount = decimal_of(object_name, name, value["amount"])
    code = value.get("code")
    return {"amount": format(amount, "f"), "code": str(code) if code else None}


def _date(object_name: str, name: str, value: Any) -> str | None:
    if value == "":
        return None
    try:
        # fromisoformat alone would also take 20260131 and 2026-W05-1
        if isinstance(value, str) and len(value) == 10 and value[4] == value[7] == "-":
            return date.fromisoformat(value).isoformat()
    except ValueError:
        pass
    message = f"The field '{name}' must be a date (YYYY-MM-DD)."
    raise AccountingError(422, errors.NOT_A_DATE, message, name, object_name, str(value))


def _boolean(object_name: str, name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("0", "1", "true", "false"):
        return str(value).lower() in ("1", "true")
    raise AccountingError(
        422, errors.NOT_A_BOOLEAN, f"The field '{name}' must be a boolean.", name, object_name, str(value)
    )


def _container(object_name: str, name: str, value: Any, kind: type) -> Any:
    if isinstance(value, kind):
        return value
    message = f"The field '{name}' must be {'a list' if kind is list else 'an object'}."
    raise AccountingError(422, errors.MAPPING_ERROR, message, name, object_name)


def _not_a_number(object_name: str, name: str, value: Any) -> AccountingError:
    message = f"The field '{name}' must be a number."
    return AccountingError(422, errors.NOT_A_NUMBER, message, name, object_name, str(value))
