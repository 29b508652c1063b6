"""What can go wrong at the other system, as four classes with four different next steps.

Transient: nothing changed, retry. Rejected: this record is refused, set it aside. Ambiguous: a write was sent
and its fate is unknown, look before anything is sent again. Auth: no record can succeed, stop the connection.
Messages name the operation, the status and the field; tokens, secrets and customer values stay out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

MASK = "…"
_EMAIL = re.compile(r"[^\s@'\"<>(),;:]+@[^\s@'\"<>(),;:]+")
_MESSAGE_LIMIT = 300
_FIELD_LIMIT = 100


class ConnectorError(Exception):
    """Base of every failure at another system.

    Attributes:
        message: One line for an operator; holds no token and no customer value.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class TransientError(ConnectorError):
    """Nothing changed for sure: refused connection, 429, conflict, or a read that failed.

    Attributes:
        retry_after_s: Seconds the server asked to wait, at least 0; None when it did not say.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RateLimitedError(TransientError):
    """The other system wants fewer requests; no record is at fault, so none is given up for it."""


class RejectedError(ConnectorError):
    """The other system refused this record; sending it again unchanged cannot help.

    Attributes:
        status: HTTP status; 200 when an error body came with a success status.
        errno: FreshBooks error number (1001 RequiredField, 1012 UnknownResource, ...) or None.
        field: Name of the refused field as the other system spells it, or None.
    """

    def __init__(self, status: int, errno: int | None, field: str | None, message: str, *, operation: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.errno = errno
        self.field = field
        self.operation = operation

    def __str__(self) -> str:
        parts = [f"status {self.status}"]
        if self.errno is not None:
            parts.append(f"errno {self.errno}")
        if self.field:
            parts.append(f"field {self.field}")
        where = f"{self.operation}: " if self.operation else ""
        return f"{where}{', '.join(parts)}: {self.message}"


class AmbiguousWriteError(ConnectorError):
    """A write left this machine and no clear answer came back; it may or may not have happened."""


class AuthError(ConnectorError):
    """No record can succeed until somebody reconnects or corrects the credentials."""


class ReconnectError(AuthError):
    """The stored sign-in is worth nothing any more: only a person's new consent helps.

    Attributes:
        system: FreshBooks or Clarity.
    """

    def __init__(self, system: str, message: str) -> None:
        super().__init__(message)
        self.system = system


@dataclass(frozen=True)
class Problem:
    """What an error body says, whichever of its shapes it came in.

    Attributes:
        code: Error name of an OAuth or Clarity body ("invalid_grant"), or None.
    """

    errno: int | None = None
    field: str | None = None
    message: str = ""
    code: str | None = None


def read_problem(body: Any, secrets: Sequence[str] = (), *, accounting_only: bool = False) -> Problem | None:
    """Read an error body of either system; None when the body is not one.

    Knows FreshBooks' old and new accounting shapes, its OAuth, events, ledger, projects and online-payments
    shapes (facts: FreshBooks error table), Clarity's `{"error": {...}}` (assumption A11) and ServiceStack's
    `{"ResponseStatus": {...}}` and failed actions, which Clarity's framework answers.

    Args:
        body: Decoded JSON of an answer, success or not.
        secrets: Values that were sent and must not be repeated, for instance an e-mail address.
        accounting_only: For a success status, where an ordinary record may own a member called "error".

    Returns:
        The first problem; values quoted in its message are masked.
    """
    if not isinstance(body, Mapping):
        return None
    readers = (_old_accounting, _new_style, _named_error, _error_list, _plain, _service_stack, _failed_action)
    for reader in readers[:1] if accounting_only else readers:
        found = reader(body)
        if found is not None:
            problem, values = found
            return Problem(
                problem.errno,
                _short(problem.field, _FIELD_LIMIT, secrets) if problem.field else None,
                _short(problem.message, _MESSAGE_LIMIT, [*values, *secrets]),
                problem.code,
            )
    return None


_Found = tuple[Problem, list[str]] | None


def _old_accounting(body: Mapping[str, Any]) -> _Found:
    """`{"response": {"errors": [{errno, field, message, object, value}]}}`; the list may be one object."""
    response = body.get("response")
    errors = response.get("errors") if isinstance(response, Mapping) else None
    items = [errors] if isinstance(errors, Mapping) else errors
    if not isinstance(items, list) or not items:
        return None
    rows = [item for item in items if isinstance(item, Mapping)]
    if not rows:
        return Problem(message="error without details"), []
    messages = "; ".join(_text(row.get("message")) for row in rows[:3])
    first = rows[0]
    problem = Problem(_number(first.get("errno")), _text(first.get("field")) or None, messages)
    return problem, [_text(row.get("value")) for row in rows]


def _new_style(body: Mapping[str, Any]) -> _Found:
    """`{"code": 5, "message", "details": [{"reason": "1012", "metadata": {...}}]}` and BadRequest details."""
    details = body.get("details")
    if "code" not in body or not isinstance(details, list):
        return None
    for detail in details:
        if not isinstance(detail, Mapping):
            continue
        metadata = detail.get("metadata")
        if isinstance(metadata, Mapping):
            message = _text(metadata.get("message")) or _text(body.get("message"))
            problem = Problem(_number(detail.get("reason")), _text(metadata.get("field")) or None, message)
            return problem, [_text(metadata.get("value"))]
        violations = detail.get("fieldViolations")
        if isinstance(violations, list) and violations and isinstance(violations[0], Mapping):
            first = violations[0]
            message = _text(first.get("description")) or _text(body.get("message"))
            return Problem(None, _text(first.get("field")) or None, message), []
    return Problem(None, None, _text(body.get("message"))), []


def _named_error(body: Mapping[str, Any]) -> _Found:
    """OAuth `{"error", "error_description"}`, projects `{"error", "errno"}`, Clarity `{"error": {...}}`."""
    error = body.get("error")
    if isinstance(error, Mapping) and ("code" in error or "message" in error):
        code = _text(error.get("code")) or None
        message = _text(error.get("message"))
        return Problem(None, None, ": ".join(part for part in (code, message) if part), code), []
    if isinstance(error, str) and error:
        description = _text(body.get("error_description"))
        message = f"{error}: {description}" if description else error
        return Problem(_number(body.get("errno")), None, message, error), []
    return None


def _error_list(body: Mapping[str, Any]) -> _Found:
    """Ledger `{"errors": {"message", "status", "details"}}`."""
    errors = body.get("errors")
    if isinstance(errors, Mapping) and "message" in errors:
        return Problem(None, None, _text(errors.get("message"))), []
    return None


def _plain(body: Mapping[str, Any]) -> _Found:
    """Events `{"errno", "message", "details": ["event: ..."]}` and online payments `{"error_type", ...}`."""
    if "errno" in body and "message" in body:
        details = body.get("details")
        first = details[0] if isinstance(details, list) and details else None
        field = first.split(":", 1)[0].strip() if isinstance(first, str) and ":" in first else None
        return Problem(_number(body.get("errno")), field, _text(body.get("message"))), []
    if "error_type" in body:
        code = _text(body.get("error_type"))
        return Problem(None, None, ": ".join(filter(None, (code, _text(body.get("message"))))), code), []
    return None


def _service_stack(body: Mapping[str, Any]) -> _Found:
    """`{"ResponseStatus": {"ErrorCode", "Message", "Errors": [{"FieldName", "Message"}]}}`."""
    status = body.get("ResponseStatus")
    if not isinstance(status, Mapping) or not ("ErrorCode" in status or "Message" in status):
        return None
    code = _text(status.get("ErrorCode")) or None
    errors = status.get("Errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], Mapping) else {}
    message = ": ".join(part for part in (code, _text(status.get("Message"))) if part)
    return Problem(None, _text(first.get("FieldName")) or None, message, code), []


def _failed_action(body: Mapping[str, Any]) -> _Found:
    """`{"ActionSucceeded": false, "Messages": [...]}`, which comes with status 200."""
    if body.get("ActionSucceeded") is not False:
        return None
    messages = body.get("Messages")
    texts = [_text(message) for message in messages[:3]] if isinstance(messages, list) else []
    return Problem(message="; ".join(filter(None, texts)) or "the action failed without a reason"), []


def _text(value: Any) -> str:
    return "" if value is None or isinstance(value, (Mapping, list)) else str(value)


def _number(value: Any) -> int | None:
    text = _text(value)
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


def _short(text: str, limit: int, values: Sequence[str]) -> str:
    """One line without the given values and without e-mail addresses, cut to the limit."""
    spelled = {way for value in values if value.strip() for way in (value, quote(value), json.dumps(value)[1:-1])}
    for value in sorted(spelled, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", MASK, text, flags=re.IGNORECASE)
    text = " ".join(_EMAIL.sub(MASK, text).split())
    return text if len(text) <= limit else text[: limit - 1] + MASK
