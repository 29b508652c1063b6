"""The admin API over real HTTP, beside a serving runner: same deeds as the command line, for whoever has the token."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from connectors.sandbox.generator import dumps_exact
from connectors.webhooks import sign_clarity
from sync.admin import admin_tokens
from sync.errors import SettingsError
from sync.runner import serve
from sync.settings import Settings
from tests.flows import MAPPINGS, Books, envelope, order

TOKEN = "correct-horse-battery"
SECRET = "webhook-secret"


class Runner:
    """A serving runner with its two addresses."""

    def __init__(self) -> None:
        self.stop, self.ready = threading.Event(), threading.Event()
        self.url = self.admin = ""

    def told(self, url: str) -> None:
        self.url = url
        self.ready.set()

    def told_admin(self, url: str) -> None:
        self.admin = url

    def ask(self, method: str, path: str, body: Any = None, token: str = TOKEN) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return httpx2.request(method, self.admin + path, json=body, headers=headers)

    def deliver(self, body: dict[str, Any]) -> int:
        raw = dumps_exact(body).encode()
        headers = {"X-Clarity-Signature": sign_clarity(SECRET, int(time.time()), raw)}
        return httpx2.post(f"{self.url}/webhooks/clarity", content=raw, headers=headers).status_code

    def wait_for(self, state: str, count: int) -> dict[str, Any]:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            found: dict[str, Any] = self.ask("GET", "/status").json()
            if found["inbox"][state] == count:
                return found
            threading.Event().wait(0.02)
        raise AssertionError(f"no {count} {state} in {found['inbox']}")


@contextmanager
def serving(settings: Settings) -> Iterator[Runner]:
    runner = Runner()
    ports = {"port": 0, "admin_port": 0, "on_ready": runner.told, "on_admin": runner.told_admin, "stop": runner.stop}
    thread = threading.Thread(target=serve, args=(settings, MAPPINGS), kwargs=ports)
    thread.start()
    try:
        assert runner.ready.wait(20)
        yield runner
    finally:
        runner.stop.set()
        thread.join()


@pytest.fixture
def settings(books: Books) -> Settings:
    clarity = books.settings.clarity.model_copy(update={"webhook_secrets": (SecretStr(SECRET),)})
    change = {"clarity": clarity, "admin_token": SecretStr(f"{TOKEN},ana:another-long-token")}
    return books.settings.model_copy(update=change)


def wrong(number: int) -> dict[str, Any]:
    record = order(id=str(number), orderNumber=f"WEB-{number}", total="999.99", payments=[])
    return envelope("order.created", record)


def test_a_night_with_the_admin_api(settings: Settings, books: Books) -> None:
    with serving(settings) as runner:
        assert runner.ask("POST", "/pause", {"reason": "look first"}).json()["paused"]["by"] == "token admin"
        assert runner.deliver(wrong(1)) == 202  # webhooks are taken all the same
        assert httpx2.get(f"{runner.url}/readyz").status_code == 200
        shown = httpx2.get(f"{runner.url}/api/status").json()
        assert (shown["paused"]["reason"], shown["inbox"]["pending"]) == ("look first", 1)
        assert runner.ask("POST", "/resume", token="another-long-token").json()["resumed"] is True
        runner.wait_for("held", 1)

        group = runner.ask("GET", "/errors").json()[0]
        assert (group["reason_id"], group["count"]) == ("totals-do-not-add-up", 1)
        told = runner.ask("GET", "/story/order:1").json()
        assert told["number"] == "WEB-1" and "payload" not in told["snapshot"]
        covered = runner.ask("GET", "/story/WEB-1?payload=masked").json()["snapshot"]["payload"]
        assert covered["total"] == "999.99" and order()["customer"]["email"] not in str(covered)
        revealed = runner.ask("GET", "/story/WEB-1?payload=whole").json()["snapshot"]["payload"]
        assert revealed["customer"]["email"] == order()["customer"]["email"]

        assert runner.ask("POST", "/replay", {"reason": "totals-do-not-add-up"}).json() == {"replayed": ["order:1"]}
        runner.wait_for("held", 1)
        assert runner.ask("POST", "/skip", {"record": "order:1", "reason": "by hand"}).json()["until"] == "replay"
        runner.wait_for("skipped", 1)
        made = runner.ask("POST", "/alias", {"kind": "sku", "name": "A", "target": "B"}).json()
        assert made["set"]["by"] == "token admin"
        assert [alias["name"] for alias in runner.ask("GET", "/aliases").json()] == ["A"]
        assert runner.ask("DELETE", "/alias", {"kind": "sku", "name": "a"}).status_code == 200
        assert runner.ask("GET", "/top").json()["inbox"]["skipped"] == 1

        deeds = [(deed["who"], deed["what"]) for deed in runner.ask("GET", "/audit").json()]
        assert deeds[::-1] == [
            ("token admin", "pause"),
            ("token ana", "resume"),
            ("token admin", "reveal"),
            ("token admin", "replay"),
            ("token admin", "skip"),
            ("token admin", "alias"),
            ("token admin", "alias"),
        ]
    assert books.writes() == []


def test_who_has_no_token_gets_nothing(settings: Settings) -> None:
    with serving(settings) as runner:
        for path in ("/status", "/errors", "/story/order:1", "/aliases", "/audit", "/top", "/alerts"):
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
                answer = httpx2.get(runner.admin + path, headers=headers)
                assert answer.status_code == 401, path
                assert answer.json()["error"]["code"] == "unauthorized"
        assert httpx2.post(runner.admin + "/pause").status_code == 401
        assert httpx2.get(f"{runner.url}/api/status").json()["paused"] is None
        assert httpx2.get(f"{runner.url}/pause").status_code == 404  # the webhooks' port knows nothing of it
        host, port = runner.admin.removeprefix("http://").split(":")
        assert host == "127.0.0.1"
        outside = socket.gethostbyname(socket.gethostname())
        if not outside.startswith("127."):
            with pytest.raises(OSError), socket.create_connection((outside, int(port)), timeout=2):
                pass


@pytest.mark.parametrize(
    ("path", "body", "code", "says"),
    [
        ("/replay", {}, 422, "name one of"),
        ("/replay", {"record": "order:404"}, 404, "no record"),
        ("/replay", {"record": 7}, 422, "expected a text"),
        ("/skip", {"record": "order:404", "reason": "x"}, 404, "no record"),
        ("/skip", {"record": "order:404"}, 422, "reason is missing"),
        ("/alias", {"kind": "tax", "name": "a", "target": "b"}, 422, "no aliases"),
        ("/pause", ["x"], 422, "not a JSON object"),
        ("/pause", "x" * 70_000, 422, "larger than"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(admin: Runner, path: str, body: Any, code: int, says: str) -> None:
    answer = admin.ask("POST", path, body)
    assert answer.status_code == code
    assert says in answer.json()["error"]["message"]


def test_whom_the_holder_of_a_token_acts_for_stands_beside_the_token(admin: Runner) -> None:
    def pause(person: str) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {TOKEN}", "X-Mapper-Person": person}
        return httpx2.post(f"{admin.admin}/pause", json={"reason": "lunch"}, headers=headers)

    assert pause("b%C3%A9a@example.com").json()["paused"]["by"] == "béa@example.com (said by token admin)"
    admin.ask("POST", "/resume")
    assert pause("").json()["paused"]["by"] == "token admin"
    for wrong in ("a%0Ab", "x" * 201):
        assert (pause(wrong).status_code, "X-Mapper-Person" in pause(wrong).text) == (422, True)
    admin.ask("POST", "/resume")


@pytest.fixture(scope="module")
def admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """The API alone, on an empty store."""
    from sync.admin_server import admin_api
    from sync.store import open_store

    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('admin') / 'store.db'}")
    runner = Runner()
    listener = socket.create_server(("127.0.0.1", 0))
    with listener, admin_api(store, {"admin": TOKEN}, listener, now=time.time) as url:
        runner.admin = url
        while not _answers(url):
            threading.Event().wait(0.01)
        yield runner
    store.close()


def _answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/healthz").status_code == 200
    except httpx2.TransportError:
        return False


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (None, "MAPPER_ADMIN_TOKEN is not set"),
        ("short", "token 1 is shorter than 16"),
        (f"ana:{TOKEN},bob:short", "token 2 is shorter than 16"),
        (f"ana:{TOKEN},ana:{TOKEN}x", "two tokens are called 'ana'"),
    ],
)
def test_it_does_not_start_without_a_good_token(settings: Settings, given: str | None, says: str) -> None:
    secret = None if given is None else SecretStr(given)
    with pytest.raises(SettingsError, match=says):
        serve(settings.model_copy(update={"admin_token": secret}), MAPPINGS, port=0, admin_port=0)


def test_tokens_have_names() -> None:
    assert admin_tokens(SecretStr(TOKEN)) == {"admin": TOKEN}
    assert admin_tokens(SecretStr(f"ana:{TOKEN}, bob:{TOKEN}2")) == {"ana": TOKEN, "bob": f"{TOKEN}2"}


def test_metrics_count_deliveries_events_and_requests(settings: Settings, books: Books) -> None:
    with serving(settings) as runner:
        assert runner.deliver(envelope("order.created", order(id="1", orderNumber="WEB-1"))) == 202
        runner.wait_for("done", 1)
        text = httpx2.get(f"{runner.url}/metrics").text
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    host = books.sandbox.freshbooks_url.removeprefix("http://")
    assert samples["mapper_webhooks_total", ("result", "accepted"), ("system", "clarity")] == 1
    assert samples["mapper_webhook_seconds_count", ("system", "clarity")] == 1
    assert samples["mapper_events_total", ("entity", "order"), ("fate", "done")] == 1
    assert samples["mapper_event_seconds_count", ("entity", "order")] == 1
    posts = samples["mapper_requests_total", ("host", host), ("method", "POST"), ("outcome", "200")]
    assert posts == sum(write["method"] == "POST" for write in books.writes())
    assert samples["mapper_request_seconds_count", ("host", host), ("method", "POST")] == posts
    assert samples["mapper_inbox_events", ("state", "done")] == 1
    assert samples["mapper_connection_up", ("connection", "freshbooks")] == 1
    assert samples[("mapper_paused",)] == samples[("mapper_in_doubt_total",)] == 0
    assert not any(name.endswith("_created") for name, *_ in samples)
