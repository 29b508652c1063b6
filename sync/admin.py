"""The admin API: what the command line does for an operator, as JSON over HTTP, for whoever has the token.

It has a port of its own on loopback, apart from the webhooks', and every path but ``/healthz`` needs the token.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote

from pydantic import SecretStr
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from connectors.http import dumps, loads
from sync.errors import InputError, SettingsError, SyncError
from sync.operating import DEEDS, READS, Deed, Read, tell
from sync.store import Store

log = logging.getLogger(__name__)

HOST: Final = "127.0.0.1"
SHORTEST_TOKEN: Final = 16
PERSON: Final = "X-Mapper-Person"
"""Header in which whoever has a token, such as the app, says for whom it acts; percent-encoded."""

_MAX_BODY: Final = 64 * 1024
_LONGEST_NAME: Final = 200


def admin_tokens(setting: SecretStr | None) -> dict[str, str]:
    """The tokens by the name that stands in the audit.

    Args:
        setting: MAPPER_ADMIN_TOKEN: ``TOKEN``, or ``NAME:TOKEN`` for several people, separated by commas.

    Raises:
        SettingsError: There is none, one is too short, or two have one name.
    """
    parts = [part.strip() for part in (setting.get_secret_value() if setting else "").split(",") if part.strip()]
    if not parts:
        raise SettingsError("MAPPER_ADMIN_TOKEN is not set: --admin-port needs a token of 16 characters or more")
    found: dict[str, str] = {}
    for position, part in enumerate(parts, start=1):
        name, colon, token = part.partition(":")
        name, token = (name.strip(), token.strip()) if colon else ("admin", part)
        if len(token) < SHORTEST_TOKEN or not name:
            raise SettingsError(
                f"MAPPER_ADMIN_TOKEN: token {position} is shorter than {SHORTEST_TOKEN} characters, or has no name"
            )
        if name in found:
            raise SettingsError(f"MAPPER_ADMIN_TOKEN: two tokens are called {name!r}; write NAME:TOKEN for each")
        found[name] = token
    return found


def create_admin_app(
    store: Store,
    tokens: Mapping[str, str],
    *,
    now: Callable[[], float],
    on_replay: Callable[[], None] = lambda: None,
) -> Starlette:
    """The web application.

    Args:
        tokens: By the name of who holds them.
        now: Unix seconds.
        on_replay: Called when something may have become due.
    """

    def who(request: Request) -> str | None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        found = None
        for name, token in tokens.items():  # all of them, so that the time tells nothing
            same = hmac.compare_digest(given.strip().encode(), token.encode())
            found = name if same and scheme.lower() == "bearer" else found
        return found

    async def answer(request: Request, do: Callable[[str, Mapping[str, Any]], Any]) -> Response:
        name = who(request)
        if name is None:
            log.warning("admin request without the token")  # its path may hold anything
            return _json(401, _problem("unauthorized", "a bearer token is needed: MAPPER_ADMIN_TOKEN of the runner"))
        try:
            body = await _body(request)
            return _json(200, await asyncio.to_thread(do, _audited(request, name), body))
        except InputError as error:
            code = 404 if error.message.startswith("no record") else 422
            return _json(code, _problem("refused", error.message))
        except SyncError as error:
            return _json(500, _problem("failed", error.message))
        except SQLAlchemyError as error:
            log.error("the store failed", exc_info=error)
            return _json(503, _problem("store", "the store does not answer; try again"))
        except ClientDisconnect:
            return _json(400, _problem("disconnected", "the body ended early"))

    def reading(read: Read) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            return await answer(request, lambda _who, _body: read(store, request.query_params, now()))

        return endpoint

    def doing(deed: Deed) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            def do(name: str, body: Mapping[str, Any]) -> Any:
                done = deed(store, body, name, now())
                on_replay()
                return done

            return await answer(request, do)

        return endpoint

    async def story(request: Request) -> Response:
        record, payload = request.path_params["record"], request.query_params.get("payload", "none")
        return await answer(request, lambda name, _body: tell(store, record, payload=payload, who=name, now=now()))

    def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/story/{record:path}", story),
            *(Route(f"/{name}", reading(read), methods=["GET"]) for name, read in READS.items()),
            *(
                Route(f"/{name}", doing(deed), methods=["POST", "DELETE"] if name == "alias" else ["POST"])
                for name, deed in DEEDS.items()
            ),
        ]
    )


def _audited(request: Request, token: str) -> str:
    """Who did it: the token, and before it the person that its holder says to act for.

    Raises:
        InputError: The name is too long or no plain text.
    """
    person = unquote(request.headers.get(PERSON, "")).strip()
    if len(person) > _LONGEST_NAME or not person.isprintable():
        raise InputError(f"{PERSON}: expected a name of up to {_LONGEST_NAME} characters, percent-encoded")
    return f"{person} (said by token {token})" if person and person != token else f"token {token}"


async def _body(request: Request) -> Mapping[str, Any]:
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > _MAX_BODY:
            raise InputError(f"the body is larger than {_MAX_BODY} bytes")
    try:
        found = loads(raw) if raw.strip() else {}
    except ValueError:
        raise InputError("the body is not JSON") from None
    if not isinstance(found, dict):
        raise InputError("the body is not a JSON object")
    return found


def _problem(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def _json(status_code: int, value: Any) -> Response:
    return Response(dumps(value), status_code, media_type="application/json")
