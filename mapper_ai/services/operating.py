"""What the Runs page asks and does: of a runner's admin API where its address is set, else of the store itself.

Both answer alike, because both are `sync.operating`. The API works on whatever machine the runner is; the store only
where it can be opened.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol
from urllib.parse import quote, urlencode, urlsplit

from pydantic import SecretStr

from connectors.errors import ConnectorError
from connectors.http import Transport, bearer, dumps, root_url
from mapper_ai.errors import InputError, MapperError
from sync.admin import PERSON, admin_tokens
from sync.errors import StoreError
from sync.operating import DEEDS, READS, tell
from sync.settings import Settings, load_settings
from sync.store import Store, open_store

_TIMEOUT_S: Final = 10.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
Payload = Literal["none", "masked", "whole"]


class NoStore(MapperError):  # noqa: N818  the word of the screens
    """The runner has not worked on this store yet; there is nothing to show."""


class Operator(Protocol):
    """One runner, or all on one store.

    Attributes:
        place: For people: where the answers come from.
    """

    @property
    def place(self) -> str: ...

    def read(self, name: str, /, **asked: str) -> Any:
        """An answer of `sync.operating.READS`.

        Raises:
            NoStore: Nothing has run yet.
            MapperError, SyncError: It cannot be read.
        """

    def do(self, name: str, /, **body: Any) -> Any:
        """A deed of `sync.operating.DEEDS`.

        Raises:
            MapperError, SyncError: It cannot be done, and why.
        """

    def story(self, record: str, payload: Payload = "none") -> dict[str, Any]:
        """Everything about one record.

        Raises:
            MapperError, SyncError: No such record, several, or it cannot be read.
        """


def open_operator(user: str, environ: Mapping[str, str] | None = None) -> Operator:
    """The runner's admin API where MAPPER_ADMIN_URL names one, else the store of the settings.

    Args:
        user: Who works at the screen; whose token is taken where several have one, and whose name deeds bear.

    Raises:
        InputError: MAPPER_ADMIN_URL is no address on this machine.
        SettingsError: The settings do not fit, or there is no token.
    """
    env = os.environ if environ is None else environ
    settings = load_settings(env)
    url = env.get("MAPPER_ADMIN_URL", "").strip()
    return _over_api(url, settings, user) if url else StoreOperator(settings.store_url, user)


def _over_api(url: str, settings: Settings, user: str) -> Operator:
    try:
        root = root_url(url)
    except ValueError:
        root = ""
    if urlsplit(root).hostname not in _LOOPBACK:
        raise InputError(
            "MAPPER_ADMIN_URL: expected an address on this machine, such as http://127.0.0.1:8765; reach another"
            " machine's through a tunnel"
        )
    tokens = admin_tokens(settings.admin_token)
    return ApiOperator(root, SecretStr(tokens.get(user) or next(iter(tokens.values()))), user)


@dataclass(frozen=True)
class StoreOperator:
    """The store, opened for each question."""

    url: str
    user: str

    @property
    def place(self) -> str:
        """The store itself."""
        return "the runner's store"

    def read(self, name: str, /, **asked: str) -> Any:
        """As `Operator.read`."""
        with closing(self._open(read_only=True)) as store:
            return READS[name](store, asked, time.time())

    def do(self, name: str, /, **body: Any) -> Any:
        """As `Operator.do`."""
        with closing(self._open()) as store:
            return DEEDS[name](store, body, self.user, time.time())

    def story(self, record: str, payload: Payload = "none") -> dict[str, Any]:
        """As `Operator.story`; the whole payload is written into the audit."""
        with closing(self._open(read_only=payload != "whole")) as store:
            return tell(store, record, payload=payload, who=self.user, now=time.time())

    def _open(self, *, read_only: bool = False) -> Store:
        try:
            found = open_store(self.url, read_only=True)
        except StoreError as error:
            raise NoStore("The runner has not worked on this store yet.") from error
        if read_only:
            return found
        found.close()  # nobody writes a store into being from a page
        return open_store(self.url)


@dataclass(frozen=True)
class ApiOperator:
    """A runner's admin API.

    Attributes:
        user: Said with every request; the audit keeps it beside the name of the token, which alone is proved.
    """

    url: str
    token: SecretStr
    user: str

    @property
    def place(self) -> str:
        """The address."""
        return f"the runner at {self.url}"

    def read(self, name: str, /, **asked: str) -> Any:
        """As `Operator.read`."""
        return self._ask("GET", f"/{name}", asked)

    def do(self, name: str, /, **body: Any) -> Any:
        """As `Operator.do`."""
        return self._ask("POST", f"/{name}", {}, body)

    def story(self, record: str, payload: Payload = "none") -> dict[str, Any]:
        """As `Operator.story`."""
        found: dict[str, Any] = self._ask("GET", f"/story/{quote(record, safe='')}", {"payload": payload})
        return found

    def _ask(self, method: str, path: str, asked: Mapping[str, str], body: Mapping[str, Any] | None = None) -> Any:
        url = f"{self.url}{path}{'?' + urlencode(asked) if asked else ''}"
        content = None if body is None else dumps({k: v for k, v in body.items() if v is not None}).encode()
        headers = {
            **bearer(self.token.get_secret_value()),
            "Content-Type": "application/json",
            PERSON: quote(self.user),
        }
        try:
            with Transport(self.url, timeout_s=_TIMEOUT_S) as wire:
                answer = wire.exchange(method, url, headers=headers, content=content, operation="ask the runner")
        except ConnectorError as error:
            raise MapperError(f"{self.place} does not answer: {error}") from None
        found = answer.json_or_none()
        if answer.status == 200:
            return found
        if answer.status == 401:
            raise MapperError(f"{self.place} does not know the token: set its MAPPER_ADMIN_TOKEN for the app as well")
        told = found.get("error") if isinstance(found, Mapping) else None
        message = told.get("message") if isinstance(told, Mapping) else None
        raise MapperError(str(message or f"{self.place} answers with status {answer.status}"))
