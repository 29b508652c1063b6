"""FreshBooks' webhooks ("callbacks"): register, list, confirm, ask for the handshake again, delete.

A callback delivers nothing before its verifier, which FreshBooks posts to the registered address, is put back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from connectors.errors import ConnectorError
from connectors.http import Api, judge, unusable

Row = dict[str, Any]

_PAGE_SIZE = 100
_MOST_PAGES = 50


class Callbacks:
    """The callbacks of one account."""

    def __init__(self, api: Api, path: str) -> None:
        """Use an open API client.

        Args:
            path: Of the list, with the account.
        """
        self._api = api
        self._path = path

    def rows(self) -> Iterator[Row]:
        """Every callback: callbackid, event, uri, verified.

        Raises:
            ConnectorError: As every request.
        """
        operation = "GET events/callbacks"
        seen: set[str] = set()
        for page in range(1, _MOST_PAGES + 1):
            query = [("page", str(page)), ("per_page", str(_PAGE_SIZE))]
            result = _result(self._api.request("GET", self._path, query=query, operation=operation))
            rows = result.get("callbacks")
            if not isinstance(rows, list) or not all(isinstance(row, dict) and "callbackid" in row for row in rows):
                raise unusable("GET", operation, "list callbacks of objects with callbackid")
            fresh = [row for row in rows if str(row["callbackid"]) not in seen]
            yield from fresh
            seen.update(str(row["callbackid"]) for row in fresh)
            pages = result.get("pages")
            if not fresh or (page >= pages if isinstance(pages, int) else len(rows) < _PAGE_SIZE):
                return

    def get(self, callback_id: str) -> Row:
        """One callback.

        Raises:
            RejectedError: Unknown (404).
        """
        return self._one("GET", callback_id, None)

    def register(self, event: str, uri: str) -> Row:
        """Register an address for an event, such as "invoice" (all its verbs) or "payment.create".

        Raises:
            RejectedError: An unknown event or an address FreshBooks does not take (422).
        """
        return self._one("POST", None, {"event": event, "uri": uri})

    def confirm(self, callback_id: str, verifier: str) -> Row:
        """Bring the verifier back; a second time does no harm.

        Raises:
            RejectedError: It is not the verifier of this callback, or there is no such callback.
        """
        return self._one("PUT", callback_id, {"callback_id": callback_id, "verifier": verifier})

    def resend(self, callback_id: str) -> Row:
        """Have the handshake sent once more."""
        return self._one("PUT", callback_id, {"callback_id": callback_id, "resend": True})

    def delete(self, callback_id: str) -> None:
        """End a callback; one that is gone already is fine. The answer has no body, or an empty envelope."""
        operation = "DELETE events/callbacks"
        answer = self._api.answer("DELETE", self._at(callback_id), operation=operation)
        if answer.status == 404 or 200 <= answer.status < 300:
            return
        judge(answer, method="PUT", operation=operation, sent=(), now=0.0)  # repeating it is harmless, as with PUT
        raise ConnectorError(f"{operation}: status {answer.status}")

    def _one(self, method: str, callback_id: str | None, body: Row | None) -> Row:
        operation = f"{method} events/callbacks"
        path = self._path if callback_id is None else self._at(callback_id)
        wrapped = None if body is None else {"callback": body}
        found = _result(self._api.request(method, path, body=wrapped, operation=operation)).get("callback")
        if not isinstance(found, dict) or found.get("callbackid") is None:
            raise unusable(method, operation, "callback with callbackid")
        return found

    def _at(self, callback_id: str) -> str:
        if not str(callback_id).strip():
            raise ValueError("an empty id would address the whole list")
        return f"{self._path}/{quote(str(callback_id).strip(), safe='')}"


def _result(body: Any) -> Row:
    response = body.get("response") if isinstance(body, dict) else None
    result = response.get("result") if isinstance(response, dict) else None
    return result if isinstance(result, dict) else {}
