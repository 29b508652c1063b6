"""FreshBooks' callbacks: which events are told to which address, and the handshake that proves the address.

After `register` FreshBooks posts a form with `verifier` to the address; `verify` brings it back, and nothing is
delivered before. The verifier is also the signing secret of that one callback: keep it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connectors.freshbooks_pages import has_id, read_pages, result_of
from connectors.http import Api, unusable

_OPERATION = "events/callbacks"


@dataclass(frozen=True)
class Callback:
    """One registration as FreshBooks has it.

    Attributes:
        event: "invoice.create", or "invoice" for all of its verbs.
        verified: Whether the handshake is done; without it nothing is delivered.
        updated_at: Aware UTC; None when the server did not say.
    """

    id: int
    event: str
    uri: str
    verified: bool
    updated_at: datetime | None = None


class FreshBooksCallbacks:
    """Callbacks of one account."""

    def __init__(self, api: Api, account_path: str) -> None:
        """Use a connection.

        Args:
            api: Signed in.
            account_path: The account id, percent-encoded.
        """
        self._api = api
        self._path = f"/events/account/{account_path}/events/callbacks"

    def register(self, event: str, uri: str) -> Callback:
        """Ask for an event at an address; the handshake comes to the address at once.

        Raises:
            RejectedError: 422, an unknown event or an unusable address; `field` says which.
        """
        return self._single("POST", self._path, {"event": event, "uri": uri})

    def list_all(self) -> list[Callback]:
        """Every callback of the account, whoever registered it."""
        rows = read_pages(
            self._api,
            self._path,
            list_key="callbacks",
            id_key="callbackid",
            query=(),
            operation=f"GET {_OPERATION}",
        )
        return [_callback(row) for row in rows]

    def get(self, callback_id: int) -> Callback:
        """One callback.

        Raises:
            RejectedError: 404, there is none.
        """
        return self._single("GET", self._one(callback_id), None)

    def verify(self, callback_id: int, verifier: str) -> Callback:
        """Bring back the code of the handshake.

        Raises:
            RejectedError: It is not the code that was sent.
        """
        return self._single("PUT", self._one(callback_id), {"callback_id": callback_id, "verifier": verifier})

    def resend(self, callback_id: int) -> Callback:
        """Have the handshake sent again."""
        return self._single("PUT", self._one(callback_id), {"callback_id": callback_id, "resend": True})

    def delete(self, callback_id: int) -> None:
        """Forget it at FreshBooks; nothing more is delivered.

        Raises:
            RejectedError: 404, there is none.
        """
        self._api.request("DELETE", self._one(callback_id), operation=f"DELETE {_OPERATION}")

    def _one(self, callback_id: int) -> str:
        return f"{self._path}/{int(callback_id)}"

    def _single(self, method: str, path: str, body: Mapping[str, Any] | None) -> Callback:
        operation = f"{method} {_OPERATION}"
        wrapped = None if body is None else {"callback": body}
        found = result_of(self._api.request(method, path, body=wrapped, operation=operation)).get("callback")
        if not isinstance(found, dict) or not has_id(found, "callbackid"):
            raise unusable(method, operation, "callback with callbackid")
        return _callback(found)


def _callback(row: Mapping[str, Any]) -> Callback:
    return Callback(
        id=int(row["callbackid"]),
        event=str(row.get("event") or ""),
        uri=str(row.get("uri") or ""),
        verified=row.get("verified") is True,
        updated_at=_instant(row.get("updated_at")),
    )


def _instant(text: Any) -> datetime | None:
    """ISO 8601 as events write it; without a zone it is UTC."""
    try:
        read = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
