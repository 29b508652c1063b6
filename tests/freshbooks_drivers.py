"""One language for one script: the official Python SDK and our own connector behind the same few calls."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from freshbooks import Client as SdkClient
from freshbooks import FilterBuilder, FreshBooksError, IncludesBuilder, PaginateBuilder

from connectors import FreshBooks, RejectedError, StaticToken
from connectors.sandbox.server import Sandbox

Row = dict[str, Any]

_SDK_NAMES = {
    "client": "clients",
    "invoice": "invoices",
    "payment": "payments",
    "item": "items",
    "tax": "taxes",
    "credit_note": "credit_notes",
    "other_income": "other_income",
}


class Driver(Protocol):
    """What the script says; rows are decoded JSON."""

    def create(self, entity: str, body: Row) -> Row: ...

    def read(self, entity: str, identifier: int, include: tuple[str, ...] = ()) -> Row: ...

    def update(self, entity: str, identifier: int, body: Row) -> Row: ...

    def delete(self, entity: str, identifier: int) -> None: ...

    def search(self, entity: str, filters: Mapping[str, str], include: tuple[str, ...] = ()) -> list[Row]:
        """Every row of every page."""
        ...

    def refusal(self, call: Callable[[], object]) -> tuple[int, int | None]:
        """HTTP status and errno that the call is refused with."""
        ...


class SdkDriver:
    """The official SDK, unchanged."""

    def __init__(self, sandbox: Sandbox, base_url: str) -> None:
        self._client = SdkClient("any", access_token=sandbox.access_token, auto_retry=False)
        self._client.base_url = base_url
        self._account = sandbox.account_id

    def _resource(self, entity: str) -> Any:
        return getattr(self._client, _SDK_NAMES[entity])

    def _with_lines(self, entity: str) -> IncludesBuilder | None:
        return IncludesBuilder().include("lines") if entity in ("invoice", "credit_note") else None

    def create(self, entity: str, body: Row) -> Row:
        made = self._resource(entity).create(self._account, body, includes=self._with_lines(entity))
        return dict(made.data)

    def read(self, entity: str, identifier: int, include: tuple[str, ...] = ()) -> Row:
        includes = IncludesBuilder()
        for name in include:
            includes.include(name)
        return dict(self._resource(entity).get(self._account, identifier, includes=includes if include else None).data)

    def update(self, entity: str, identifier: int, body: Row) -> Row:
        changed = self._resource(entity).update(self._account, identifier, body, includes=self._with_lines(entity))
        return dict(changed.data)

    def delete(self, entity: str, identifier: int) -> None:
        self._resource(entity).delete(self._account, identifier)

    def search(self, entity: str, filters: Mapping[str, str], include: tuple[str, ...] = ()) -> list[Row]:
        rows: list[Row] = []
        page = 1
        while True:
            builders: list[Any] = [
                PaginateBuilder(page, 100),
                *(FilterBuilder().equals(name, value) for name, value in filters.items()),
                *(IncludesBuilder().include(name) for name in include),
            ]
            listed = self._resource(entity).list(self._account, builders=builders)
            rows += [dict(result.data) for result in listed]
            if page >= listed.pages.pages:
                return rows
            page += 1

    def refusal(self, call: Callable[[], object]) -> tuple[int, int | None]:
        try:
            call()
        except FreshBooksError as error:
            return error.status_code, error.error_code
        raise AssertionError("nothing was refused")


class ConnectorDriver:
    """Our own connector."""

    def __init__(self, sandbox: Sandbox, base_url: str) -> None:
        token = StaticToken(sandbox.access_token)
        self.connector = FreshBooks(base_url=base_url, account_id=sandbox.account_id, tokens=token)
        self.create = self.connector.create
        self.update = self.connector.update
        self.delete = self.connector.delete

    def read(self, entity: str, identifier: int, include: tuple[str, ...] = ()) -> Row:
        return self.connector.get(entity, identifier, include=include)

    def search(self, entity: str, filters: Mapping[str, str], include: tuple[str, ...] = ()) -> list[Row]:
        named = {name: value for name, value in filters.items() if name != "vis_state"}
        vis_state = int(filters["vis_state"]) if "vis_state" in filters else None
        return list(self.connector.find(entity, named, include=include, vis_state=vis_state))

    def refusal(self, call: Callable[[], object]) -> tuple[int, int | None]:
        try:
            call()
        except RejectedError as error:
            return error.status, error.errno
        raise AssertionError("nothing was refused")


@contextmanager
def driving(kind: str, sandbox: Sandbox) -> Iterator[Driver]:
    """A driver by name: "sdk" or "connector"."""
    if kind == "sdk":
        yield SdkDriver(sandbox, sandbox.freshbooks_url)
        return
    driver = ConnectorDriver(sandbox, sandbox.freshbooks_url)
    with driver.connector:
        yield driver
