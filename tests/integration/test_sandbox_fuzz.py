"""The FreshBooks stand-in under generated requests: whatever arrives, never a 500, and always JSON."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.config import SchemathesisConfig
from starlette.applications import Starlette
from starlette.routing import Route

from connectors.sandbox import description
from connectors.sandbox.freshbooks_app import FreshBooksApp
from connectors.sandbox.resources import BY_NAME, RESOURCES
from connectors.sandbox.server import made_up_credentials
from connectors.sandbox.state import SandboxState

CREDENTIALS = made_up_credentials()
USD = {"amount": "10.00", "code": "USD"}


def fresh_app() -> Starlette:
    """One record of everything; no callback leaves the process."""
    state = SandboxState(CREDENTIALS)
    state.callbacks.outbox.close()
    client = state.freshbooks.create(BY_NAME["client"], {"email": "a@b.example"})["id"]
    lines = [{"name": "Mug", "qty": 1, "unit_cost": USD}]
    invoice = {"customerid": client, "create_date": "2026-01-31", "lines": lines}
    bodies: dict[str, dict[str, Any]] = {
        "invoice": invoice,
        "payment": {"invoiceid": BY_NAME["invoice"].first_id, "amount": USD, "date": "2026-02-01"},
        "item": {"name": "Mug"},
        "tax": {"name": "GST", "amount": "5"},
        "credit_note": {"clientid": client},
        "other_income": {"amount": USD, "date": "2026-02-01"},
    }
    for name, body in bodies.items():
        state.freshbooks.create(BY_NAME[name], body)
    state.callbacks.create({"event": "invoice", "uri": "http://127.0.0.1:9/hook"})
    return FreshBooksApp(state).build([])


# its systematic phase makes thousands of calls; it was run by hand and costs more here than it finds
CONFIG = SchemathesisConfig.from_dict({"phases": {"coverage": {"enabled": False}}})
schema = schemathesis.openapi.from_asgi(description.PATH, fresh_app(), config=CONFIG)


def known_id(path: str) -> int:
    for resource in RESOURCES:
        if f"/{resource.path}/" in path:
            return resource.first_id
    return 2001 if "callbacks" in path else 4711


@schema.parametrize()
@settings(
    max_examples=10,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_nothing_that_arrives_breaks_it(case: schemathesis.Case) -> None:
    parameters = case.path_parameters or {}
    if "account" in parameters:
        case.path_parameters["account"] = CREDENTIALS.account_id
    if isinstance(parameters.get("identifier"), int) and parameters["identifier"] % 2 == 0:
        case.path_parameters["identifier"] = known_id(case.path)
    if isinstance(case.body, dict) and "client_secret" in case.body:
        case.body |= {"client_id": CREDENTIALS.client_id, "client_secret": CREDENTIALS.client_secret}
    case.operation.app = fresh_app()
    answer = case.call(headers={"Authorization": f"Bearer {CREDENTIALS.access_token}"})
    assert answer.status_code < 500, answer.text
    if answer.status_code == 204:
        assert answer.content == b""
        return
    kind = answer.headers.get("content-type", [""])[0]
    if case.path.endswith("/authorize"):
        assert answer.status_code in (302, 405) or kind.startswith("text/html")
    else:
        assert kind == "application/json"
        json.loads(answer.content)


def routes_of(app: Starlette) -> Iterator[tuple[str, str]]:
    pages = {"/", "/invoice/{number}", description.PATH}
    for route in app.routes:
        assert isinstance(route, Route)
        if route.path in pages or route.path.endswith("{rest:path}"):
            continue
        for method in route.methods or ():
            yield route.path, method.lower()


def test_the_description_lists_every_route_and_no_other() -> None:
    described = {
        (path, method)
        for path, item in description.openapi()["paths"].items()
        for method in item
        if method != "parameters"
    }
    served = set(routes_of(fresh_app()))
    assert described <= served
    # what a path is answered with 405 for is a route, but nothing to describe
    assert {path for path, _ in served} == {path for path, _ in described}
    undescribed = {
        method for path, method in served - described if "/accounting/" not in path and "/events/" not in path
    }
    assert undescribed <= {"head"}


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.name)
def test_the_description_names_every_field_that_can_be_written(resource: Any) -> None:
    known = description.openapi()["components"]["schemas"][resource.name]["properties"]
    assert set(known) == {field.name for field in resource.fields}
