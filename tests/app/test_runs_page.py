"""The Runs page on a real run against the sandbox: live state, error inbox, stories, proposals, by store and by API."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from pydantic import SecretStr
from studio_app import Studio, button, press, shown

from connectors.sandbox.server import Sandbox, running_sandbox
from mapper_ai.errors import InputError, MapperError
from mapper_ai.services.operating import ApiOperator, NoStore, Operator, StoreOperator, open_operator
from mapper_ai.ui.session import runner
from sync.admin_server import admin_api
from sync.runner import run
from sync.settings import load_settings
from sync.store import Store, open_store

TOKEN = "correct-horse-battery"


@pytest.fixture
def sandbox(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox of which everything has been run once."""
    with running_sandbox() as started:
        started.seed(seed=7, orders=24)
        for name, value in {
            "FRESHBOOKS_API_URL": started.freshbooks_url,
            "FRESHBOOKS_ACCOUNT_ID": started.account_id,
            "FRESHBOOKS_ACCESS_TOKEN": started.access_token,
            "CLARITY_API_URL": started.clarity_url,
            "CLARITY_CLIENT_ID": started.client_id,
            "CLARITY_CLIENT_SECRET": started.client_secret,
            "MAPPER_SETTLE_S": "0",
        }.items():
            monkeypatch.setenv(name, value)
        run(load_settings(), studio.mappings)
        yield started


@pytest.fixture
def store(sandbox: Sandbox) -> Iterator[Store]:
    with closing(open_store(load_settings().store_url)) as opened:
        yield opened


@contextmanager
def serving(store: Store) -> Iterator[str]:
    """The admin API's address."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        admin_api(store, {"ana": TOKEN}, listener, now=time.time) as url,
    ):
        yield url


@pytest.fixture(params=["store", "api"])
def operator(request: pytest.FixtureRequest, store: Store) -> Iterator[Operator]:
    """The same questions and deeds, of the store itself and over the admin API."""
    if request.param == "store":
        yield StoreOperator(load_settings().store_url, "ana")
        return
    with serving(store) as url:
        yield ApiOperator(url, SecretStr(TOKEN), "béa")


def test_store_and_api_answer_alike(operator: Operator) -> None:
    held = operator.read("errors")
    assert {group["reason_id"] for group in held} >= {"order-not-posted", "missing-order-number"}
    assert operator.read("top")["inbox"]["held"] == sum(group["count"] for group in held)
    steps = operator.read("pace", span="hour")["steps"]
    assert sum(step["done"] for step in steps) == operator.read("overview")["inbox"]["done"]
    assert operator.read("backfills") == operator.read("proposals") == []
    told = operator.story("WEB-26-10001", "masked")
    assert list(told["mappings"].values()) == ["clarity-freshbooks/order-to-invoice v1"]
    assert "payload" in told["deliveries"][0]
    assert operator.do("replay", reason="no-lines")["replayed"] == ["order:10014"]
    assert operator.do("skip", record="order:10012", reason="booked by hand")["until"] == "replay"
    assert operator.do("pause", reason="lunch")["paused"]["reason"] == "lunch"
    assert operator.read("audit")[0]["who"] == (
        "ana" if isinstance(operator, StoreOperator) else "béa (said by token ana)"
    )
    assert operator.do("resume")["resumed"]
    with pytest.raises(Exception, match="no record"):
        operator.story("nothing-like-this")


def test_showing_values_as_they_are_is_written_down(operator: Operator) -> None:
    masked, whole = (str(operator.story("WEB-26-10001", how)) for how in ("masked", "whole"))
    assert len(whole) > len(masked)
    assert "@" in whole
    assert "@" not in masked
    assert [deed["what"] for deed in operator.read("audit")] == ["reveal"]


def test_the_address_of_the_api_is_on_this_machine_and_its_token_is_never_shown(studio: Studio) -> None:
    environ = {"MAPPER_ADMIN_TOKEN": f"bob:another-long-token,ana:{TOKEN}"}
    found = open_operator("ana", {**environ, "MAPPER_ADMIN_URL": "http://127.0.0.1:9/"})
    assert isinstance(found, ApiOperator)
    assert (found.url, found.token.get_secret_value()) == ("http://127.0.0.1:9", TOKEN)
    assert TOKEN not in repr(found) + found.place
    with pytest.raises(MapperError, match="does not answer"):
        found.read("top")
    with pytest.raises(InputError, match="on this machine"):
        open_operator("ana", {**environ, "MAPPER_ADMIN_URL": "http://runner.example:80"})


def test_a_wrong_token_says_what_to_set(store: Store) -> None:
    with serving(store) as url, pytest.raises(MapperError, match="set its MAPPER_ADMIN_TOKEN"):
        ApiOperator(url, SecretStr("quite-another-token"), "béa").read("top")


def test_without_a_store_nothing_is_made_and_the_page_says_so(studio: Studio) -> None:
    with pytest.raises(NoStore):
        StoreOperator(load_settings().store_url, "ana").read("top")
    for part in ("Overview", "Error inbox", "Waiting for you", "By hand"):
        assert "has not worked on this store yet" in shown(studio.page("runs", show=part))


def test_the_overview_shows_the_books_the_pace_and_the_runs(studio: Studio, sandbox: Sandbox) -> None:
    app = studio.page("runs")
    posted = app.dataframe[0].value.set_index("What")
    assert posted.loc["invoice", "How many"] == f"{len(sandbox.state.freshbooks.tables['invoice'])} in the books"
    assert {metric.label: metric.value for metric in app.metric}["Held"] == "8"
    assert len(app.get("vega_lite_chart")) == 2
    app = press(app, "run-now")
    assert runner().wait("run", 120).phase == "done"
    app = press(studio.page("runs"), "run-now")
    runner().wait("run", 120)
    app = studio.page("runs")
    assert app.dataframe[-1].value["Kind"].tolist() == ["Run", "Run"]
    assert len(app.get("vega_lite_chart")) == 3


def test_what_failed_is_grouped_by_cause_and_tried_again_or_skipped(studio: Studio, sandbox: Sandbox) -> None:
    app = studio.page("runs", show="Error inbox")
    assert app.dataframe[0].value["Cause"].tolist()[0] == "order-not-posted"
    press(app, "replay-cause")
    assert "order-not-posted" not in shown(studio.page("runs", show="Error inbox"))
    app = studio.page("runs", show="Error inbox")
    record = str(app.dataframe[1].value["Record"].tolist()[0])
    (why,) = [entry for entry in app.text_input if str(entry.key).startswith("skip-why-")]
    why.set_value("booked by hand").run()
    press(app, "skip-one")
    assert record not in shown(studio.page("runs", show="Error inbox"))
    text = shown(studio.page("runs", show="By hand"))
    assert "booked by hand" in text
    assert "replay" in text


def test_a_record_is_followed_from_the_delivery_to_the_invoice(studio: Studio, sandbox: Sandbox) -> None:
    app = studio.page("runs", show="Record", record="WEB-26-10001")
    text = shown(app)
    for words in ("delivered", "POST invoice", "in the books", "clarity-freshbooks/order-to-invoice v1"):
        assert words in text
    assert not app.get("expander")
    app.segmented_control(key="story-payload").select("Masked").run()
    assert app.get("expander")
    assert "•••" in shown(app)
    assert "There is no such story" in shown(studio.page("runs", show="Record", record="nobody"))


def test_another_name_is_remembered_and_what_waits_is_due_again(studio: Studio, sandbox: Sandbox, store: Store) -> None:
    operator = StoreOperator(load_settings().store_url, "ana")
    done = operator.do("alias", kind="sku", name="OLD-1", target="NEW-1")
    assert done["set"]["by"] == "ana"
    with pytest.raises(Exception, match="no approved mapping knows the payment method"):
        operator.do("alias", kind="method", name="applepay", target="nothing like it")


def test_no_store_and_no_approved_mapping_tell_what_to_do_next(studio: Studio) -> None:
    for file in studio.mappings.glob("*.yaml"):
        file.unlink()
    app = studio.page("runs")
    assert "No mapping is approved and saved yet" in shown(app)
    assert button(app, "run-now").disabled
    assert button(app, "to-publish")
