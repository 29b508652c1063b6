"""The FreshBooks stand-in over HTTP: sign-in, accounting, callbacks, its own description, and pages for people."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from connectors.sandbox import description, page
from connectors.sandbox.accounting_app import AccountingApp
from connectors.sandbox.answers import json_response
from connectors.sandbox.events_app import EventsApp
from connectors.sandbox.oauth_app import OAuthApp
from connectors.sandbox.state import SandboxState


class FreshBooksApp:
    """Endpoints of one FreshBooks account."""

    def __init__(self, state: SandboxState) -> None:
        """Serve a state.

        Args:
            state: Shared with the control API and the other server.
        """
        self._state = state

    def build(self, extra_routes: list[BaseRoute]) -> Starlette:
        """The ASGI application; `extra_routes` come first."""
        routes: list[BaseRoute] = [
            *extra_routes,
            Route("/", self._index),
            Route("/invoice/{number}", self._invoice),
            Route(description.PATH, _describe),
            *OAuthApp(self._state).routes(),
            *EventsApp(self._state).routes(),
            *AccountingApp(self._state).routes(),
        ]
        handlers: Any = {404: _not_found, 405: _not_found}
        return Starlette(routes=routes, exception_handlers=handlers)

    async def _index(self, _request: Request) -> Response:
        with self._state.lock:
            return page.html(page.index_page(self._state.freshbooks))

    async def _invoice(self, request: Request) -> Response:
        with self._state.lock:
            number = request.path_params["number"]
            invoices = self._state.freshbooks.tables["invoice"]
            invoice = invoices.get(int(number)) if number.isascii() and number.isdigit() and len(number) < 19 else None
            if invoice is None:
                return page.html(page.missing_page(), 404)
            return page.html(page.invoice_page(self._state.freshbooks, invoice))


async def _describe(_request: Request) -> Response:
    return json_response(description.openapi())


async def _not_found(_request: Request, error: Any) -> Response:
    return json_response({"error": "not_found", "error_description": "No such address."}, error.status_code)
