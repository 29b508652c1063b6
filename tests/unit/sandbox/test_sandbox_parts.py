"""Small parts of the stand-ins without a network: JSON, times, numbers, switches, faults, OAuth, signatures."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.sandbox.clarity_books import ClarityBooks
from connectors.sandbox.deliveries import WebhookSender
from connectors.sandbox.errors import ClarityError, OAuthError
from connectors.sandbox.faults import FaultPlan, ScriptedFault
from connectors.sandbox.invoices import next_number
from connectors.sandbox.oauth import FreshBooksOAuth
from connectors.sandbox.switches import Switches
from connectors.sandbox.times import eastern, iso_z, parse_instant
from connectors.sandbox.wire import dumps, loads

NOW = datetime(2026, 3, 1, 14, 5, 9, tzinfo=UTC)


class Watch:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def test_json_keeps_decimals_exact_and_knows_no_floats() -> None:
    assert dumps(loads('{"price": 0.1000, "name": "é\\"", "on": true}')) == (
        '{"price": 0.1000, "name": "\\u00e9\\"", "on": true}'
    )
    with pytest.raises(TypeError, match="float"):
        dumps({"price": 0.1})
    with pytest.raises(ValueError, match="NaN"):
        loads('{"price": NaN}')


def test_accounting_times_are_eastern_in_winter_and_summer() -> None:
    assert eastern(NOW) == "2026-03-01 09:05:09"
    assert eastern(datetime(2026, 7, 1, 2, 0, tzinfo=UTC)) == "2026-06-30 22:00:00"


def test_instants_without_offset_count_as_utc() -> None:
    assert iso_z(parse_instant("2026-03-01T09:05:09-05:00")) == "2026-03-01T14:05:09Z"
    assert parse_instant("2026-03-01T14:05:09") == NOW
    with pytest.raises(ValueError, match="Invalid"):
        parse_instant("yesterday")


@pytest.mark.parametrize(
    ("number", "following"), [("0000009", "0000010"), ("WEB-099", "WEB-100"), ("A-9", "A-10"), ("X", "X1")]
)
def test_invoice_numbers_count_up_at_the_end(number: str, following: str) -> None:
    assert next_number(number) == following


@pytest.mark.parametrize(
    "bad",
    [
        {"rounding": "up"},
        {"duplicate_number": "maybe"},
        {"fault_rates": {"explosion": 0.1}},
        {"fault_rates": {"slow": 0.7, "lost_answer": 0.7}},
        {"unit_cost_places": -1},
        {"no_such_switch": 1},
    ],
)
def test_switches_refuse_what_they_do_not_know(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="switch"):
        Switches().changed(**bad)


def test_rated_faults_repeat_with_the_seed_and_spare_tokens() -> None:
    switches = Switches(fault_rates={"lost_answer": 0.3, "server_error": 0.2}, fault_seed=7)

    def run() -> list[str | None]:
        plan = FaultPlan(lambda: switches)
        return [plan.choose("freshbooks", "POST", "/accounting/account/A/users/clients") for _ in range(200)]

    first = run()
    assert first == run()
    assert {"lost_answer", "server_error", None} == set(first)
    assert 40 <= first.count("lost_answer") <= 80
    plan = FaultPlan(lambda: Switches(fault_rates={"lost_answer": 1.0}))
    assert plan.choose("freshbooks", "POST", "/auth/oauth/token") is None


def test_scripted_faults_match_count_and_end() -> None:
    plan = FaultPlan(lambda: Switches())
    plan.script(ScriptedFault("lost_answer", "freshbooks", "POST", r"/payments$", times=2, skip=1))
    chosen = [plan.choose("freshbooks", "POST", "/accounting/account/A/payments/payments") for _ in range(4)]
    assert chosen == [None, "lost_answer", "lost_answer", None]
    plan.script(ScriptedFault("slow", method="POST"))
    assert plan.choose("clarity", "GET", "/api/v1/orders") is None
    for wrong in ({"kind": "bang"}, {"kind": "slow", "path": "("}, {"kind": "slow", "times": 0}):
        with pytest.raises(ValueError, match=r"fault|expression"):
            ScriptedFault(**wrong)


def oauth(watch: Watch) -> FreshBooksOAuth:
    server = FreshBooksOAuth("app", "hush", watch)
    server.grant("access-1", "refresh-1", life_s=100)
    return server


CLIENT = {"client_id": "app", "client_secret": "hush"}


def test_refresh_tokens_rotate_and_serve_once() -> None:
    watch = Watch()
    server = oauth(watch)
    fields = {**CLIENT, "grant_type": "refresh_token", "refresh_token": "refresh-1"}
    answer = server.token(fields, life_s=43_200)
    assert server.accepts(answer["access_token"])
    assert answer["created_at"] == int(NOW.timestamp())
    assert answer["expires_in"] == 43_200
    with pytest.raises(OAuthError) as refused:
        server.token(fields, life_s=43_200)
    assert (refused.value.status, refused.value.error) == (400, "invalid_grant")
    server.token({**fields, "refresh_token": answer["refresh_token"]}, life_s=43_200)


def test_access_tokens_die_in_time_and_on_revocation() -> None:
    watch = Watch()
    server = oauth(watch)
    assert server.accepts("access-1")
    assert not server.accepts("access-2")
    watch.now += timedelta(seconds=100)
    assert not server.accepts("access-1")
    server.grant("access-3", "refresh-3", life_s=100)
    server.revoke({**CLIENT, "token": "access-3"})
    assert not server.accepts("access-3")


def test_codes_live_five_minutes_and_belong_to_their_redirect() -> None:
    watch = Watch()
    server = oauth(watch)
    back = "https://tool.example/back"
    fields = {**CLIENT, "grant_type": "authorization_code", "redirect_uri": back}
    late, foreign, good = (server.new_code(back) for _ in range(3))
    with pytest.raises(OAuthError):
        server.token({**fields, "code": foreign, "redirect_uri": "https://other.example"}, life_s=1)
    assert server.token({**fields, "code": good}, life_s=1)["token_type"] == "Bearer"
    with pytest.raises(OAuthError):
        server.token({**fields, "code": good}, life_s=1)
    watch.now += timedelta(minutes=5)
    with pytest.raises(OAuthError):
        server.token({**fields, "code": late}, life_s=1)


@pytest.mark.parametrize("uri", ["http://tool.example/back", "https://tool.example/back?x=1", "", "ftp://a"])
def test_redirects_need_https_and_no_query(uri: str) -> None:
    with pytest.raises(OAuthError) as refused:
        oauth(Watch()).new_code(uri)
    assert refused.value.error == "invalid_redirect_uri"


def test_wrong_client_secret_and_unknown_grants_are_refused() -> None:
    server = oauth(Watch())
    with pytest.raises(OAuthError) as wrong:
        server.token({**CLIENT, "client_secret": "loud", "grant_type": "refresh_token"}, life_s=1)
    assert (wrong.value.status, wrong.value.error) == (401, "invalid_client")
    with pytest.raises(OAuthError) as unknown:
        server.token({**CLIENT, "grant_type": "client_credentials"}, life_s=1)
    assert unknown.value.error == "unsupported_grant_type"


def test_webhook_signature_is_an_hmac_over_time_and_raw_body() -> None:
    sender = WebhookSender("key", lambda: Switches(), Watch())
    raw = '{"id": "evt_1", "name": "Núñez"}'.encode()
    expected = hmac.new(b"key", b"1772373909." + raw, hashlib.sha256).hexdigest()
    assert sender.sign(raw, 1_772_373_909) == f"t=1772373909,v1={expected}"
    with pytest.raises(ValueError, match="http"):
        sender.register("ftp://127.0.0.1/hook")


def clarity(events: list[tuple[str, str]]) -> ClarityBooks:
    books = ClarityBooks(Watch())
    books.on_event = lambda kind, entity, record: events.append((kind, str(record["id"])))
    return books


def test_events_follow_from_what_happened() -> None:
    events: list[tuple[str, str]] = []
    books = clarity(events)
    books.put("orders", {"id": "1", "status": "Processing"})
    books.put("orders", {"id": "1", "status": "Shipped"})
    books.put("orders", {"id": "1", "status": "Cancelled"})
    books.put("customers", {"id": 5})
    for status in ("authorized", "captured", "failed", "voided", "refunded"):
        books.put("payments", {"id": "9", "status": status})
    books.put("refunds", {"id": "3"})
    books.put("products", {"id": "7"}, silent=True)
    assert events == [
        ("order.created", "1"),
        ("order.updated", "1"),
        ("order.cancelled", "1"),
        ("customer.created", "5"),
        ("payment.captured", "9"),
        ("payment.failed", "9"),
        ("payment.voided", "9"),
        ("payment.refunded", "9"),
        ("refund.created", "3"),
    ]
    assert books.get("products", "7")["updatedAt"] == "2026-03-01T14:05:09Z"


def test_lists_filter_inclusively_sort_and_page() -> None:
    books = clarity([])
    for number, hour in ((1, 3), (2, 1), (3, 2)):
        books.put("orders", {"id": str(number), "updatedAt": f"2026-03-01T0{hour}:00:00Z", "status": "Shipped"})
    page = books.page("orders", {"updatedSince": "2026-02-28T21:00:00-05:00"})
    assert [record["id"] for record in page["data"]] == ["3", "1"]
    page = books.page("orders", {"page": "2", "pageSize": "2", "status": "shipped"})
    assert ([record["id"] for record in page["data"]], page["totalCount"], page["totalPages"]) == (["1"], 3, 2)
    assert books.page("refunds", {}) == {"data": [], "page": 1, "pageSize": 50, "totalCount": 0, "totalPages": 0}
    assert books.page("orders", {"pageSize": "1000"})["pageSize"] == 100
    for bad in ({"page": "0"}, {"pageSize": "x"}, {"updatedSince": "soon"}, {"sort": "total"}):
        with pytest.raises(ClarityError) as refused:
            books.page("orders", bad)
        assert (refused.value.status, refused.value.code) == (400, "invalid_parameter")


def test_records_are_copied_on_the_way_in() -> None:
    books = clarity([])
    order: dict[str, Any] = {"id": "1", "total": Decimal("1.10")}
    books.put("orders", order)
    order["total"] = Decimal(0)
    assert books.get("orders", "1")["total"] == Decimal("1.10")
