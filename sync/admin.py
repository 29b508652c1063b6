"""The admin API: what the command line does for an operator, as JSON over HTTP, for whoever has the token.

It has a port of its own on loopback, apart from the webhooks', and every path but ``/healthz`` needs the token.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import SecretStr
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from connectors.http import dumps, loads
from sync import audit, control, proposals, skips
from sync.alerts import alerts
from sync.aliases import change_alias, list_aliases
from sync.errors import InputError, SettingsError, SyncError
from sync.status import grouped_errors, status
from sync.store import Store
from sync.story import Payloads, story
from sync.top import look

log = logging.getLogger(__name__)

HOST: Final = "127.0.0.1"
SHORTEST_TOKEN: Final = 16
_MAX_BODY: Final = 64 * 1024

Answer = tuple[int, Any]
Deed = Callable[[Store, Mapping[str, Any], str, float], Any]


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
            return _json(200, await asyncio.to_thread(do, f"token {name}", body))
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

    def reading(read: Callable[[], Any]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            return await answer(request, lambda _who, _body: read())

        return endpoint

    def doing(deed: Deed) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            def do(name: str, body: Mapping[str, Any]) -> Any:
                done = deed(store, body, name, now())
                on_replay()
                return done

            return await answer(request, do)

        return endpoint

    async def tell(request: Request) -> Response:
        record = request.path_params["record"]
        wanted = request.query_params.get("payload", "none")

        def do(name: str, _body: Mapping[str, Any]) -> Any:
            if wanted not in ("none", "masked", "whole"):
                raise InputError("payload: expected none, masked or whole")
            payloads: Payloads = "whole" if wanted == "whole" else "masked" if wanted == "masked" else "none"
            told = story(store, record, payloads=payloads)
            if payloads == "whole":
                audit.add(store, who=name, what="reveal", subject=told["record"], now=now())
            return told

        return await answer(request, do)

    def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/status", reading(lambda: status(store))),
            Route("/top", reading(lambda: look(store, now=now()))),
            Route("/errors", reading(lambda: grouped_errors(status(store)))),
            Route("/alerts", reading(lambda: [alert.as_dict() for alert in alerts(store)])),
            Route("/audit", reading(lambda: [deed.as_dict() for deed in audit.deeds(store)])),
            Route("/aliases", reading(lambda: [alias.as_dict() for alias in list_aliases(store)]), methods=["GET"]),
            Route("/proposals", reading(lambda: [one.as_dict() for one in proposals.listed(store, None)])),
            Route("/proposals/accept", doing(_accept), methods=["POST"]),
            Route("/proposals/refuse", doing(_refuse), methods=["POST"]),
            Route("/story/{record:path}", tell),
            Route("/replay", doing(_replay), methods=["POST"]),
            Route("/skip", doing(_skip), methods=["POST"]),
            Route("/pause", doing(_pause), methods=["POST"]),
            Route("/resume", doing(_resume), methods=["POST"]),
            Route("/alias", doing(_alias), methods=["POST", "DELETE"]),
        ]
    )


def _replay(store: Store, body: Mapping[str, Any], who: str, now: float) -> Any:
    record, reason, everything = _text(body, "record"), _text(body, "reason"), body.get("all") is True
    if sum((record is not None, reason is not None, everything)) != 1:
        raise InputError('name one of "record", "reason" and "all": true')
    found = skips.replay(store, record, reason=reason, who=who, now=now)
    if record is not None and not found:
        raise InputError(f"no record {record!r} in the inbox")
    return {"replayed": found}


def _skip(store: Store, body: Mapping[str, Any], who: str, now: float) -> Any:
    record = _required(body, "record")
    key, lasting = skips.skip(store, record, reason=_required(body, "reason"), who=who, now=now)
    return {"skipped": key, "until": "replay" if lasting else "next change"}


def _pause(store: Store, body: Mapping[str, Any], who: str, now: float) -> Any:
    return {"paused": control.pause(store, who=who, reason=_text(body, "reason") or "", now=now).as_dict()}


def _resume(store: Store, _body: Mapping[str, Any], who: str, now: float) -> Any:
    return {"resumed": control.resume(store, who=who, now=now), "paused": None}


def _alias(store: Store, body: Mapping[str, Any], who: str, now: float) -> Any:
    wanted = {name: _required(body, name) for name in ("kind", "name")}
    removing = body.get("target") is None
    if not removing:
        wanted["target"] = _required(body, "target")
    return change_alias(store, "remove" if removing else "set", wanted, who=who, now=now)[0]


def _accept(store: Store, body: Mapping[str, Any], who: str, now: float) -> Any:
    done = proposals.accept(store, _required(body, "name"), way=_text(body, "way"), who=who, now=now)
    return {"accepted": done.name}


def _refuse(store: Store, body: Mapping[str, Any], who: str, now: float) -> Any:
    return {
        "refused": proposals.refuse(store, _required(body, "name"), why=_required(body, "why"), who=who, now=now).name
    }


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise InputError(f"{name}: expected a text")
    return value


def _required(body: Mapping[str, Any], name: str) -> str:
    value = _text(body, name)
    if not value:
        raise InputError(f"{name} is missing")
    return value


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
