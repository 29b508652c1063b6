"""Bad webhooks over real sockets: the right status, nothing stored but a count, and nobody else is kept waiting."""

from __future__ import annotations

import ast
import gzip
import hmac
import inspect
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn

from connectors import webhooks
from connectors.webhooks import WebhookRefused, sign_clarity, sign_freshbooks, verify_clarity, verify_freshbooks
from sync import inbox, ingress
from sync.envelope import MAX_DEPTH
from sync.http_server import MAX_HEADER_BYTES, BoundedProtocol, server_config
from sync.ingress import MAX_BODY_BYTES, create_app
from sync.intake import store_all
from sync.serving import listen
from sync.store import Store, open_store
from sync.webhook_secrets import WebhookSecrets

SECRET, OLDER = "new-secret", "old-secret"
VERIFIER = "verifier-of-a-callback"
CALLBACK = {"name": "invoice.update", "object_id": "7", "account_id": "A1"}


class Runner:
    """A server in this process: its port, its store, and what it counted."""

    def __init__(self, store: Store, port: int) -> None:
        self.store = store
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def post(self, raw: bytes, *, path: str = "/webhooks/clarity", **headers: str) -> httpx2.Response:
        with httpx2.Client(trust_env=False) as client:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            return client.post(self.url + path, content=raw, headers=names)

    def signed(self, raw: bytes, *, secret: str = SECRET, at: float | None = None, **headers: str) -> httpx2.Response:
        stamp = int(time.time() if at is None else at)
        return self.post(raw, **{"X-Clarity-Signature": sign_clarity(secret, stamp, raw), **headers})

    def raw(self, data: bytes) -> bytes:
        """All that comes back until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(data)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def counted(self, result: str) -> int:
        text = httpx2.get(f"{self.url}/metrics", trust_env=False).text
        about = [line for line in text.splitlines() if line.startswith("mapper_webhooks_total{")]
        return sum(int(float(line.rsplit(" ", 1)[1])) for line in about if f'result="{result}"' in line)

    @property
    def stored(self) -> dict[str, int]:
        return inbox.counts(self.store)


@contextmanager
def running(store: Store) -> Iterator[Runner]:
    with closing(listen("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(server_config(create_app(store, clarity_secrets=[SECRET, OLDER], now=time.time)))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield Runner(store, listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(20)
    assert not thread.is_alive()


@contextmanager
def opened(folder: Path) -> Iterator[Store]:
    store = open_store(f"sqlite:///{folder / 'm.db'}")
    secrets = WebhookSecrets(store, key=None, now=time.time)
    secrets.keep("freshbooks", "freshbooks:1", "valid", secret=VERIFIER, id="1")
    yield store
    store.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened(tmp_path) as found:
        yield found


@pytest.fixture
def runner(store: Store) -> Iterator[Runner]:
    with running(store) as found:
        yield found


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """One server for many requests: its tests look at what a request changes."""
    with opened(tmp_path_factory.mktemp("shared")) as store, running(store) as found:
        yield found


def envelope(event_id: str = "evt_1", event: str = "order.created", **resource: Any) -> bytes:
    data = {"object": "order", "id": "10045", "resource": {"orderNumber": "WEB-1", **resource}}
    return json.dumps({"id": event_id, "type": event, "data": data}).encode()


def nested(levels: int) -> bytes:
    """An envelope with this many levels of lists and objects in all."""
    inner = levels - 3
    return envelope(deep=None).replace(b"null", b"[" * inner + b"]" * inner)


BAD: dict[str, tuple[Callable[[Runner], httpx2.Response], int, str]] = {
    "missing signature": (lambda r: r.post(envelope()), 401, "missing-signature"),
    "wrong signature": (lambda r: r.signed(envelope(), secret="guess"), 401, "wrong-signature"),
    "signature of another body": (
        lambda r: r.post(envelope("evt_2"), X_Clarity_Signature=sign_clarity(SECRET, int(time.time()), envelope())),
        401,
        "wrong-signature",
    ),
    "no signature at all in it": (
        lambda r: r.post(envelope(), X_Clarity_Signature="v1=zz"),
        401,
        "malformed-signature",
    ),
    "old": (lambda r: r.signed(envelope(), at=time.time() - 400), 401, "outside-tolerance"),
    "of tomorrow": (lambda r: r.signed(envelope(), at=time.time() + 86_400), 401, "outside-tolerance"),
    "bad JSON": (lambda r: r.signed(b'{"id": "x", '), 400, "bad-body"),
    "not UTF-8": (lambda r: r.signed(b'{"type": "\xff"}'), 400, "bad-body"),
    "no envelope": (lambda r: r.signed(b"[1, 2]"), 400, "bad-body"),
    "no number": (lambda r: r.signed(b'{"type": "order.created", "n": NaN}'), 400, "bad-body"),
    "empty": (lambda r: r.signed(b""), 400, "bad-body"),
    "nested too deeply": (lambda r: r.signed(nested(MAX_DEPTH + 1)), 400, "bad-body"),
    "nested beyond the stack": (lambda r: r.signed(nested(200_000)), 400, "bad-body"),
    "compressed": (lambda r: r.signed(gzip.compress(envelope()), Content_Encoding="gzip"), 415, "compressed"),
    "one byte too long": (lambda r: r.signed(b" " * (MAX_BODY_BYTES + 1)), 413, "too-large"),
    "a form where JSON belongs": (lambda r: r.signed(b"name=invoice.update&object_id=7"), 400, "bad-body"),
    "JSON where a form belongs": (lambda r: r.post(envelope(), path="/webhooks/freshbooks"), 400, "bad-body"),
    "callback without a signature": (
        lambda r: r.post(b"name=invoice.update&object_id=7", path="/webhooks/freshbooks"),
        401,
        "missing-signature",
    ),
    "callback signed over its raw bytes": (
        lambda r: r.post(
            b"name=invoice.update&object_id=7",
            path="/webhooks/freshbooks",
            X_FreshBooks_Hmac_SHA256=sign_freshbooks(VERIFIER, {"object_id": "7", "name": "invoice.update"}),
        ),
        401,
        "wrong-signature",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_webhook_leaves_a_count_and_nothing_else(shared: Runner, case: str) -> None:
    send, status, reason = BAD[case]
    stored, counted = shared.stored, shared.counted(reason)
    answer = send(shared)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, reason)
    assert shared.stored == stored
    assert shared.counted(reason) == counted + 1
    assert shared.signed(envelope(case)).status_code == 202  # and the next good one is taken


@pytest.mark.parametrize("secret", [SECRET, OLDER])
def test_both_secrets_count_while_rotating(runner: Runner, secret: str) -> None:
    assert runner.signed(envelope(), secret=secret).status_code == 202
    assert runner.stored == {"pending": 1}


def test_the_declared_type_does_not_decide_what_the_signature_does(runner: Runner) -> None:
    types = ["application/json", "text/plain", "application/x-www-form-urlencoded", "nonsense"]
    codes = [runner.signed(envelope(f"evt_{name}"), Content_Type=name).status_code for name in types]
    assert codes == [202] * 4
    assert runner.stored == {"pending": 4}


def test_a_replayed_delivery_is_taken_within_the_window_and_stored_once(runner: Runner) -> None:
    raw, stamp = envelope(), int(time.time())
    header = sign_clarity(SECRET, stamp, raw)
    assert [runner.post(raw, X_Clarity_Signature=header).status_code for _ in range(3)] == [202] * 3
    assert runner.stored == {"pending": 1}
    assert (runner.counted("accepted"), runner.counted("duplicate")) == (1, 2)


def test_levels_that_are_allowed_are_stored_and_read_back(runner: Runner) -> None:
    assert runner.signed(nested(MAX_DEPTH)).status_code == 202
    event = inbox.next_due(runner.store, now=time.time(), owner="test")
    assert event is not None and event.resource is not None


def test_unknown_events_are_stored_and_left_alone(runner: Runner) -> None:
    assert runner.signed(envelope(event="coupon.expired")).status_code == 202
    assert runner.stored == {"ignored": 1}


def test_a_freshbooks_callback_is_verified_over_its_fields(runner: Runner) -> None:
    header = sign_freshbooks(VERIFIER, CALLBACK)
    raw = "&".join(f"{name}={value}" for name, value in CALLBACK.items()).encode()
    assert runner.post(raw, path="/webhooks/freshbooks", X_FreshBooks_Hmac_SHA256=header).status_code == 202
    assert runner.stored == {"ignored": 1}


HEAD = b"POST /webhooks/clarity HTTP/1.1\r\nHost: x\r\n"


def test_a_body_that_stops_half_way_is_given_up(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingress, "BODY_WITHIN_S", 0.1)
    monkeypatch.setattr(BoundedProtocol, "request_within_s", 0.3)
    with socket.create_connection(("127.0.0.1", runner.port), timeout=20) as slow:
        slow.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
        assert runner.signed(envelope()).status_code == 202  # meanwhile
        got = b"".join(iter(lambda: slow.recv(65536), b""))
    assert got.startswith(b"HTTP/1.1 408 ")
    assert runner.counted("body-too-slow") == 1
    assert runner.stored == {"pending": 1}


@pytest.mark.parametrize("begun", [b"", b"POST /webh", HEAD, HEAD + b"X-Clarity-Signature: t=1"])
def test_a_head_that_stops_half_way_is_given_up(runner: Runner, monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    monkeypatch.setattr(BoundedProtocol, "request_within_s", 0.1)
    assert runner.raw(begun).startswith(b"HTTP/1.1 408 ")


def test_a_refused_body_may_not_go_on_for_ever(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedProtocol, "request_within_s", 0.3)
    got = runner.raw(HEAD + b"Content-Length: 99999999\r\n\r\nonly the beginning")
    assert got.startswith(b"HTTP/1.1 413 ")  # and the connection was closed, since reading came to an end


def test_a_request_in_time_is_not_cut_off(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedProtocol, "request_within_s", 0.2)
    with httpx2.Client(trust_env=False) as client:
        first = client.get(f"{runner.url}/healthz")
        monkeypatch.setattr(BoundedProtocol, "request_within_s", 0.0)  # the one that was idle has its time from here
        second = client.get(f"{runner.url}/healthz")
    assert (first.status_code, second.status_code) == (200, 200)


def test_a_sender_that_goes_away_leaves_nothing(runner: Runner) -> None:
    with socket.create_connection(("127.0.0.1", runner.port), timeout=20) as gone:
        gone.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
    for _ in range(200):
        if runner.counted("disconnected"):
            break
    assert runner.counted("disconnected") == 1
    assert runner.stored == {}


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (HEAD + b"X-Filler: " + b"a" * MAX_HEADER_BYTES, b"431"),
        (HEAD + b"X-Filler: a\r\n" * (MAX_HEADER_BYTES // 10), b"431"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", b"400"),
        (HEAD + b"Content-Length: -1\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", b"400"),
        (HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n", b"400"),
        (b"GET /webhooks/clarity HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"405"),
    ],
)
def test_what_is_no_request_is_refused(shared: Runner, data: bytes, status: bytes) -> None:
    stored = shared.stored
    assert shared.raw(data).split(b" ", 2)[1] == status
    assert shared.stored == stored


def test_more_bodies_than_the_memory_for_them_are_told_to_come_again(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingress, "MAX_HELD_BYTES", 1000)
    answer = runner.signed(envelope(text="a" * 2000))
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "too-many-bodies")
    assert runner.signed(envelope()).status_code == 202  # what was held is given back


def test_a_full_queue_answers_503_and_what_was_taken_is_stored(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync.group_writer.QUEUE_SIZE", 2)
    free = threading.Event()

    def held_back(*arguments: Any, **more: Any) -> Any:
        free.wait(20)
        return store_all(*arguments, **more)

    monkeypatch.setattr("sync.group_writer.store_all", held_back)
    with running(store) as found:
        codes: list[int] = []
        threads = [
            threading.Thread(target=lambda n=n: codes.append(found.signed(envelope(f"evt_{n}")).status_code))
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for _ in range(2000):  # those that found no room are answered while the others wait
            if len(codes) >= 5:
                break
            threads[-1].join(0.01)
        refused = list(codes)
        free.set()
        for thread in threads:
            thread.join(20)
        assert refused and set(refused) == {503}
        assert len(codes) == 8
        assert found.stored == {"pending": codes.count(202)}
        assert found.counted("queue-full") == codes.count(503)


def test_fifty_megabytes_are_refused_while_they_come_and_fill_no_memory(tmp_path: Path) -> None:
    store_url = f"sqlite:///{tmp_path / 'm.db'}"
    command = [sys.executable, "-m", "benchmarks.ingress", "--serve", store_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/webhooks/clarity"
        memory = Path(f"/proc/{server.pid}/status")
        part = b" " * 65536

        def megabytes(count: int) -> Iterator[bytes]:
            for _ in range(count * 16):
                yield part

        with httpx2.Client(trust_env=False, timeout=30) as client:
            client.post(url, content=megabytes(1))  # everything that is imported at first use is there then
            before = _peak_kb(memory)
            chunked = client.post(url, content=megabytes(50))
            declared = client.post(url, content=b" " * 50_000_000)
        after = _peak_kb(memory)
        server.terminate()
    assert [answer.status_code for answer in (chunked, declared)] == [413, 413]
    assert after - before < 8_000


def _peak_kb(status: Path) -> int:
    if not status.exists():
        pytest.skip("the system does not tell a process's memory")
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))


def _signatures() -> list[tuple[Callable[[], None], Callable[[], None]]]:
    """For each source: the check of a right signature and of a wrong one, with two secrets."""
    right = sign_clarity(SECRET, 1, b"body")
    wrong = sign_clarity("guess", 1, b"body")
    ours, theirs = sign_freshbooks(VERIFIER, CALLBACK), sign_freshbooks("guess", CALLBACK)
    return [
        (
            lambda: verify_clarity(right, b"body", [SECRET, OLDER], 1),
            lambda: verify_clarity(wrong, b"body", [SECRET, OLDER], 1),
        ),
        (
            lambda: verify_freshbooks(ours, CALLBACK, [VERIFIER, "other"]),
            lambda: verify_freshbooks(theirs, CALLBACK, [VERIFIER, "other"]),
        ),
    ]


@pytest.mark.parametrize("source", [0, 1])
def test_the_constant_time_comparison_alone_decides(source: int, monkeypatch: pytest.MonkeyPatch) -> None:
    right, wrong = _signatures()[source]
    compared: list[tuple[Any, Any]] = []
    real = hmac.compare_digest

    def watched(one: Any, other: Any) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(webhooks.hmac, "compare_digest", watched)
    right()
    assert len(compared) == 2  # with every secret, also after one has matched: the time tells nothing
    with pytest.raises(WebhookRefused, match="wrong-signature"):
        wrong()
    assert len(compared) == 4
    monkeypatch.setattr(webhooks.hmac, "compare_digest", lambda _one, _other: True)
    wrong()
    monkeypatch.setattr(webhooks.hmac, "compare_digest", lambda _one, _other: False)
    with pytest.raises(WebhookRefused, match="wrong-signature"):
        right()


def test_no_digest_is_compared_by_equality() -> None:
    tree = ast.parse(inspect.getsource(webhooks))
    compared = [
        name.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq | ast.In) for op in node.ops)
        for name in ast.walk(node)
        if isinstance(name, ast.Name)
    ]
    assert not {"digest", "digests", "given", "secret", "verifier", "header"} & set(compared)
