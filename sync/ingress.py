"""Webhooks in: verify the raw bytes, store durably, answer 202. And the pages that say how the runner is.

The answer is sent after the commit (`sync.group_writer`). What cannot be taken now is told so with 503, and the sender
comes again; what is refused leaves nothing but a count.
"""

from __future__ import annotations

import asyncio
import logging
import queue
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from connectors.webhooks import (
    FRESHBOOKS_SIGNATURE_HEADER,
    SIGNATURE_HEADER,
    TOLERANCE_S,
    WebhookRefused,
    verify_clarity,
)
from sync import inbox
from sync.callbacks import CallbackDesk, HandshakeTakenError
from sync.envelope import Delivery, EnvelopeError, parse_delivery
from sync.errors import SettingsError
from sync.group_writer import GroupWriter
from sync.intake import Prepared, prepare
from sync.metrics import Metrics
from sync.reading import Reading, assumed
from sync.settings import Settings
from sync.status import status
from sync.store import Store
from sync.traffic import Traffic
from sync.watch import Watch
from sync.webhook_secrets import WebhookSecrets

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024
MAX_HELD_BYTES = 64 * 1024 * 1024
LARGE_BODY_BYTES = 64 * 1024
BODY_WITHIN_S = 20.0
MOST_LINES = 500
"""Of each list in the status page, unless all of them are asked for."""

_REFUSED = {
    "no-secret": (503, ""),
    "not-confirmed-yet": (503, "this callback is being confirmed; try again"),
    "too-many-handshakes": (503, "too many handshakes are waiting; try again"),
    "unexpected-handshake": (403, "nobody here has asked for this handshake: run 'mapper-sync webhooks register'"),
}
"""Status and message of a refusal; every other one is 401."""

Read = Callable[[Request, bytes], tuple[Delivery, bool]]
"""Judges a body: the delivery, and whether it repeats one that is stored already."""

_NO_SECRET = {
    "clarity": "there is no secret on this runner: run 'mapper-sync webhooks register clarity'",
    "freshbooks": "no callback is confirmed on this runner: run 'mapper-sync webhooks register freshbooks'",
}


@dataclass(frozen=True)
class Scheme:
    """How the source signs its webhooks (A13), and how long it waits for the answer (A14), in seconds."""

    header: str = SIGNATURE_HEADER
    tolerance_s: float = TOLERANCE_S
    answer_within_s: float = 10.0


def webhook_scheme(settings: Settings) -> Scheme:
    """The scheme of the source's profile."""
    signing, timing = assumed(settings.profile, "A13"), assumed(settings.profile, "A14")
    return Scheme(signing["header"], float(signing["tolerance_s"]), float(timing["answer_within_s"]))


def create_app(
    store: Store,
    *,
    clarity_secrets: Sequence[str] | Callable[[], Sequence[str]],
    now: Callable[[], float],
    callbacks: CallbackDesk | None = None,
    on_new: Callable[[], None] | None = None,
    ready: Callable[[], bool] = lambda: True,
    scheme: Scheme | None = None,
    reading: Reading | None = None,
    watch: Watch | None = None,
    traffic: Traffic | None = None,
) -> Starlette:
    """The web application.

    Args:
        clarity_secrets: Webhook secrets, several while rotating, or what gives them at the moment; without any every
            delivery is refused with 503.
        now: Unix seconds.
        callbacks: Judges FreshBooks' callbacks; None makes one of this store, with the store's own key.
        on_new: Called from the writing thread when new events are stored.
        ready: Whether the rest of the process (the worker) is at work; part of ``/readyz``.
        scheme: Header, tolerance and time limit of the source's webhooks (A13, A14); as shipped when None.
        reading: How the source's bodies are read; as shipped when None.
        watch: Counts and traces deliveries; None makes one of its own.
        traffic: Told of what arrives, for workers of this process that give way to it.
    """
    watching = watch or Watch()
    counted = watching.metrics = watching.metrics or Metrics(store, now=now)
    wanted = scheme or Scheme()
    writer = GroupWriter(store, now=now, on_new=on_new, traffic=traffic)
    held = Held()
    desk = callbacks or CallbackDesk(store, WebhookSecrets(store, key=None, now=now))

    async def clarity(request: Request) -> Response:
        return await _watched(request, "clarity", _verified)

    async def freshbooks(request: Request) -> Response:
        return await _watched(request, "freshbooks", _from_freshbooks)

    def _verified(request: Request, raw: bytes) -> tuple[Delivery, bool]:
        secrets = clarity_secrets() if callable(clarity_secrets) else clarity_secrets
        verify_clarity(request.headers.get(wanted.header), raw, secrets, now(), wanted.tolerance_s)
        return parse_delivery(raw, reading), False

    def _from_freshbooks(request: Request, raw: bytes) -> tuple[Delivery, bool]:
        return desk.read(raw, request.headers.get(FRESHBOOKS_SIGNATURE_HEADER))

    async def _watched(request: Request, system: str, read: Read) -> Response:
        with watching.delivery(system) as told:
            response, result = await _receive(request, system, read)
            told(result)
        return response

    async def _receive(request: Request, system: str, read: Read) -> tuple[Response, str]:
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                raw = await _body(request, held)
        except TimeoutError:
            return answer(system, 408, "body-too-slow", f"the body did not come within {BODY_WITHIN_S:g} s")
        except ClientDisconnect:
            return answer(system, 400, "disconnected", "the body ended early")
        except BodyRefused as refused:
            return answer(system, refused.status, refused.reason, str(refused))
        try:
            source = "webhook" if system == "clarity" else system
            judge = partial(_judged, partial(read, request, raw), reading, source)
            # A callback's judgement reads the store; a large body takes its time. Both away from the others' loop.
            far = system != "clarity" or len(raw) > LARGE_BODY_BYTES
            delivery, repeated = await asyncio.to_thread(judge) if far else judge()
            if repeated:
                return answer(system, 202, "duplicate", None)
            # Later than this the sender has given up; it is told to come again, and coming twice does no harm.
            async with asyncio.timeout(wanted.answer_within_s):
                result = await writer.submit(delivery)
        except HandshakeTakenError:
            return answer(system, 202, "handshake", None)
        except WebhookRefused as refused:
            code, message = _REFUSED.get(refused.reason, (401, f"signature refused: {refused.reason}"))
            if refused.reason == "no-secret":
                message = _NO_SECRET[system]
            return answer(system, code, refused.reason, message)
        except EnvelopeError as error:
            return answer(system, 400, "bad-body", str(error))
        except TimeoutError:
            return answer(system, 503, "not-stored", "the delivery could not be stored in time; try again")
        except queue.Full:
            return answer(system, 503, "queue-full", "too many deliveries are waiting; try again")
        except SQLAlchemyError:
            return answer(system, 503, "not-stored", "the delivery could not be stored; try again")
        except SettingsError:  # the key does not open the secrets: ours to mend, and theirs to send again
            return answer(system, 503, "no-key", "this runner cannot read its webhook secrets; try again later")
        return answer(system, 202, "duplicate" if result == "duplicate" else "accepted", None)

    def answer(system: str, code: int, result: str, problem: str | None) -> tuple[Response, str]:
        if problem is None:
            return JSONResponse({"status": "accepted"}, code), result
        log.warning("delivery refused", extra={"system": system, "status": code, "result": result})
        return JSONResponse({"error": {"code": result, "message": problem}}, code), result

    def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    def readyz(_request: Request) -> Response:
        parts = {"store": _store_answers(store), "writer": writer.alive, "worker": ready()}
        return JSONResponse(parts, 200 if all(parts.values()) else 503)

    def metrics(_request: Request) -> Response:
        return Response(counted.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    def api_status(request: Request) -> Response:
        everything = request.query_params.get("lines") == "all"
        return JSONResponse(status(store, most=None if everything else MOST_LINES))

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(writer.close)

    return Starlette(
        routes=[
            Route("/webhooks/clarity", clarity, methods=["POST"]),
            Route("/webhooks/freshbooks", freshbooks, methods=["POST"]),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
            Route("/api/status", api_status),
        ],
        lifespan=lifespan,
    )


class BodyRefused(Exception):  # noqa: N818  named for what happened to the request
    """A body that is not read to its end."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


@dataclass
class Held:
    """Bytes of bodies that are being received: who cannot sign yet must not fill the memory."""

    count: int = 0


async def _body(request: Request, held: Held) -> bytes:
    """The raw body; what stays unread is thrown away by the server as it comes.

    Raises:
        BodyRefused: It is compressed, too large, or too many are coming in at once.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise BodyRefused(415, "compressed", "send the body as it was signed, without a Content-Encoding")
    declared = request.headers.get("content-length", "")
    too_large = BodyRefused(413, "too-large", f"the body is larger than {MAX_BODY_BYTES} bytes")
    if declared.isdigit() and int(declared[:20]) > MAX_BODY_BYTES:
        raise too_large
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            held.count += len(chunk)
            if size > MAX_BODY_BYTES:
                raise too_large
            if held.count > MAX_HELD_BYTES:
                raise BodyRefused(503, "too-many-bodies", "too many bodies are coming in; try again")
            chunks.append(chunk)
    finally:
        held.count -= size
    return b"".join(chunks)


def _judged(read: Callable[[], tuple[Delivery, bool]], reading: Reading | None, source: str) -> tuple[Prepared, bool]:
    delivery, repeated = read()
    return prepare(delivery, reading, source=source), repeated


def _store_answers(store: Store) -> bool:
    try:
        inbox.counts(store)
    except SQLAlchemyError:
        return False
    return True
