"""Every setting that code reads, changed one at a time, changes what the code does. One case a number."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import pytest
from pydantic import SecretStr

from connectors.clarity import Clarity
from connectors.errors import RejectedError
from connectors.freshbooks import FreshBooks
from connectors.http import Pace
from connectors.profiles import SystemProfile, load_profile
from connectors.registry import Known
from connectors.tokens import StaticToken
from mapper_ai.services.carried import carried_by, with_corrections
from mapper_ai.services.kinds import KINDS, blueprint
from mapspec import Lookup, compile_spec, load_spec
from sync import signin
from sync.assumptions import broken, is_test
from sync.connections import open_clarity
from sync.envelope import file_delivery, lane_of, parse_delivery, version_of
from sync.inbox import ingest
from sync.ingress import webhook_scheme
from sync.lookups import Finder
from sync.poll import poll_clarity
from sync.reading import assumed, reading_of
from sync.records import latest
from sync.scopes import needed_scopes
from sync.settings import ClaritySettings, Settings, load_settings
from sync.signin_settings import SignInSettings
from sync.store import open_store
from tests.flows import MAPPINGS, order
from tests.two_ways import assert_same, both_ways

SHIPPED = load_profile("clarity-rest")
Answer = Callable[[str, Mapping[str, str], Mapping[str, str]], tuple[int, Any]]


def changed(**values: Any) -> SystemProfile:
    return SHIPPED.with_settings(values)


class Shop:
    """A server that answers what a test says and remembers method, path, query and headers."""

    def __init__(self, answer: Answer) -> None:
        self.seen: list[tuple[str, str, dict[str, str], dict[str, str], str]] = []
        seen = self.seen

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def reply(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                query, headers = dict(parse_qsl(parts.query)), dict(self.headers.items())
                seen.append((self.command, parts.path, query, headers, body))
                status, value = answer(parts.path, query, headers)
                raw = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_POST = do_PATCH = reply  # noqa: N815

            def log_message(self, *_parts: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def shop(answer: Answer) -> Iterator[Shop]:
    made = Shop(answer)
    try:
        yield made
    finally:
        made.close()


def listed(profile: SystemProfile, answer: Answer, **more: Any) -> tuple[list[Any], Shop]:
    with shop(answer) as server, Clarity(base_url=server.url, tokens=StaticToken("key"), profile=profile, **more) as it:
        rows = list(it.list_updated("order", None))
    return rows, server


def one_page(*_request: Any) -> tuple[int, Any]:
    return 200, {"data": [{"id": 1}], "page": 1, "totalPages": 1}


def signed_in(profile: SystemProfile) -> tuple[dict[str, str], dict[str, str], str]:
    """Path, form and Authorization header of the token request, through the runner's own settings."""

    def answer(path: str, *_rest: Any) -> tuple[int, Any]:
        return one_page() if path.startswith("/api") else (200, {"access_token": "t"})

    with shop(answer) as server:
        clarity = ClaritySettings(api_url=server.url, client_id="me", client_secret=SecretStr("hush"))
        source = open_clarity(Settings(clarity=clarity, source=Known("clarity-rest", "shipped", profile)))
        assert source is not None
        list(source.list_updated("order", None))
        source.close()
    _, path, _, headers, body = server.seen[0]
    return {"path": path}, dict(parse_qsl(body)), headers.get("Authorization", "")


def test_a1_path_of_the_api() -> None:
    assert listed(changed(A1="/rest/v9"), one_page)[1].seen[0][1] == "/rest/v9/orders"


def test_a2_sign_in() -> None:
    place, form, header = signed_in(SHIPPED)
    assert (place["path"], form["client_secret"], header) == ("/oauth/token", "hush", "")
    place, form, header = signed_in(changed(A2={"path": "/login", "secret_in": "basic"}))
    assert place["path"] == "/login"
    assert "client_secret" not in form
    assert header == "Basic bWU6aHVzaA=="


def test_a3_consent_of_a_person_in_the_ways_of_a1_and_a2(tmp_path: Path) -> None:
    """From the address to a renewed token: where it is asked for, and how the application names itself."""
    profile = changed(
        A1="/rest/v9",
        A2={"secret_in": "basic", "life_s": 60},
        A3={"authorize_path": "/consent", "token_path": "/swap", "pkce": False},
        A4={"read": "all:read"},
    )

    def answer(path: str, *_rest: Any) -> tuple[int, Any]:
        if path == "/swap":
            return 200, {"access_token": "t", "refresh_token": "r", "created_at": 1}
        return one_page()

    with shop(answer) as server:
        settings = Settings(
            store_url=f"sqlite:///{tmp_path}/mapper.db",
            clarity=ClaritySettings(api_url=server.url, client_id="me", client_secret=SecretStr("hush")),
            sign_in=SignInSettings(clarity_grant="authorization_code"),
            source=Known("clarity-rest", "shipped", profile),
        )
        scopes = needed_scopes("clarity", MAPPINGS, settings)
        url = urlsplit(signin.begin(settings, "clarity", scopes=scopes))
        assert (url.path, "code_challenge" in url.query) == ("/consent", False)
        assert dict(parse_qsl(url.query))["scope"] == "all:read"
        signin.finish(settings, "clarity", "abcdef123456")
        source = open_clarity(settings)
        assert source is not None
        with closing(source):
            list(source.list_updated("order", None))
    assert [row[1] for row in server.seen] == ["/swap", "/swap", "/rest/v9/orders"]
    for row in server.seen[:2]:
        assert "client_secret" not in row[4]
        assert row[3]["Authorization"] == "Basic bWU6aHVzaA=="
    assert "code_verifier" not in server.seen[0][4]
    shipped = settings.model_copy(update={"source": None})
    assert needed_scopes("clarity", MAPPINGS, shipped) == tuple(sorted(SHIPPED.assumed("A4", "read").split()))


def test_a4_scopes_and_a43_asks_for_writing() -> None:
    assert signed_in(changed(A4={"read": "all:read"}))[1]["scope"] == "all:read"
    assert signed_in(changed(A43={"enabled": True}))[1]["scope"].endswith("orders:write customers:write")


def test_a5_header_of_an_api_key() -> None:
    def headers(profile: SystemProfile) -> dict[str, str]:
        with shop(one_page) as server:
            clarity = ClaritySettings(api_url=server.url, api_key=SecretStr("key"))
            source = open_clarity(Settings(clarity=clarity, source=Known("clarity-rest", "shipped", profile)))
            assert source is not None
            with closing(source):
                list(source.list_updated("order", None))
        return server.seen[0][3]

    shown = headers(changed(A5="X-Shop-Key"))
    assert (shown.get("X-Shop-Key"), shown.get("Authorization")) == ("key", None)
    assert headers(changed(A5="Authorization"))["Authorization"] == "Bearer key"


def test_a6_lists_and_one_record() -> None:
    profile = changed(A6={"order": "sales/orders", "one": "/{list}/by-id/{id}"})
    assert profile.entity("order").path == "sales/orders"
    with shop(lambda *_: (200, {"id": "a b"})) as server:
        with Clarity(base_url=server.url, tokens=StaticToken("t"), profile=profile) as clarity:
            clarity.get("order", "a b")
        assert server.seen[0][1] == "/api/v1/sales/orders/by-id/a%20b"


def test_a7_paging() -> None:
    def answer(_path: str, query: Mapping[str, str], _headers: Any) -> tuple[int, Any]:
        return 200, {"rows": [{"id": f"{query['p']}"}], "all": 3}

    names = {"page_param": "p", "size_param": "n", "first": 0, "size": 1, "rows_key": "rows", "total_key": "all"}
    rows, server = listed(changed(A7=names), answer)
    assert [row["id"] for row in rows] == ["0", "1", "2"]
    assert server.seen[0][2]["n"] == "1"


def test_a8_names_of_the_filter_and_the_overlap(tmp_path: Path) -> None:
    profile = changed(A8={"since_param": "changed", "sort_param": "by", "updated": "modified", "overlap_s": 60})
    store = open_store(f"sqlite:///{tmp_path / 's.db'}")
    rows = [{"id": 1, "modified": "2026-03-01T10:00:00Z"}]
    overlap_s, reading = assumed(profile, "A8")["overlap_s"], reading_of(profile)
    with (
        shop(lambda *_: (200, {"data": rows, "totalPages": 1})) as server,
        Clarity(base_url=server.url, tokens=StaticToken("t"), profile=profile) as clarity,
    ):
        for _ in range(2):
            poll_clarity(store, clarity, now=1.8e9, overlap_s=overlap_s, entities=["order"], reading=reading)
    store.close()
    assert server.seen[0][2]["by"] == "modified"
    assert server.seen[1][2]["changed"] == "2026-03-01T09:59:00Z"


def test_a9_rows_that_are_not_complete_are_fetched() -> None:
    def answer(path: str, *_rest: Any) -> tuple[int, Any]:
        return one_page() if path.endswith("/orders") else (200, {"id": 1, "whole": True})

    assert listed(SHIPPED, answer)[0] == [{"id": 1}]
    assert listed(changed(A9=False), answer)[0] == [{"id": 1, "whole": True}]


def test_a10_requests_a_minute() -> None:
    clock, slept = [0.0], []
    pace = Pace(2, clock=lambda: clock[0], sleep=slept.append)
    for _ in range(3):
        pace.wait()
    assert slept == [60.0]
    with Clarity(base_url="http://x.example", tokens=StaticToken("t"), profile=changed(A10=7)) as clarity:
        assert clarity._api._pace is not None
        assert clarity._api._pace._sent.maxlen == 7
    with Clarity(base_url="http://x.example", tokens=StaticToken("t"), profile=changed(A10="none")) as clarity:
        assert clarity._api._pace is None


def test_a11_names_of_an_error() -> None:
    def answer(*_request: Any) -> tuple[int, Any]:
        return 422, {"fault": {"id": "no-go", "says": "not today"}}

    with pytest.raises(RejectedError, match="no-go: not today"):
        listed(changed(A11={"member": "fault", "code": "id", "message": "says"}), answer)
    with pytest.raises(RejectedError, match="no readable reason"):
        listed(SHIPPED, answer)


ENVELOPE = {"type": "kind", "data": "body", "record": "key", "resource": "now", "updated": "changed", "id": "no"}


def test_a12_members_of_a_webhook() -> None:
    raw = json.dumps(
        {
            "no": "e1",
            "kind": "order.created",
            "body": {"key": "7", "changed": "2026-01-01T00:00:00Z", "now": {"id": "7"}},
        }
    ).encode()
    reading = reading_of(changed(A12=ENVELOPE))
    filing = file_delivery(parse_delivery(raw, reading), reading)
    assert (filing.delivery_id, filing.record_key, filing.version) == ("e1", "order:7", "2026-01-01T00:00:00.000000Z")
    with pytest.raises(ValueError, match="type"):
        parse_delivery(raw)


def test_a13_and_a14_scheme_of_webhooks(tmp_path: Path) -> None:
    profile = changed(A13={"header": "X-Sig", "tolerance_s": 9}, A14={"answer_within_s": 3})
    scheme = webhook_scheme(Settings(source=Known("clarity-rest", "shipped", profile)))
    assert (scheme.header, scheme.tolerance_s, scheme.answer_within_s) == ("X-Sig", 9.0, 3.0)
    config = tmp_path / "mapper.toml"
    config.write_text("[systems.clarity-rest.settings]\nA13.secrets = 1\n")
    with pytest.raises(Exception, match="holds 2 secrets, 1 may be valid"):
        load_settings({"CLARITY_WEBHOOK_SECRET": "a,b"}, config)


def filed(profile: SystemProfile, body: Mapping[str, Any]) -> Any:
    reading = reading_of(profile)
    return file_delivery(parse_delivery(json.dumps(body).encode(), reading), reading)


def test_a15_events_that_are_worked_on() -> None:
    body = {"type": "order.placed", "data": {"object": "order", "id": "1"}}
    assert not filed(SHIPPED, body).handled
    assert filed(changed(A15=["order.placed"]), body).handled


def test_a15_is_not_about_what_was_asked_for(tmp_path: Path) -> None:
    reading = reading_of(changed(A15=["order.placed"]))
    body = {"type": "product.updated", "data": {"object": "product", "id": "1", "resource": {"id": "1"}}}
    with closing(open_store(f"sqlite:///{tmp_path / 's.db'}")) as store:
        sent = ingest(store, [{**body, "id": "sent"}], source="webhook", now=1.0, reading=reading)
        asked = ingest(store, [{**body, "id": "asked"}], source="poll", now=1.0, reading=reading)
    assert (sent.ignored, asked.new) == (1, 1)


def test_a16_snapshots_that_cannot_be_used_are_not_kept(tmp_path: Path) -> None:
    body = {"type": "order.created", "id": "e", "data": {"id": "1", "resource": {"id": "1", "total": "1"}}}
    store = open_store(f"sqlite:///{tmp_path / 's.db'}")
    ingest(store, [body], source="webhook", now=1.0, reading=reading_of(changed(A16=False)))
    assert latest(store, "order:1") is None
    ingest(store, [{**body, "id": "f"}], source="webhook", now=1.0, reading=reading_of(SHIPPED))
    assert latest(store, "order:1") is not None
    store.close()


def test_a17_member_of_the_id() -> None:
    profile = changed(A17="key")
    assert filed(profile, {"type": "order.created", "data": {"resource": {"key": 5}}}).record_key == "order:5"
    with (
        shop(lambda *_: (200, {"key": 5})) as server,
        Clarity(base_url=server.url, tokens=StaticToken("t"), profile=profile) as clarity,
    ):
        assert clarity.get("order", 5) == {"key": 5}


def test_a18_order_number() -> None:
    profile = changed(A18={"member": "no", "max_length": 3})
    assert filed(profile, {"type": "order.created", "data": {"id": 1, "resource": {"no": "W-1"}}}).number == "W-1"
    assert next(f for f in profile.fields("order") if f.path == "orderNumber").max_length == 3
    assert numbers("order", {"no": "1234"}, profile) == ["A18"]


def numbers(entity: str, record: Mapping[str, Any], profile: SystemProfile) -> list[str]:
    return [row.number for row in broken(entity, record, profile, reading_of(profile))]


def test_a21_zone_of_times_without_offset() -> None:
    chicago = changed(A21="America/Chicago")
    assert version_of("2026-03-01T10:00:00", reading_of(chicago).zone) == "2026-03-01T16:00:00.000000Z"
    assert version_of("2026-03-01T10:00:00", reading_of(SHIPPED).zone) == "2026-03-01T10:00:00.000000Z"
    assert with_corrections(blueprint("order-to-invoice"), chicago).settings["timezone"] == "America/Chicago"


def test_a28_customer_of_an_order() -> None:
    reading = reading_of(changed(A28={"embedded": "buyer", "by_id": "buyerId"}))
    assert lane_of("order", "order:1", {"buyer": {"id": 4}}, reading) == "customer:4"
    assert lane_of("order", "order:1", {"buyerId": 5, "customerId": 6}, reading) == "customer:5"


@pytest.mark.parametrize(
    ("entity", "record", "setting", "value", "number"),
    [
        ("order", {"total": "1.00001"}, "A19", 5, "A19"),
        ("order", {"total": "1.00001"}, "A19", 4, None),
        ("order", {"billingAddress": {"country": "Norway"}}, "A29", "names", "A29"),
        ("order", {"status": "Baking"}, "A30", ["Baking"], "A30"),
        ("order", {"paymentStatus": "iou"}, "A31", {"states": ["iou"]}, "A31"),
        ("payment", {"status": "booked"}, "A33", {"all": ["booked"]}, "A33"),
        ("refund", {"amount": "1", "taxAmount": "2"}, "A34", "net", "A34"),
        ("order", {"status": "Cancelled", "lineItems": []}, "A41", False, "A41"),
    ],
)
def test_records_are_compared_with_the_settings(
    entity: str, record: dict[str, Any], setting: str, value: Any, number: str | None
) -> None:
    before, after = numbers(entity, record, SHIPPED), numbers(entity, record, changed(**{setting: value}))
    if number is None:
        assert before == after == ["A19"]
    else:
        assert (before, after) == ([number], [])


def test_a36_how_skus_are_compared() -> None:
    class Books:
        def find_items_by_sku(self, _sku: str) -> list[dict[str, Any]]:
            return [{"sku": "abc"}, {"sku": "ABC"}]

    books, wanted = cast(FreshBooks, Books()), Lookup("sku", "item", "sku", "ABC", "line 1")
    assert len(Finder(books, lambda: 0.0).find(wanted)) == 2
    exact = Finder(books, lambda: 0.0, exact_skus=True)
    assert exact.find(wanted) == exact.find(wanted) == [{"sku": "ABC"}]


def test_a38_attributes_in_both_forms() -> None:
    rows = [{"key": "test", "value": "true"}]
    assert reading_of(SHIPPED).record({"customAttributes": rows}) == {"customAttributes": {"test": "true"}}
    assert reading_of(changed(A38="extras")).record({"extras": rows}) == {"extras": {"test": "true"}}


def test_a39_how_exact_totals_are() -> None:
    record = order("plain-card")
    record["total"] = str(Decimal(record["total"]) + Decimal("0.02"))
    record["payments"] = []

    def reasons(profile: SystemProfile) -> set[str]:
        spec = with_corrections(blueprint("order-to-invoice"), profile)
        compiled = compile_spec(spec)
        assert_same(*both_ways(compiled, record))
        return {reason.id for reason in compiled.apply(record).reasons}

    assert "totals-do-not-add-up" in reasons(SHIPPED)
    assert "totals-do-not-add-up" not in reasons(changed(A39="0.02"))


def test_a40_event_of_an_edited_order() -> None:
    body = {"type": "order.edited", "data": {"object": "order", "id": "1"}}
    assert not filed(SHIPPED, body).handled
    assert (filed(changed(A40="order.edited"), body).handled, filed(changed(A40="order.edited"), body).event) == (
        True,
        "order.updated",
    )


def test_a43_the_way_back_is_off_and_writes_listed_members_only() -> None:
    with shop(lambda *_: (200, {"id": 1})) as server:
        with Clarity(base_url=server.url, tokens=StaticToken("t")) as clarity, pytest.raises(ValueError, match="A43"):
            clarity.update("order", 1, {"paymentStatus": "paid"})
        on = changed(A43={"enabled": True})
        with Clarity(base_url=server.url, tokens=StaticToken("t"), profile=on) as clarity:
            with pytest.raises(ValueError, match="total is not written back"):
                clarity.update("order", 1, {"total": "1"})
            with pytest.raises(ValueError, match="payment: status is not written back"):
                clarity.update("payment", 1, {"status": "captured"})
            assert clarity.update("order", 1, {"paymentStatus": "paid"}) == {"id": 1}
    assert [(row[0], row[1], row[4]) for row in server.seen] == [
        ("PATCH", "/api/v1/orders/1", '{"paymentStatus":"paid"}')
    ]


def test_a47_test_orders() -> None:
    def marked(profile: SystemProfile, record: Mapping[str, Any]) -> bool:
        return is_test(record, profile, reading_of(profile))

    assert marked(SHIPPED, {"test": True})
    assert marked(SHIPPED, {"customAttributes": {"test": "yes"}})
    assert not marked(changed(A47={"skip": False}), {"test": True})
    assert marked(changed(A47={"member": "demo"}), {"demo": 1})


CARRIED = {
    "A20": "EUR",
    "A21": "Europe/Oslo",
    "A22": "vat",
    "A23": "gross",
    "A24": {"total": "rebate"},
    "A25": {"shipping": "freight"},
    "A26": "extras",
    "A27": {"quantity": "pieces"},
    "A28": {"embedded": "buyer"},
    "A30": ["Baking"],
    "A31": {"invoice_from": ["Baking"]},
    "A32": "deducted",
    "A33": {"counting": ["captured"]},
    "A35": ["voucher"],
    "A37": {"meaning": "gross"},
    "A39": "0.02",
    "A42": 30,
    "A47": {"member": "demo"},
}


@pytest.mark.parametrize("number", CARRIED)
def test_a_mapping_that_says_otherwise_is_found(number: str) -> None:
    specs = [load_spec(path.read_text("utf-8"), where=path.name) for path in sorted(MAPPINGS.glob("*.yaml"))]
    profile = changed(**{number: CARRIED[number]})

    def disagreeing(known: SystemProfile) -> set[str]:
        return {row.number for spec in specs for row in carried_by(spec, known) if not row.agrees}

    assert disagreeing(SHIPPED) == set()
    assert disagreeing(profile) == {number}


def test_proposals_take_what_was_corrected() -> None:
    profile = changed(A20="EUR", A42=14)
    settings = with_corrections(blueprint("order-to-invoice"), profile).settings
    assert (settings["default_currency"], settings["default_terms"]) == ("EUR", "14")
    assert len(KINDS) >= 4


def test_every_number_is_read_somewhere() -> None:
    silent = [n for n, s in SHIPPED.settings.items() if not s.elsewhere and (not s.read_by or not s.type)]
    assert silent == []
    told = {n for n, s in SHIPPED.settings.items() if "mapping" in s.read_by}
    assert told <= {n for n, s in SHIPPED.settings.items() if s.carried}
    assert told <= set(CARRIED)
