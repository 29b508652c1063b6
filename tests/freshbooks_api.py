"""A bare client of the FreshBooks stand-in for tests that look at its wire form."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from connectors.sandbox.server import Sandbox, running_sandbox

Body = dict[str, Any]


class Watch:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Api:
    """Calls the accounting API of one sandbox and unwraps answers."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.http = httpx2.Client(
            base_url=f"{sandbox.freshbooks_url}/accounting/account/{sandbox.account_id}/",
            headers={"Authorization": f"Bearer {sandbox.access_token}"},
        )

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> httpx2.Response:
        return self.http.request(method, path, json=body, **more)

    def one(self, method: str, path: str, body: Any = None) -> Body:
        response = self.call(method, path, body)
        assert response.status_code == 200, response.text
        (record,) = response.json()["response"]["result"].values()
        assert isinstance(record, dict)
        return record

    def listed(self, path: str) -> Body:
        response = self.call("GET", path)
        assert response.status_code == 200, response.text
        result: Body = response.json()["response"]["result"]
        return result

    def error(self, method: str, path: str, body: Any = None) -> tuple[int, int, str]:
        response = self.call(method, path, body)
        (error,) = response.json()["response"]["errors"]
        assert set(error) == {"errno", "field", "message", "object", "value"}
        return response.status_code, error["errno"], error["field"]

    def client(self, **fields: Any) -> int:
        return int(self.one("POST", "users/clients", {"client": {"email": "a@b.example", **fields}})["id"])

    def invoice(self, **fields: Any) -> Body:
        if "customerid" not in fields:
            fields["customerid"] = self.client()
        body = {"create_date": "2026-01-31", "lines": [line("10.00")], **fields}
        return self.one("POST", "invoices/invoices?include[]=lines", {"invoice": body})

    def pay(self, invoice: Body, amount: str, **fields: Any) -> Body:
        body = {"invoiceid": invoice["id"], "amount": {"amount": amount}, "date": "2026-02-01", **fields}
        return self.one("POST", "payments/payments", {"payment": body})


def line(cost: str, qty: Any = 1, **fields: Any) -> Body:
    return {"name": "Mug", "qty": qty, "unit_cost": {"amount": cost, "code": "USD"}, **fields}


def serving(**switches: Any) -> Iterator[Api]:
    with running_sandbox(**switches) as sandbox:
        api = Api(sandbox)
        with api.http:
            yield api
