"""What is seen of the work as it goes: the view for a terminal, and spans for a collector."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from connectors.watching import watched_by
from sync import control, inbox, records
from sync.alerts import raise_alert
from sync.errors import SettingsError
from sync.inbox import new_owner
from sync.store import Store, open_store
from sync.times import span
from sync.top import look, text_of, watch
from sync.traces import Traces, open_traces
from sync.watch import Watch
from tests.flows import ROOT, Books, envelope, order

NOW = 1_750_000_000.0


def put(store: Store, number: int, state: inbox.State | None, *, at: float = NOW) -> None:
    """An event that is settled in a state at a time; None leaves it with a worker."""
    inbox.ingest(store, [envelope("order.created", order(id=str(number), customer=None))], source="file", now=at)
    event = inbox.next_due(store, now=at, owner=new_owner())
    assert event is not None
    if state is not None:
        told = [{"id": "rejected", "message": f"about {number}"}] if state in ("held", "dead") else []
        inbox.settle(store, event, state=state, fate=state, reasons=told, now=at)


def test_throughput_lag_lanes_causes_connections_and_alerts(store: Store) -> None:
    put(store, 1, "done", at=NOW - 4000)
    put(store, 2, "done", at=NOW - 600)
    put(store, 3, "done", at=NOW - 30)
    put(store, 4, "dead", at=NOW - 30)
    put(store, 5, None)
    inbox.ingest(store, [envelope("order.created", order(id="6", customer=None))], source="file", now=NOW - 90)
    records.set_connection(store, "freshbooks", "ok", now=NOW)
    raise_alert(store, "lag", "lag", "it lags", now=NOW)
    found = look(store, now=NOW)
    assert found["settled"] == {"last minute": 2, "last 15 minutes": 3, "last hour": 3}
    assert found["lag_s"] == 90
    assert [(row["lane"], row["record"]) for row in found["working"]] == [("order:5", "order:5")]
    assert [(row["reason_id"], row["count"]) for row in found["set_aside"]] == [("rejected", 1)]
    text = text_of(found)
    for part in ("1 dead", "2 in the last minute", "Lag       1 min 30 s", "freshbooks ok", "order:5", "it lags"):
        assert part in text
    assert json.loads(json.dumps(found)) == found
    assert text_of(found, width=30, height=4).splitlines()[-1] == f"... {len(text.splitlines()) - 3} more lines"
    assert max(map(len, text_of(found, width=30).splitlines())) == 30


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_it_draws_again_until_it_is_ended(store: Store) -> None:
    drawn: list[str] = []
    clock = iter((NOW, NOW + 2))

    def wait(_seconds: float) -> bool:
        if len(drawn) == 1:
            control.pause(store, who="ana", reason="lunch", now=NOW)
        return len(drawn) == 2

    watch(store, every_s=2, show=drawn.append, size=lambda: (80, 20), wait=wait, now=lambda: next(clock))
    assert [text.startswith("\x1b[H\x1b[J") for text in drawn] == [True, True]
    assert "PAUSED" not in drawn[0] and "PAUSED by ana" in drawn[1]


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0 s"), (0.4, "0 s"), (59, "59 s"), (3600, "1 h"), (90_061, "1 d 1 h")]
)
def test_lengths_of_time_are_readable(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_spans_tell_kinds_and_outcomes_and_no_value(books: Books) -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from sync import flow
    from sync.connections import open_freshbooks
    from sync.flow import load_mappings
    from sync.worker import Context, Worker

    kept, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    store = open_store(books.settings.store_url)
    inbox.ingest(store, [envelope("order.created", order(id="1", orderNumber="WEB-1"))], source="file", now=NOW)
    traced = Watch(None, Traces(provider))
    with open_freshbooks(books.settings, lambda: store) as client, watched_by(traced.request):
        context = Context(books.settings, store, load_mappings(books.mappings), client, None, False, "r", lambda: NOW)
        context.watch = traced
        step = Worker(context, flow).step()  # type: ignore[arg-type]  # a module is a flow
    store.close()
    assert step is not None and step.fate == "done"
    spans = kept.get_finished_spans()
    work = [one for one in spans if one.name == "event"]
    told_of = [(one.attributes["record"], one.attributes["fate"]) for one in work if one.attributes]
    assert told_of == [("order:1", "done")]
    requests = [one for one in spans if one.name == "request"]
    assert requests and {one.parent.span_id for one in requests if one.parent} == {work[0].context.span_id}
    assert {one.attributes["outcome"] for one in requests if one.attributes} == {"200"}
    customer = order()["customer"]
    told = json.dumps([dict(one.attributes or {}) for one in spans])
    assert not [name for name, value in customer.items() if name != "id" and value and str(value) in told]
    provider.shutdown()


def test_traces_are_sent_where_the_environment_says() -> None:
    paths: list[str] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            paths.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_parts: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}"
            traces = open_traces({"OTEL_EXPORTER_OTLP_ENDPOINT": url})
            assert traces is not None
            with Watch(None, traces).delivery("clarity") as told:
                told("accepted")
            traces.close()
        finally:
            server.shutdown()
            thread.join()
    assert paths == ["/v1/traces"]


def test_traces_are_off_and_not_even_imported_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_traces({}) is None
    assert open_traces({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}) is None
    code = "import sys, sync.runner, sync.ingress, sync.admin; print([n for n in sys.modules if 'opentelemetry' in n])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match=r"pip install 'mapper-ai\[traces\]'"):
        open_traces({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"})
