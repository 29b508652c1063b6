"""The one module that speaks HTTP: deadlines, exact decimals, Retry-After, and what an outcome means.

Every outcome of a request becomes a decoded body or one of the classes in `errors`. The line that matters
runs between "nothing left this machine" and "sent, no clear answer": only the first may be repeated blindly.
"""

from __future__ import annotations

import json
import logging
import re
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import quote, urlsplit

import httpx2

from connectors.errors import (
    AmbiguousWriteError,
    AuthError,
    ConnectorError,
    Problem,
    RateLimitedError,
    RejectedError,
    TransientError,
    read_problem,
)
from connectors.watching import shown

if TYPE_CHECKING:
    from connectors.tokens import TokenSource

# At INFO these log whole URLs, and a search URL holds a customer's e-mail address.
for _name in ("httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.WARNING)

CONNECT_TIMEOUT_S = 5.0
KEEPALIVE_S = 4.0
"""Shorter than the 5 s after which common servers drop an idle connection: no write may meet that moment."""

QUICK_PAUSES_S = (0.2, 0.8)
"""What surely changed nothing (a failed read, 429, no connection) is repeated twice before the record has to wait."""

LONGEST_QUICK_PAUSE_S = 5.0

_RENEWALS = 2
"""With several processes at work, the first renewed token may have died before it was used."""

_MAX_DIGITS = 40
"""No amount has more digits; a hostile exponent would otherwise be written out as a megabyte of zeros."""

_check: ContextVar[Callable[[], None] | None] = ContextVar("check", default=None)


@contextmanager
def checked_writes(check: Callable[[], None]) -> Iterator[None]:
    """Call something when a write of this block is about to leave: its connection is there, its first byte is not sent.

    What it raises keeps the write from leaving and comes out of the request as it is. Every repeat of a request is
    checked too; GETs are not.
    """
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


def _before_sending(check: Callable[[], None]) -> Callable[[str, object], None]:
    """A trace of the HTTP library that calls the check."""

    def trace(moment: str, _: object) -> None:
        if moment.endswith(".send_request_headers.started"):
            check()

    return trace


_NOTHING_LEFT = (
    httpx2.ConnectError,  # refused, DNS, TLS
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
)


def loads(text: str | bytes) -> Any:
    """Parse JSON with exact decimals.

    Raises:
        ValueError: Not JSON, NaN or Infinity, or nested beyond reason.
    """
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ArithmeticError, RecursionError) as error:
        raise ValueError("not usable as JSON") from error


def dumps(value: Any) -> str:
    """Write JSON with Decimals as strings in plain notation ("10.50"), the form FreshBooks asks for money.

    Raises:
        TypeError: A float, or another type JSON does not know.
        ValueError: A Decimal that is not finite or has more than 40 digits on a side of the point.
    """
    return json.dumps(_plain(value), separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        if not value.is_finite() or abs(value.adjusted()) > _MAX_DIGITS:
            raise ValueError("a number that is not finite, or too long for any amount")
        return format(value, "f")
    if isinstance(value, float):
        raise TypeError("a float in a request body; use Decimal")
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("a key in a request body is not a string")
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def root_url(base_url: str, api_path: str = "") -> str:
    """Check a base URL and cut trailing slashes and, when given, a trailing API path.

    Raises:
        ValueError: Not an absolute http or https URL, or with a query or fragment.
    """
    base = base_url.strip().rstrip("/")
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("base URL: expected http(s)://host[:port][/path]")
    return base.removesuffix(api_path).rstrip("/") if api_path else base


def query_string(pairs: Iterable[tuple[str, str]]) -> str:
    """Percent-encode name and value completely; a `+` becomes %2B, a space %20."""
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait from a Retry-After header, in seconds or as an HTTP date; None when unusable.

    Args:
        value: The header, or None.
        now: Unix seconds, for the date form.
    """
    text = (value or "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:  # "-0000" and a missing zone mean UTC
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - now)


@dataclass(frozen=True)
class Answer:
    """A complete answer; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json_or_none(self) -> Any:
        """The decoded body, None when it is not JSON."""
        try:
            return loads(self.body)
        except ValueError:
            return None


class Closing:
    """A client that can stand in a `with` statement."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close kept connections."""
        raise NotImplementedError


class Transport(Closing):
    """Sends requests to one host and tells "never left" from "no clear answer"."""

    def __init__(self, base_url: str, *, timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Open nothing yet.

        Args:
            base_url: Any URL of the host; only its scheme and host matter here.
            timeout_s: Total for one request, above 0; a single wait of the same length may come on top when
                the answer trickles. Connecting ends after 5 s at the latest.
            clock: Monotonic seconds.
        """
        if timeout_s <= 0:
            raise ValueError("timeout_s must be above 0")
        parts = urlsplit(base_url)
        host = parts.hostname or ""
        loopback = host == "localhost" or host == "::1" or host.startswith("127.")
        connect_s = min(CONNECT_TIMEOUT_S, timeout_s)
        # Plain http never needs the certificate store, and loading that takes 50 ms.
        verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if parts.scheme == "http" else True
        waits = httpx2.Timeout(timeout_s, connect=connect_s, pool=connect_s)
        self._waits = waits.as_dict()
        self._client = httpx2.Client(
            timeout=waits,
            limits=httpx2.Limits(max_connections=32, keepalive_expiry=KEEPALIVE_S),
            follow_redirects=False,
            trust_env=not loopback,  # a proxy of the environment has no business with the own machine
            verify=verify,
        )
        self._headers = dict(self._client.headers)
        self._host = parts.netloc.rpartition("@")[2]
        self._timeout_s = timeout_s
        self._clock = clock

    def close(self) -> None:
        """Close kept connections."""
        self._client.close()

    def exchange(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None, operation: str
    ) -> Answer:
        """Send one request and read the whole answer, whatever its status.

        Raises:
            TransientError: Nothing left, or a GET found no complete answer.
            AmbiguousWriteError: Another method was sent and found no complete answer.
            Exception: What a check of `checked_writes` raised; nothing left.
        """
        with shown(self._host, method, operation) as told:
            try:
                answer = self._exchange(method, url, headers, content, operation)
            except AmbiguousWriteError:
                told("in-doubt")
                raise
            except TransientError:
                told("no-answer")
                raise
            told(str(answer.status))
            return answer

    def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, operation: str
    ) -> Answer:
        deadline = self._clock() + self._timeout_s
        check = None if method == "GET" else _check.get()
        more = {} if check is None else {"trace": _before_sending(check)}
        # Built by itself: what a client would add, such as cookies of earlier answers, has no place in an API call.
        given = {name.lower() for name in headers}
        named = {**{name: value for name, value in self._headers.items() if name not in given}, **headers}
        extensions = {"timeout": self._waits, **more}
        request = httpx2.Request(method, url, headers=named, content=content, extensions=extensions)
        try:
            response = self._client.send(request, stream=True)
        except _NOTHING_LEFT as error:
            raise TransientError(f"{operation}: no connection ({_kind(error)})") from error
        except httpx2.HTTPError as error:
            raise _lost(method, operation, _kind(error)) from error
        chunks: list[bytes] = []
        try:
            for chunk in response.iter_bytes():
                chunks.append(chunk)
                if self._clock() > deadline:
                    raise httpx2.ReadTimeout("total time is over", request=request)
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            if not 400 <= response.status_code < 500:
                raise _lost(method, operation, f"answer cut: {_kind(error)}") from error
            chunks.clear()  # the status alone says that nothing changed
        finally:
            response.close()
        return Answer(response.status_code, response.headers, b"".join(chunks))


def _kind(error: Exception) -> str:
    """`ReadTimeout` -> "read timeout"; the text of the error itself may hold values."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", type(error).__name__).lower()


def _lost(method: str, operation: str, why: str) -> ConnectorError:
    if method == "GET":
        return TransientError(f"{operation}: {why}")
    return AmbiguousWriteError(f"{operation}: sent, no clear answer ({why})")


def bearer(token: str) -> dict[str, str]:
    """The header of OAuth."""
    return {"Authorization": f"Bearer {token}"}


@dataclass(frozen=True)
class ErrorNames:
    """Where an error body of a system holds its code and message: `{"error": {"code", "message"}}`."""

    member: str = "error"
    code: str = "code"
    message: str = "message"

    def canonical(self, body: Any) -> Any:
        """The body with the names that `read_problem` knows."""
        inner = body.get(self.member) if isinstance(body, Mapping) else None
        if self == ErrorNames() or not isinstance(inner, Mapping):
            return body
        return {"error": {"code": inner.get(self.code), "message": inner.get(self.message)}}


class Pacing(Protocol):
    """Asked before every request of one system; `Pace` keeps to a limit alone, the runner's budget with others."""

    def wait(self) -> None:
        """Take the next place, sleeping for a short while where needed.

        Raises:
            RateLimitedError: The next place is far away; nothing was sent.
        """
        ...

    def refused(self, retry_after_s: float | None) -> None:
        """Told of every 429, with the seconds it asked to wait."""
        ...


class Pace:
    """At most so many requests in any minute; a request beyond waits until the oldest is a minute old."""

    def __init__(
        self,
        per_minute: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._sent: deque[float] = deque(maxlen=per_minute)
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Take the next place, waiting for it where needed."""
        with self._lock:
            now = self._clock()
            full = len(self._sent) == self._sent.maxlen
            at = max(now, self._sent[0] + 60) if full else now
            self._sent.append(at)
        if at > now:
            self._sleep(at - now)

    def refused(self, retry_after_s: float | None) -> None:
        """Nothing: whoever was refused waits by itself."""


class Api:
    """JSON requests of one system with its token; a 401 is answered by a renewed token, at most twice."""

    def __init__(
        self,
        *,
        base_url: str,
        tokens: TokenSource,
        timeout_s: float = 30.0,
        credential: Callable[[str], Mapping[str, str]] = bearer,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        error_names: ErrorNames | None = None,
        pace: Pacing | None = None,
    ) -> None:
        """Check the URL; nothing is opened.

        Args:
            credential: The headers that carry a token: a bearer, an API key, a session's cookies.
            error_names: Where this system's errors differ from `{"error": {"code", "message"}}`.
            pace: Limits the requests; None for no limit.
            sleep: Waits between the quick repeats of what surely changed nothing.

        Raises:
            ValueError: base_url is not an absolute http(s) URL, or timeout_s is not above 0.
        """
        self._base_url = root_url(base_url)
        self._tokens = tokens
        self._credential = credential
        self._transport = Transport(self._base_url, timeout_s=timeout_s)
        self._now = now
        self._sleep = sleep
        self._errors = error_names or ErrorNames()
        self._pace = pace

    def close(self) -> None:
        self._transport.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: Mapping[str, Any] | None = None,
        operation: str,
    ) -> Any:
        """Send and decode.

        Args:
            method: GET, POST, PUT, PATCH or DELETE.
            path: Absolute, already percent-encoded.
            query: Names and values, not encoded yet.
            body: Sent as JSON with Decimals as strings.
            operation: Names the call in messages, without values: "POST invoices/invoices".

        Returns:
            The decoded body of a 2xx answer, None of a 204.

        Raises:
            ConnectorError: One of its four kinds, see the table in `judge`.
            TypeError: body holds a float.
        """
        content = None if body is None else dumps(body).encode()
        url = self._base_url + path + (f"?{query_string(query)}" if query else "")
        sent = partial(_sent, query, body)
        for pause_s in QUICK_PAUSES_S:
            try:
                return self._once(method, url, content, sent, operation)
            except TransientError as error:
                wait_s = pause_s if error.retry_after_s is None else error.retry_after_s
                if wait_s > LONGEST_QUICK_PAUSE_S:
                    raise
                self._sleep(wait_s)
        return self._once(method, url, content, sent, operation)

    def answer(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        operation: str,
    ) -> Answer:
        """Send once and hand out the whole answer whatever its status; for those who study a server.

        Args:
            method: As for `request`, or DELETE.
            headers: Further ones.

        Raises:
            ConnectorError: There was no complete answer, or no token.
        """
        content = None if body is None else dumps(body).encode()
        url = self._base_url + path + (f"?{query_string(query)}" if query else "")
        return self._signed_in(method, url, content, operation, headers)[0]

    def _once(
        self, method: str, url: str, content: bytes | None, sent: Callable[[str], list[str]], operation: str
    ) -> Any:
        answer, token = self._signed_in(method, url, content, operation)
        told = partial(sent, token)
        return judge(answer, method=method, operation=operation, sent=told, now=self._now(), errors=self._errors)

    def _signed_in(
        self, method: str, url: str, content: bytes | None, operation: str, more: Mapping[str, str] | None = None
    ) -> tuple[Answer, str]:
        """The answer, and the token it was got with."""
        self._take_place()  # first, so that the token is not older than it need be
        token = self._tokens.token()
        answer = self._send(method, url, content, token, operation, more)
        for _ in range(_RENEWALS):
            if answer.status != 401:  # else refused before anything was done, so a write may be sent again
                break
            self._take_place()
            renewed = self._tokens.refreshed(token)
            if renewed == token:
                break
            token = renewed
            answer = self._send(method, url, content, token, operation, more)
        return answer, token

    def _take_place(self) -> None:
        if self._pace is not None:
            self._pace.wait()

    def _send(
        self,
        method: str,
        url: str,
        content: bytes | None,
        token: str,
        operation: str,
        more: Mapping[str, str] | None,
    ) -> Answer:
        headers = {
            **(more or {}),
            **self._credential(token),
            "Accept": "application/json",
            "User-Agent": "mapper-ai",
        }
        if content is not None:
            headers["Content-Type"] = "application/json"
        answer = self._transport.exchange(method, url, headers=headers, content=content, operation=operation)
        if answer.status == 429 and self._pace is not None:
            self._pace.refused(parse_retry_after(answer.headers.get("retry-after"), self._now()))
        return answer


def judge(
    answer: Answer,
    *,
    method: str,
    operation: str,
    sent: Callable[[], Sequence[str]],
    now: float,
    errors: ErrorNames = ErrorNames(),
) -> Any:
    """Turn an answer into its body or the error it means.

    | answer | GET | POST, PUT, PATCH, DELETE |
    | --- | --- | --- |
    | 2xx JSON | body | body |
    | 204 without a body | None | None |
    | other 2xx, not JSON | transient | ambiguous |
    | 2xx with an accounting error body | as its errno | as its errno |
    | 3xx | transient | transient |
    | 401 (after renewing the token) | auth | auth |
    | 409, errno 409, 425, 429 | transient | transient |
    | 408, 5xx, errno 500 | transient | ambiguous |
    | other 4xx | rejected | rejected |

    Args:
        answer: Complete.
        method: HTTP method.
        operation: Names the call in messages.
        sent: Gives the values of the request, masked where the answer repeats them; those under 3 characters are kept.
        now: Unix seconds, for Retry-After.
        errors: How this system names code and message.
    """
    status = answer.status
    wait_s = parse_retry_after(answer.headers.get("retry-after"), now)
    if status == 401:
        raise AuthError(f"{operation}: the access token was refused (401), also after renewing it")
    if status == 429:
        raise RateLimitedError(f"{operation}: status 429, too many requests, nothing changed", wait_s)
    if status in (409, 425):
        raise TransientError(f"{operation}: status {status}, nothing changed", wait_s)
    if status == 408 or status >= 500:
        if method == "GET":
            raise TransientError(f"{operation}: status {status}", wait_s)
        raise _lost(method, operation, f"status {status}")
    if status < 200 or 300 <= status < 400:
        raise TransientError(f"{operation}: status {status}, is the base URL right?", wait_s)
    if status == 204 and not answer.body:
        return None
    body = answer.json_or_none()
    found = errors.canonical(body)
    problem = read_problem(found, accounting_only=status < 300)
    if problem is not None:
        masked = [value for value in sent() if len(value) >= 3]
        problem = read_problem(found, masked, accounting_only=status < 300)
    if problem is not None and problem.errno == 409:
        raise TransientError(f"{operation}: errno 409, being changed by another request", wait_s)
    if problem is not None and problem.errno == 500:
        raise _lost(method, operation, "errno 500")
    if status >= 400 or problem is not None:
        problem = problem or Problem(message="no readable reason")
        raise RejectedError(status, problem.errno, problem.field, problem.message, operation=operation)
    if body is None:
        raise _lost(method, operation, f"status {status} with a body that is not JSON")
    return body


def unusable(method: str, operation: str, missing: str) -> ConnectorError:
    """The error for a 2xx answer that lacks what it must hold: unclear for a write, a failed read else."""
    return _lost(method, operation, f"the answer has no {missing}")


def _sent(query: Sequence[tuple[str, str]], body: Mapping[str, Any] | None, token: str) -> list[str]:
    """Every text of a request; the token too: a server that repeats it must not bring it into a message."""
    return [*(value for _, value in query), *_texts(body), *_parts_of(token)]


def _parts_of(token: str) -> list[str]:
    """A token and, where it is a session's cookies, each of their values."""
    return [token, *re.findall(r"=([^;\s]{6,})", token)]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)
