"""Alerts: one message a cause, a quiet time, "resolved", a channel that fails; through Apprise to a real endpoint."""

from __future__ import annotations

import json
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import SecretStr

from sync import control, inbox, records
from sync.__main__ import main
from sync.alerts import Send, Sent, alerts, check, conditions, raise_alert, resolve_alert, tell
from sync.channels import open_channels
from sync.errors import SettingsError
from sync.jobs import jobs_of
from sync.settings import AlertSettings, load_settings
from sync.store import Store
from sync.worker import Context
from tests.flows import Books, envelope, order

NOW = 1_750_000_000.0
QUIET_S = 3600
SETTINGS = AlertSettings(quiet_s=QUIET_S)


class Endpoint:
    """What a channel was sent, and whether it takes it."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.status = 200
        self.url = ""


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    found = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if found.status == 200:
                found.messages.append(json.loads(body))
            self.send_response(found.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_parts: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        found.url = f"json://kanariuser:kanarisecret@127.0.0.1:{server.server_address[1]}/hook"
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


class Box:
    """A channel in memory."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, bool]] = []
        self.works = True

    def __call__(self, title: str, text: str, bad: bool) -> Sent:
        if self.works:
            self.sent.append((title, text, bad))
        return Sent(int(self.works), () if self.works else ("box",))


def settle(store: Store, number: int, state: inbox.State, reason: str) -> None:
    inbox.ingest(store, [envelope("order.created", order(id=str(number), customer=None))], source="file", now=NOW)
    event = inbox.next_due(store, now=NOW, owner="w")
    assert event is not None
    told = [{"id": reason, "message": f"about {number}"}]
    assert inbox.settle(store, event, state=state, fate=state, reasons=told, now=NOW)


def test_each_cause_is_one_line_with_count_mend_and_command(store: Store) -> None:
    for number in (1, 2):
        settle(store, number, "dead", "rejected")
    settle(store, 3, "held", "total-differs")
    settle(store, 4, "held", "overpayment-credit")
    records.set_connection(store, "freshbooks", "reconnect", reason="x", now=NOW)
    found = conditions(store, SETTINGS, now=NOW + 60)
    assert set(found) == {
        ("set-aside", "rejected"),
        ("held", "total-differs"),
        ("overpayment", "overpayment-credit"),
        ("connection", "freshbooks"),
    }
    assert found["set-aside", "rejected"].startswith("2 records set aside, rejected, since 2025-06-15T15:06:40+00:00. ")
    assert found["set-aside", "rejected"].endswith("See: mapper-sync errors rejected")
    quieter = conditions(store, AlertSettings(held=False), now=NOW)
    assert ("held", "total-differs") not in quieter and ("overpayment", "overpayment-credit") in quieter


def test_lag_and_long_pauses_are_told(store: Store) -> None:
    inbox.ingest(store, [envelope("order.created", order())], source="file", now=NOW)
    assert conditions(store, SETTINGS, now=NOW + 899) == {}
    assert set(conditions(store, SETTINGS, now=NOW + 900)) == {("lag", "lag")}
    control.pause(store, who="ana", reason="lunch", now=NOW)
    assert conditions(store, SETTINGS, now=NOW + 3599) == {}  # a pause explains the lag
    found = conditions(store, SETTINGS, now=NOW + 3600)
    assert set(found) == {("paused", "paused")} and "lunch" in found["paused", "paused"]


def test_a_cause_is_told_once_reminded_after_the_quiet_time_and_resolved(store: Store) -> None:
    box, settings = Box(), AlertSettings(quiet_s=QUIET_S, lag_s=1_000_000)
    settle(store, 1, "dead", "rejected")

    def look(at: float) -> int:
        check(store, settings, now=NOW + at)
        tell(store, settings, box, now=NOW + at)
        return len(box.sent)

    assert [look(at) for at in (0, 30, QUIET_S - 1)] == [1, 1, 1]
    settle(store, 2, "dead", "rejected")  # more of the same is no new cause
    assert look(QUIET_S - 1) == 1
    assert look(QUIET_S) == 2 and box.sent[-1][1].startswith("- 2 records set aside")
    inbox.redrive(store, None, now=NOW)
    assert look(QUIET_S + 30) == 3
    assert box.sent[-1] == ("mapper-sync: 1 resolved", "- resolved: set-aside rejected", False)
    assert [look(at) for at in (QUIET_S + 60, 3 * QUIET_S)] == [3, 3]
    assert alerts(store, only_open=False) == []


def test_what_comes_and_goes_is_told_twice_and_then_waits_for_the_quiet_time(store: Store) -> None:
    box = Box()
    for at in range(0, 600, 60):
        if at % 120 == 0:
            raise_alert(store, "spec-changed", "order-to-invoice", "look", now=NOW + at)
        else:
            resolve_alert(store, "spec-changed", "order-to-invoice", now=NOW + at)
        check(store, SETTINGS, now=NOW + at)  # leaves kinds alone that it does not judge
        tell(store, SETTINGS, box, now=NOW + at)
    assert [title for title, _, _ in box.sent] == ["mapper-sync: 1 open", "mapper-sync: 1 resolved"]
    raise_alert(store, "spec-changed", "order-to-invoice", "look", now=NOW + 600)
    tell(store, SETTINGS, box, now=NOW + 60 + QUIET_S)
    assert len(box.sent) == 3


def test_a_failing_channel_is_logged_and_tried_again(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    box = Box()
    box.works = False
    raise_alert(store, "lag", "lag", "late", now=NOW)
    with caplog.at_level(logging.ERROR):
        assert tell(store, SETTINGS, box, now=NOW) == Sent(0, ("box",))
    assert "alert channels failed" in caplog.text
    box.works = True
    assert tell(store, SETTINGS, box, now=NOW + 59) is None
    assert tell(store, SETTINGS, box, now=NOW + 60) == Sent(1)
    assert len(box.sent) == 1


def test_of_several_processes_one_tells(store: Store) -> None:
    raise_alert(store, "lag", "lag", "late", now=NOW)
    second = Box()

    def send(title: str, text: str, bad: bool) -> Sent:
        assert tell(store, SETTINGS, second, now=NOW) is None  # another process, while this one is sending
        return Sent(1)

    assert tell(store, SETTINGS, send, now=NOW) == Sent(1)
    assert second.sent == []


@pytest.fixture
def plain_apprise() -> None:
    """Apprise loads all its plug-ins at the first address, one of them through a module that Python will drop."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import apprise

        assert apprise.Apprise().add("json://localhost")


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_the_job_tells_a_real_endpoint_and_nothing_of_a_customer(
    store: Store, books: Books, endpoint: Endpoint, plain_apprise: None, caplog: pytest.LogCaptureFixture
) -> None:
    settings = books.settings.model_copy(
        update={"alerts": AlertSettings(urls=(SecretStr(endpoint.url),), quiet_s=QUIET_S)}
    )
    settle(store, 1, "dead", "rejected")
    clock = [NOW + 5]
    with _context(settings, store, lambda: clock[0]) as context:
        job = next(job for job in jobs_of(context) if job.name == "alerts")
        endpoint.status = 500
        with caplog.at_level(logging.DEBUG):
            assert job.run(context) is False  # the work goes on, whatever becomes of the message
        assert endpoint.messages == []
        assert "kanarisecret" not in caplog.text
        endpoint.status, clock[0] = 200, NOW + 70
        job.run(context)
        job.run(context)
    assert [(message["title"], message["type"]) for message in endpoint.messages] == [
        ("mapper-sync: 1 open", "failure")
    ]
    assert endpoint.messages[0]["message"].startswith("- 1 record set aside, rejected")
    assert order()["customer"]["email"] not in json.dumps(endpoint.messages)


@contextmanager
def _context(settings: Any, store: Store, now: Any) -> Iterator[Context]:
    yield Context(settings, store, None, None, None, False, "run", now)  # type: ignore[arg-type]  # no request is made


def test_the_test_command_names_the_channel_that_fails(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], plain_apprise: None
) -> None:
    monkeypatch.delenv("MAPPER_ALERT_URLS", raising=False)
    assert main(["alerts", "test"]) == 2
    assert "MAPPER_ALERT_URLS is not set" in capsys.readouterr().err
    monkeypatch.setenv("MAPPER_ALERT_URLS", f"{endpoint.url} json://127.0.0.1:1/gone?cto=1")
    assert main(["alerts", "test"]) == 1
    told = capsys.readouterr()
    assert told.out == "1 channels took it\nchannel 2 (json) did not take the message\n"
    assert "kanarisecret" not in told.out + told.err
    assert endpoint.messages[0]["title"] == "mapper-sync: test"
    monkeypatch.setenv("MAPPER_ALERT_URLS", f"{endpoint.url} nonsense://kanarisecret")
    assert main(["alerts", "test"]) == 2
    error = capsys.readouterr().err
    assert "address 2 is none that Apprise knows" in error and "kanarisecret" not in error


def test_addresses_hold_secrets_and_stand_in_no_file(tmp_path: Any) -> None:
    file = tmp_path / "mapper.toml"
    file.write_text('[alerts]\nurls = ["json://x"]\n', "utf-8")
    with pytest.raises(SettingsError, match=r"alerts\.urls: these addresses hold secrets: set MAPPER_ALERT_URLS"):
        load_settings({}, file)
    file.write_text("[alerts]\nlag_s = 60\n[retention]\ndays = 30\n", "utf-8")
    found = load_settings({"MAPPER_ALERT_URLS": "json://a  mailto://b"}, file)
    assert (len(found.alerts.urls), found.alerts.lag_s, found.retention.days) == (2, 60, 30)
    assert "json://a" not in repr(found)


def test_send_is_what_the_channels_give(plain_apprise: None, endpoint: Endpoint) -> None:
    send: Send = open_channels([endpoint.url])
    assert send("t", "x", True) == Sent(1)
