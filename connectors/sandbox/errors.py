"""Refusals of both stand-ins, and the bodies that say them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

from connectors.sandbox.wire import JsonObject

# FreshBooks error numbers, documented list
CONFLICT = 409
UNEXPECTED = 500
REQUIRED_FIELD = 1001
ACCESS_DENIED = 1003
INVALID_VALUE = 1004
PARSE_ERROR = 1005
MAPPING_ERROR = 1006
DELETED_RESOURCE = 1011
UNKNOWN_RESOURCE = 1012
INVALID_PER_PAGE = 1013
INVALID_PAGE = 1014
NOT_A_NUMBER = 1015
MAX_LENGTH_EXCEEDED = 1017
INVALID_PERCENT = 1018
ITEM_DUPLICATE_TAX = 1019
FILTER_DATE = 1023
FILTER_NUMBER = 1024
NEGATIVE_VALUE = 1025
DUPLICATE_TAX = 1026
LESS_THAN_ONE = 1028
DUPLICATE_VALUE = 1029
INVALID_RANGE = 1030
NOT_A_BOOLEAN = 1031
FILTER_BOOLEAN = 1032
NOT_A_DATE = 1033
UNICODE_OUT_OF_RANGE = 1036
WRITE_ACCESS_DENIED = 1038

_GRPC_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 409: 10, 422: 3, 429: 8}


@dataclass(eq=False)
class AccountingError(Exception):
    """A FreshBooks accounting error: one errno for one field of one object."""

    status: int
    errno: int
    message: str
    field: str = ""
    object: str = ""
    value: str = ""

    def old_body(self) -> JsonObject:
        """The shape every caller gets who sends no X-API-VERSION."""
        error = {
            "errno": self.errno,
            "field": self.field,
            "message": self.message,
            "object": self.object,
            "value": self.value,
        }
        return {"response": {"errors": [error]}}

    def new_body(self) -> JsonObject:
        """The google.rpc shape, answered when X-API-VERSION was sent."""
        return {
            "code": _GRPC_CODES.get(self.status, 13),
            "message": f"Request failed with status_code: {self.status}",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": str(self.errno),
                    "domain": "accounting.api.freshbooks.com",
                    "metadata": {
                        "object": self.object,
                        "message": self.message,
                        "value": self.value,
                        "field": self.field,
                    },
                }
            ],
        }


UNAUTHENTICATED: JsonObject = {
    "error": "unauthenticated",
    "error_description": "This action requires authentication to continue.",
}
UNAUTHORIZED = AccountingError(
    401,
    ACCESS_DENIED,
    "The server could not verify that you are authorized to access the URL requested.",
)


@dataclass(eq=False)
class OAuthError(Exception):
    """An OAuth error of FreshBooks, `{"error", "error_description"}`."""

    status: int
    error: str
    description: str

    def body(self) -> JsonObject:
        """The JSON body."""
        return {"error": self.error, "error_description": self.description}


@dataclass(eq=False)
class ConsentError(Exception):
    """A refusal that the browser brings back to the application (RFC 6749, 4.1.2.1)."""

    redirect_uri: str
    state: str | None
    error: str
    description: str


@dataclass(eq=False)
class EventsError(Exception):
    """An error of FreshBooks' events: a message, and one detail a field."""

    status: int
    message: str
    details: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def semantic(cls, details: list[tuple[str, str]]) -> Self:
        """422 for fields that hold what they must not."""
        message = "The request was well-formed but was unable to be followed due to semantic errors."
        return cls(422, message, details)

    def old_body(self) -> JsonObject:
        """The shape the Python SDK reads."""
        body: JsonObject = {"errno": self.status, "message": self.message}
        return body | {"details": [f"{name}: {text}" for name, text in self.details]} if self.details else body

    def new_body(self) -> JsonObject:
        """The google.rpc shape, answered when X-API-VERSION was sent."""
        violations = [{"field": name, "description": text} for name, text in self.details]
        detail = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations}
        code = _GRPC_CODES.get(self.status, 13)
        return {"code": code, "message": self.message, "details": [detail] if violations else []}


INVALID_TOKEN = EventsError(401, "invalid_token: The request token failed to authenticate or validate.")


@dataclass(eq=False)
class ClarityError(Exception):
    """An error of Clarity in the assumed shape A11."""

    status: int
    code: str
    message: str
    details: list[Any] = field(default_factory=list)

    def body(self) -> JsonObject:
        """The JSON body."""
        return {"error": {"code": self.code, "message": self.message, "details": self.details}}


def unknown(object_name: str, field_name: str, value: object, *, status: int = 404) -> AccountingError:
    """The error for an id that names nothing."""
    title = object_name.replace("_", " ").capitalize()
    return AccountingError(status, UNKNOWN_RESOURCE, f"{title} not found.", field_name, object_name, str(value))


def required(object_name: str, field_name: str) -> AccountingError:
    """The error for a required field that was not sent."""
    return AccountingError(422, REQUIRED_FIELD, f"'{field_name}' is a required field.", field_name, object_name)
