"""Webhooks in: verify the raw bytes, store durably, answer 202. And the pages that say how the runner is.

Deliveries are stored by one thread in batches, one transaction a batch; the answer is sent after the commit. A full
queue answers 503, and the sender tries again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import queue
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import asynccontextmanager
from dataclasses import dataclass

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
from sync.inbox import IngestResult, ingest
from sync.reading import Reading, assumed
from sync.settings import Settings
from sync.status import status
from sync.store import Store
from sync.webhook_secrets import WebhookSecrets

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024
_QUEUE_SIZE = 10_000
_BATCH = 200

_REFUSED = {
    "no-secret": (503, ""),
    "not-confirmed-yet": (503, "this callback is being confirmed; try again"),
    "too-many-handshakes": (503, "too many handshakes are waiting; try again"),
    "unexpected-handshake": (403, "nobody here has asked for this handshake: run 'mapper-sync webhooks register'"),
}
"""Status and message of a refusal; every other one is 401."""

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


class GroupWriter:
    """Stores deliveries from many requests in few transactions."""

    def __init__(
        self,
        store: Store,
        *,
        now: Callable[[], float],
        on_new: Callable[[], None] | None = None,
        reading: Reading | None = None,
    ) -> None:
        """Start the writing thread.

        Args:
            on_new: Called after a commit that brought new events.
            reading: How the source's records are read; as shipped when None.
        """
        self._store = store
        self._reading = reading
        self._now = now
        self._on_new = on_new or (lambda: None)
        self._queue: queue.Queue[tuple[Delivery, str, Future[IngestResult]] | None] = queue.Queue(_QUEUE_SIZE)
        self._thread = threading.Thread(target=self._work, name="inbox-writer", daemon=True)
        self._thread.start()

    def submit(self, delivery: Delivery, source: str) -> Future[IngestResult]:
        """Store a delivery; the future ends after the commit.

        Raises:
            queue.Full: Too many are waiting.
        """
        future: Future[IngestResult] = Future()
        self._queue.put_nowait((delivery, source, future))
        return future

    @property
    def alive(self) -> bool:
        """Whether deliveries can be stored."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Store what is waiting and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        running = True
        while running:
            batch = [self._queue.get()]
            while len(batch) < _BATCH and batch[-1] is not None:
                try:
                    batch.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            running = batch[-1] is not None
            self._store_batch([item for item in batch if item is not None])

    def _store_batch(self, batch: Sequence[tuple[Delivery, str, Future[IngestResult]]]) -> None:
        new = 0
        for source in dict.fromkeys(source for _, source, _ in batch):
            items = [(delivery, future) for delivery, item_source, future in batch if item_source == source]
            try:
                result = self._ingest([delivery for delivery, _ in items], source)
            except Exception as error:  # every waiting request must get an answer
                log.error("deliveries could not be stored together", exc_info=error)
                new += sum(self._store_single(delivery, source, future) for delivery, future in items)
                continue
            new += result.new
            share = result if len(items) == 1 else IngestResult()
            for _, future in items:
                _finish(future, share)
        if new:
            self._on_new()

    def _store_single(self, delivery: Delivery, source: str, future: Future[IngestResult]) -> int:
        try:
            result = self._ingest([delivery], source)
        except Exception as error:  # the sender is told 503 and tries again
            _finish(future, error)
            return 0
        _finish(future, result)
        return result.new

    def _ingest(self, deliveries: list[Delivery], source: str) -> IngestResult:
        return ingest(self._store, deliveries, source=source, now=self._now(), reading=self._reading)


def _finish(future: Future[IngestResult], result: IngestResult | Exception) -> None:
    try:
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
    except InvalidStateError:
        pass  # the sender has gone; the delivery is stored all the same


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
    """
    wanted = scheme or Scheme()
    writer = GroupWriter(store, now=now, on_new=on_new, reading=reading)
    seen: Counter[tuple[str, str]] = Counter()

    desk = callbacks or CallbackDesk(store, WebhookSecrets(store, key=None, now=now))

    async def clarity(request: Request) -> Response:
        return await _receive(request, "clarity", _verified)

    async def freshbooks(request: Request) -> Response:
        return await _receive(request, "freshbooks", _from_freshbooks)

    def _verified(request: Request, raw: bytes) -> tuple[Delivery, bool]:
        secrets = clarity_secrets() if callable(clarity_secrets) else clarity_secrets
        verify_clarity(request.headers.get(wanted.header), raw, secrets, now(), wanted.tolerance_s)
        return parse_delivery(raw, reading), False

    def _from_freshbooks(request: Request, raw: bytes) -> tuple[Delivery, bool]:
        return desk.read(raw, request.headers.get(FRESHBOOKS_SIGNATURE_HEADER))

    async def _receive(
        request: Request, system: str, read: Callable[[Request, bytes], tuple[Delivery, bool]]
    ) -> Response:
        try:
            raw = await _body(request)
            if raw is None:
                return answer(system, 413, "too-large", f"the body is larger than {MAX_BODY_BYTES} bytes")
            delivery, repeated = await asyncio.to_thread(read, request, raw)
            if repeated:
                return answer(system, 202, "duplicate", None)
            source = "webhook" if system == "clarity" else system
            # Later than this the sender has given up; it is told to come again, and coming twice does no harm.
            waited = asyncio.wrap_future(writer.submit(delivery, source))
            result = await asyncio.wait_for(waited, wanted.answer_within_s)
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
        except ClientDisconnect:
            return answer(system, 400, "disconnected", "the body ended early")
        return answer(system, 202, "duplicate" if result.duplicate else "accepted", None)

    def answer(system: str, code: int, result: str, problem: str | None) -> Response:
        seen[system, result] += 1
        if problem is None:
            return JSONResponse({"status": "accepted"}, code)
        log.warning("delivery refused", extra={"system": system, "status": code, "result": result})
        return JSONResponse({"error": {"code": result, "message": problem}}, code)

    def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    def readyz(_request: Request) -> Response:
        parts = {"store": _store_answers(store), "writer": writer.alive, "worker": ready()}
        return JSONResponse(parts, 200 if all(parts.values()) else 503)

    def metrics(_request: Request) -> Response:
        return PlainTextResponse(prometheus_text(store, dict(seen), now=now()), media_type="text/plain; version=0.0.4")

    def api_status(_request: Request) -> Response:
        return JSONResponse(status(store))

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


async def _body(request: Request) -> bytes | None:
    """The raw body; None when it is longer than allowed."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
        return None
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _store_answers(store: Store) -> bool:
    try:
        inbox.counts(store)
    except SQLAlchemyError:
        return False
    return True


def prometheus_text(store: Store, seen: dict[tuple[str, str], int], *, now: float) -> str:
    """Metrics in Prometheus' text format 0.0.4."""
    found = status(store)
    budget = found["budget"]
    oldest = inbox.next_due_at(store, now=now, waiting=True)
    lines = ["# HELP mapper_inbox_events Events in the inbox by state.", "# TYPE mapper_inbox_events gauge"]
    lines += [f'mapper_inbox_events{{state="{state}"}} {count}' for state, count in found["inbox"].items()]
    lines += [
        "# HELP mapper_held_records Records that were not posted and wait for a person or another record.",
        "# TYPE mapper_held_records gauge",
        f"mapper_held_records {sum(1 for line in found['held'] if line['kind'] != 'skipped')}",
        "# HELP mapper_inbox_lag_seconds How long the most overdue event has been due.",
        "# TYPE mapper_inbox_lag_seconds gauge",
        f"mapper_inbox_lag_seconds {max(0.0, now - oldest) if oldest is not None else 0.0:.3f}",
        "# HELP mapper_ledger_entries Ledger entries by target entity and state.",
        "# TYPE mapper_ledger_entries gauge",
    ]
    lines += [
        f"mapper_ledger_entries{{entity={json.dumps(entity)},state={json.dumps(state)}}} {count}"
        for entity, states in found["ledger"]["counts"].items()
        for state, count in states.items()
    ]
    lines += ["# HELP mapper_connection_up 1 when a connection works.", "# TYPE mapper_connection_up gauge"]
    lines += [
        f"mapper_connection_up{{connection={json.dumps(name)}}} {int(known['state'] == 'ok')}"
        for name, known in found["connections"].items()
    ]
    lines += [
        "# HELP mapper_rate_refused_total Requests that a system refused for its rate limit (429).",
        "# TYPE mapper_rate_refused_total counter",
        *(f'mapper_rate_refused_total{{connection="{name}"}} {one["refused"]}' for name, one in budget.items()),
        "# HELP mapper_rate_pause_seconds How long nobody sends to a system because it asked for a pause.",
        "# TYPE mapper_rate_pause_seconds gauge",
        *(f'mapper_rate_pause_seconds{{connection="{name}"}} {one["pause_s"]}' for name, one in budget.items()),
        "# HELP mapper_rate_limit_per_minute Limit learned from refusals; absent while there is none.",
        "# TYPE mapper_rate_limit_per_minute gauge",
    ]
    lines += [
        f'mapper_rate_limit_per_minute{{connection="{name}"}} {one["per_minute"]}'
        for name, one in budget.items()
        if one["per_minute"] is not None
    ]
    lines += [
        "# HELP mapper_webhooks_total Deliveries since the start of this process by result.",
        "# TYPE mapper_webhooks_total counter",
    ]
    lines += [
        f'mapper_webhooks_total{{system="{system}",result="{result}"}} {count}'
        for (system, result), count in sorted(seen.items())
    ]
    return "\n".join(lines) + "\n"
