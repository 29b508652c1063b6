"""Canaries: unique values in every customer field, card field, token and secret, and a search through all that is made.

Secrets may stand nowhere. Customer values may stand in the columns that `sync.store` names, and nowhere else: no log,
error, status, metric or other column. A dry run prints the requests it plans; that is what it is for.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from connectors.sandbox.faults import ScriptedFault
from connectors.sandbox.generator import dumps_exact
from connectors.webhooks import sign_clarity
from sync.store import CUSTOMER_VALUES
from tests.flows import MAPPINGS, ROOT, Books, envelope, order
from tests.starting import mapper_sync

PERSONAL = ("email", "firstName", "lastName", "company", "phone", "taxId")
ADDRESS = ("line1", "line2", "city", "postalCode", "company", "phone")
CARD = "4929717358346122"
SECRETS = {
    "card": CARD,
    "cvv": "Kanaricvv7391",
    "password": "Kanaripassword5528",
    "card-token": "Kanaricardtoken8841",
    "freshbooks-token": "Kanarifbtoken1177",
    "freshbooks-secret": "Kanarifbsecret2299",
    "refresh-token": "Kanarirefresh3301",
    "clarity-secret": "Kanariclaritysecret4417",
    "api-key": "Kanariapikey5531",
    "webhook-secret": "Kanariwebhook6643",
    "admin-token": "Kanariadmintoken7754",
    "token-key": "S2FuYXJpdG9rZW5rZXkwMDAwMDAwMDAwMDAwMDAwMDA=",
}


OPERATING = (
    ("errors", "order:92"),
    ("story", "order:91", "--show-payload"),
    ("story", "order:92", "--show-payload", "--json"),
    ("skip", "order:92", "--reason", "booked by hand"),
    ("top", "--once"),
    ("top", "--json"),
    ("alerts", "--json"),
    ("forget", "7791", "--dry-run", "--json"),
    ("pause", "--reason", "a look"),
    ("resume", "--json"),
    ("audit", "--json"),
)
"""What an operator may type; none of it shows a customer's value, for that there is --reveal."""


class Canaries:
    """Makes the values, and remembers every one."""

    def __init__(self) -> None:
        self.values: list[str] = []

    def new(self, name: str) -> str:
        # Letters only, so that formats of names, cities and companies take it.
        number = "".join(chr(ord("a") + int(digit)) for digit in f"{len(self.values):03d}")
        made = f"kanari{number}@mail-{number}.example" if name == "email" else f"Kanari{name.capitalize()}{number}"
        self.values.append(made)
        return made

    def order(self, number: str, **changes: Any) -> dict[str, Any]:
        """A fixture order, all its customer's fields and free texts are canaries, with card data beside its payment."""
        record = order("plain-card", id=f"9{number}", orderNumber=f"CAN-{number}")
        record["customer"] = {"id": f"77{number}", **{name: self.new(name) for name in PERSONAL}}
        for place in ("billingAddress", "shippingAddress"):
            record[place] = {**{name: self.new(name) for name in ADDRESS}, "country": "US", "state": "TX"}
        record |= {
            "notes": self.new("note"),
            "poNumber": self.new("po"),
            "customAttributes": {"gift": self.new("gift")},
        }
        record["paymentTerms"] = self.new("terms")
        for payment in record["payments"]:
            payment |= {"id": f"55{number}", "cardNumber": CARD, "cvv": SECRETS["cvv"], "token": SECRETS["card-token"]}
        record["password"] = SECRETS["password"]
        return {**record, **changes}

    def found_in(self, text: str) -> list[str]:
        """Canaries in a text, whatever its case or escaping."""
        folded = text.casefold()
        return sorted({value for value in self.values if value.casefold() in folded})


def secrets_in(text: str) -> list[str]:
    """Names of the secrets in a text; a card number also with blanks and dashes between its digits."""
    digits = re.sub(r"(?<=\d)[ -](?=\d)", "", text)
    return sorted(name for name, value in SECRETS.items() if value in text or value in digits)


def child(folder: Path, environ: Mapping[str, str], *arguments: str) -> str:
    """One mapper-sync command with --debug; what it wrote on both streams."""
    done = mapper_sync(*arguments, "--debug", environ=clean(environ), folder=folder)
    return done.stdout + done.stderr


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("MAPPER_", "FRESHBOOKS_", "CLARITY_"))}
    return {**kept, "PYTHONPATH": str(ROOT), **environ}


@contextmanager
def echoing(status: int, body: Callable[[str], Any]) -> Iterator[str]:
    """A server that refuses everything and repeats what it was sent: path, credentials and body."""

    class Echo(BaseHTTPRequestHandler):
        def answer(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            told = f"{self.path} {self.headers.get('Authorization')} {self.headers.get('X-Api-Key')} {sent}"
            raw = json.dumps(body(told)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PUT = do_PATCH = answer  # noqa: N815

        def log_message(self, *_parts: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def old_shape(told: str) -> Any:
    return {"response": {"errors": [{"errno": 1004, "field": "email", "message": told, "value": told}]}}


def clarity_shape(told: str) -> Any:
    return {"error": {"code": "refused", "message": told}}


@pytest.fixture
def canaries() -> Canaries:
    return Canaries()


def events_of(canaries: Canaries) -> list[dict[str, Any]]:
    """One of each fate: posted, held, refused by the server, unknown status, without an order, gone wrong."""
    wrong_total = canaries.order("2", total="999.99")
    unknown = canaries.order("4", status=canaries.new("status"), payments=[])
    bad_mail = canaries.order("5")
    bad_mail["customer"]["email"] = canaries.new("noaddress")
    strange = canaries.order("6", orderDate=canaries.new("date"))
    too_long = canaries.order("3")
    too_long["customer"]["firstName"] = canaries.new("x" * 40)
    again = canaries.order("7")
    again["customer"]["email"] = wrong_total["customer"]["email"]
    names = [canaries.order("1"), wrong_total, too_long, unknown, bad_mail, strange, again]
    found = [envelope("order.created", record) for record in names]
    found.append(
        envelope("payment.captured", {**canaries.order("8")["payments"][0], "orderId": "nobody", "amount": "1.00"})
    )
    found.append({"id": "odd", "type": "order.created", "data": {"resource": canaries.order("9")}})
    return found


def columns(store: Path) -> dict[tuple[str, str], str]:
    """All text of a store by table and column."""
    with sqlite3.connect(store) as conn:
        tables = [row[0] for row in conn.execute("select name from sqlite_master where type = 'table'")]
        found = {}
        for table in tables:
            cursor = conn.execute(f"select * from {table}")  # noqa: S608  names from the file itself
            names = [column[0] for column in cursor.description]
            rows = cursor.fetchall()
            for position, name in enumerate(names):
                found[table, name] = "\n".join(str(row[position]) for row in rows)
    conn.close()
    return found


def assert_clean_store(store: Path, canaries: Canaries) -> None:
    for (table, column), text in columns(store).items():
        assert not secrets_in(text), f"{table}.{column} holds {secrets_in(text)}"
        if (table, column) not in CUSTOMER_VALUES:
            assert not canaries.found_in(text), f"{table}.{column} holds {canaries.found_in(text)[:3]}"
    for file in store.parent.glob(f"{store.name}*"):
        assert not secrets_in(file.read_bytes().decode("latin-1")), f"{file.name} holds a secret"


def assert_clean_output(name: str, text: str, canaries: Canaries) -> None:
    assert not secrets_in(text), f"{name} holds {secrets_in(text)}"
    assert not canaries.found_in(text), f"{name} holds {canaries.found_in(text)[:3]}: {text[:2000]}"


def test_a_run_with_every_fate_tells_no_value(make_books: Callable[..., Books], canaries: Canaries) -> None:
    books = make_books(max_lengths={"client.fname": 30})
    books.sandbox.state.faults.script(ScriptedFault("server_error", "freshbooks", "GET", "clients", times=2))
    books.sandbox.state.faults.script(ScriptedFault("lost_answer", "freshbooks", "POST", "invoices", times=1))
    file = books.file(events_of(canaries))
    environ = {
        **books.environ(),
        "MAPPER_TOKEN_KEY": SECRETS["token-key"],
        "CLARITY_WEBHOOK_SECRET": SECRETS["webhook-secret"],
    }
    outputs = {"run": child(books.folder, environ, "run", "--mappings", str(MAPPINGS), "--events", str(file))}
    for words in ("status", "errors"):
        outputs[words] = child(books.folder, environ, words)
        outputs[f"{words} --json"] = child(books.folder, environ, words, "--json")
    for words in OPERATING:
        outputs[" ".join(words)] = child(books.folder, environ, *words)
        assert "unexpected error" not in outputs[" ".join(words)]
    outputs["replay"] = child(books.folder, environ, "replay", "order:92")
    outputs["run --json"] = child(books.folder, environ, "run", "--mappings", str(MAPPINGS), "--json")
    outputs["log"] = (books.folder / "store.db.log").read_text("utf-8")
    states = json.loads(outputs["status --json"])["inbox"]
    assert states["done"] and states["held"] and states["dead"], states
    for name, text in outputs.items():
        assert_clean_output(name, text, canaries)
    store = books.folder / "store.db"
    assert_clean_store(store, canaries)
    held_where_they_may = [text for place, text in columns(store).items() if place in CUSTOMER_VALUES]
    assert any(canaries.found_in(text) for text in held_where_they_may), "the search finds nothing at all"


def test_an_e_mail_that_is_a_natural_key_stands_in_no_message(
    make_books: Callable[..., Books], canaries: Canaries
) -> None:
    books = make_books()
    books.sandbox.state.faults.script(ScriptedFault("lost_answer", "freshbooks", "POST", "clients", times=1))
    record = canaries.order("1", payments=[])
    del record["customer"]["id"]
    file, environ = books.file([envelope("order.created", record)]), books.environ()
    run = ("run", "--mappings", str(MAPPINGS))
    outputs = {"in doubt": child(books.folder, environ, *run, "--events", str(file), "--max-wait", "0")}
    for words in (("status", "--json"), ("story", "order:91"), run, ("story", "order:91", "--json"), ("top", "--once")):
        outputs[" ".join(words)] = child(books.folder, environ, *words)
    outputs["log"] = (books.folder / "store.db.log").read_text("utf-8")
    assert "in-doubt" in outputs["log"] and "adopted" in outputs["log"]
    for name, text in outputs.items():
        assert_clean_output(name, text, canaries)
    assert canaries.found_in(columns(books.folder / "store.db")["ledger", "key"])  # the case that is meant
    assert not canaries.found_in(columns(books.folder / "store.db")["inbox", "reasons"])


@pytest.mark.parametrize("status", [400, 401, 422, 500])
def test_a_server_that_repeats_what_it_was_sent(tmp_path: Path, canaries: Canaries, status: int) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text(dumps_exact(envelope("order.created", canaries.order("1"))) + "\n", "utf-8")
    with echoing(status, old_shape) as books, echoing(status, clarity_shape) as shop:
        environ = {
            "MAPPER_STORE_URL": f"sqlite:///{tmp_path / 'store.db'}",
            "MAPPER_SETTLE_S": "0",
            "MAPPER_TOKEN_KEY": SECRETS["token-key"],
            "FRESHBOOKS_API_URL": books,
            "FRESHBOOKS_ACCOUNT_ID": "A1",
            "FRESHBOOKS_ACCESS_TOKEN": SECRETS["freshbooks-token"],
            "CLARITY_API_URL": shop,
            "CLARITY_API_KEY": SECRETS["api-key"],
        }
        if status == 500:
            del environ["CLARITY_API_URL"]  # its lists are asked for again and again, which takes seconds
        run = ("run", "--mappings", str(MAPPINGS), "--events", str(file), "--max-wait", "0")
        outputs = {"static token, API key": child(tmp_path, environ, *run)}
        for name in ("FRESHBOOKS_ACCESS_TOKEN", "CLARITY_API_KEY"):
            del environ[name]
        environ |= {
            "FRESHBOOKS_CLIENT_ID": "app",
            "FRESHBOOKS_CLIENT_SECRET": SECRETS["freshbooks-secret"],
            "FRESHBOOKS_REFRESH_TOKEN": SECRETS["refresh-token"],
            "CLARITY_CLIENT_ID": "shop",
            "CLARITY_CLIENT_SECRET": SECRETS["clarity-secret"],
        }
        outputs["sign-in"] = child(tmp_path, environ, *run)
        outputs["errors"] = child(tmp_path, environ, "status", "--json")
    assert "sign-in" in outputs["sign-in"] or "reconnect" in outputs["sign-in"] or "status 500" in outputs["sign-in"]
    outputs["log"] = (tmp_path / "store.db.log").read_text("utf-8")
    for name, text in outputs.items():
        assert_clean_output(name, text, canaries)
    assert_clean_store(tmp_path / "store.db", canaries)


def test_serving_tells_no_value(make_books: Callable[..., Books], canaries: Canaries) -> None:
    books = make_books()
    admin = {"MAPPER_ADMIN_TOKEN": SECRETS["admin-token"]}
    environ = {**books.environ(), "CLARITY_WEBHOOK_SECRET": SECRETS["webhook-secret"], **admin}
    serve = ("serve", "--mappings", str(MAPPINGS), "--port", "0", "--admin-port", "0", "--json", "--debug")
    server = subprocess.Popen(
        [sys.executable, "-m", "sync", *serve],
        cwd=books.folder,
        env=clean(environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    try:
        told = json.loads(server.stdout.readline())
        url, token = told["url"], {"Authorization": f"Bearer {SECRETS['admin-token']}"}
        answers = _deliver(url, events_of(canaries), canaries)
        for path in ("/status", "/errors", "/top", "/alerts", "/audit", "/story/order:91?payload=masked"):
            answer = httpx2.get(told["admin"] + path, headers=token)
            assert answer.status_code == 200
            answers.append(answer.text)
        wrong = {"Authorization": f"Bearer {canaries.new('token')}"}
        answers.append(httpx2.get(f"{told['admin']}/story/{canaries.new('record')}", headers=wrong).text)
        answers += [httpx2.get(url + path).text for path in ("/metrics", "/api/status", "/readyz", "/healthz")]
    finally:
        server.send_signal(signal.SIGTERM)
        out, err = server.communicate(timeout=30)
    assert "event settled" in err
    for name, text in {"answers": "\n".join(answers), "stdout": out, "stderr": err}.items():
        assert_clean_output(name, text, canaries)
    assert_clean_store(books.folder / "store.db", canaries)


def _deliver(url: str, events: list[dict[str, Any]], canaries: Canaries) -> list[str]:
    """Good deliveries, a wrong signature, broken JSON, a body that is no envelope; until something is posted."""
    bodies = [dumps_exact(body).encode() for body in events]
    broken = b'{"id": "x", "note": "' + canaries.new("broken").encode() + b'" oops'
    odd = json.dumps({"type": canaries.new("event"), "data": {"id": canaries.new("id")}}).encode()
    none = json.dumps([canaries.new("list")]).encode()
    answers = []
    for body in (*bodies, broken, none):
        headers = {"X-Clarity-Signature": sign_clarity(SECRETS["webhook-secret"], int(time.time()), body)}
        answers.append(httpx2.post(f"{url}/webhooks/clarity", content=body, headers=headers).text)
    wrong = {"X-Clarity-Signature": sign_clarity(canaries.new("wrong"), int(time.time()), bodies[0])}
    answers.append(httpx2.post(f"{url}/webhooks/clarity", content=odd, headers=wrong).text)
    form = {"name": "invoice.create", "object_id": "1", "verifier": SECRETS["card-token"], "account_id": "A1"}
    answers.append(httpx2.post(f"{url}/webhooks/freshbooks", data=form).text)
    while httpx2.get(f"{url}/api/status").json()["inbox"]["done"] == 0:
        threading.Event().wait(0.05)
    return answers


@pytest.mark.parametrize(
    "line",
    [
        '{{"type": "order.created", "note": "{0}" oops',
        '["{0}"]',
        '{{"kind": "{0}"}}',
        '{{"type": "order.created", "n": NaN{0}}}',
    ],
)
def test_a_file_that_cannot_be_read_is_not_quoted(tmp_path: Path, canaries: Canaries, line: str) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text(line.format(canaries.new("file")), "utf-8")
    environ = {
        "FRESHBOOKS_ACCOUNT_ID": "A1",
        "FRESHBOOKS_ACCESS_TOKEN": SECRETS["freshbooks-token"],
        "MAPPER_STORE_URL": f"sqlite:///{tmp_path / 'store.db'}",
    }
    told = child(tmp_path, environ, "run", "--mappings", str(MAPPINGS), "--events", str(file))
    assert "events.ndjson:1" in told
    assert_clean_output("error", told, canaries)


def test_settings_that_do_not_fit_do_not_show_a_secret(tmp_path: Path) -> None:
    environ = {
        "FRESHBOOKS_API_URL": f"https://me:{SECRETS['freshbooks-secret']}@[broken",
        "FRESHBOOKS_ACCESS_TOKEN": SECRETS["freshbooks-token"],
        "MAPPER_STORE_URL": f"postgresql://me:{SECRETS['token-key']}@127.0.0.1:1/none",
    }
    assert not secrets_in(child(tmp_path, environ, "status"))
    del environ["FRESHBOOKS_API_URL"]
    assert not secrets_in(child(tmp_path, environ, "status"))


def test_a_leak_would_be_found(
    make_books: Callable[..., Books], canaries: Canaries, monkeypatch: Any, caplog: Any
) -> None:
    """The negative control: a log line and a column that do leak make the search fail."""
    from sync import flow

    books = make_books()
    events = [envelope("order.created", canaries.order("1"))]
    known = flow._process

    def leaking(event: Any, context: Any, approved: Any) -> Any:
        flow.log.warning("order of %s", event.resource["customer"]["lastName"])
        return known(event, context, approved)

    monkeypatch.setattr(flow, "_process", leaking)
    books.run(*events)
    with pytest.raises(AssertionError, match="log holds"):
        assert_clean_output("log", caplog.text, canaries)
    with sqlite3.connect(books.folder / "store.db") as conn:
        conn.execute("update inbox set reasons = ?", (canaries.values[0],))
    conn.close()
    with pytest.raises(AssertionError, match=r"inbox\.reasons holds"):
        assert_clean_store(books.folder / "store.db", canaries)
