"""Error bodies of both systems, read in every shape that was seen."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.errors import ConnectorError, Problem, RejectedError, TransientError, read_problem

OLD = {
    "errno": 1012,
    "field": "userid",
    "message": "Client 12345 not found.",
    "object": "client",
    "value": "12345",
}
NEW = {
    "code": 5,
    "message": "Request failed with status_code: 404",
    "details": [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "1012",
            "domain": "accounting.api.freshbooks.com",
            "metadata": {"object": "client", "message": "Client not found.", "value": "12345", "field": "userid"},
        }
    ],
}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"response": {"errors": [OLD]}}, Problem(1012, "userid", "Client … not found.")),
        ({"response": {"errors": OLD}}, Problem(1012, "userid", "Client … not found.")),
        (NEW, Problem(1012, "userid", "Client not found.")),
        (
            {
                "code": 3,
                "message": "bad",
                "details": [{"fieldViolations": [{"field": "event", "description": "Unrecognized event."}]}],
            },
            Problem(None, "event", "Unrecognized event."),
        ),
        (
            {"error": "invalid_grant", "error_description": "The refresh token was used."},
            Problem(None, None, "invalid_grant: The refresh token was used.", "invalid_grant"),
        ),
        ({"errno": 422, "message": "Invalid", "details": ["event: x"]}, Problem(422, "event", "Invalid")),
        ({"errors": {"message": "No", "status": 400, "details": []}}, Problem(None, None, "No")),
        ({"error": "Unauthorized", "errno": 2001}, Problem(2001, None, "Unauthorized", "Unauthorized")),
        ({"error_type": "not_found", "message": "No"}, Problem(None, None, "not_found: No", "not_found")),
        (
            {"error": {"code": "bad_filter", "message": "updatedSince", "details": []}},
            Problem(None, None, "bad_filter: updatedSince", "bad_filter"),
        ),
    ],
)
def test_every_error_shape_is_read(body: Any, expected: Problem) -> None:
    assert read_problem(body) == expected


@pytest.mark.parametrize(
    "body", [None, [], "text", {}, {"response": {"result": {}}}, {"response": {"errors": []}}, {"id": 1}]
)
def test_other_bodies_are_no_problem(body: Any) -> None:
    assert read_problem(body) is None


def test_a_record_with_an_error_member_is_no_problem_on_success() -> None:
    assert read_problem({"id": "9", "error": "card declined"}, accounting_only=True) is None


def test_values_and_addresses_leave_the_message() -> None:
    body = {"response": {"errors": [{**OLD, "message": "ana@example.com: Núñez SA and 12345 taken"}]}}
    problem = read_problem(body, ["Núñez SA"])
    assert problem is not None
    assert problem.message == "…: … and … taken"


def test_a_message_is_one_short_line() -> None:
    problem = read_problem({"errno": 1, "message": "a\nb " * 400})
    assert problem is not None
    assert len(problem.message) == 300
    assert "\n" not in problem.message


def test_errors_say_what_and_where() -> None:
    error = RejectedError(422, 1001, "customerid", "required", operation="POST invoices/invoices")
    assert str(error) == "POST invoices/invoices: status 422, errno 1001, field customerid: required"
    assert (error.status, error.errno, error.field, error.message) == (422, 1001, "customerid", "required")
    assert isinstance(error, ConnectorError)
    assert TransientError("later", 3.0).retry_after_s == 3.0
    assert TransientError("later").retry_after_s is None
