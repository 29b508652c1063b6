"""Every page and every button that decides something."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import closing
from pathlib import Path

import pytest
from studio_app import FLOW, PROJECT, Studio, button, looked_at, press, shown

from connectors.sandbox.server import running_sandbox
from mapper_ai.services.decisions import DecisionStore
from mapper_ai.services.workspace import Sample, TargetRow
from mapper_ai.ui.parts.records import read_folder
from sync.control import paused
from sync.store import open_store


def row_of(studio: Studio, part: str) -> TargetRow:
    return next(row for row in studio.work.rows(FLOW) if row.part == part)


def test_projects_show_every_flow_by_name_and_never_as_markdown(studio: Studio) -> None:
    shutil.copy(studio.mappings / "customer-to-client.yaml", studio.mappings / "**bold**-to-item.yaml")
    app = studio.page("projects")
    titles = [entry.value for entry in app.subheader]
    assert [title for title in titles if "→" in title] == [
        "Order → invoice",
        "Customer → client",
        "Payment → payment",
        "Product → item",
        "Order cancel → correction",
        "Order edit → correction",
        "Order refunds → correction",
        "Payment reversal → correction",
        "Refund → correction",
    ]
    assert "Flow" in titles
    assert "development identity" in " ".join(str(entry.value) for entry in app.markdown)
    assert "ana" in [entry.value for entry in app.text]
    assert not any(entry.label == "Who approves" for entry in app.text_input)


def test_a_flow_that_runs_with_conflicts_is_said_so_in_one_place(studio: Studio) -> None:
    samples = read_folder(PROJECT / "fixtures/clarity", "order")
    studio.work.set_samples(FLOW, samples)  # some of them fail in the approved mapping
    app = studio.page("projects")
    badges = " ".join(str(entry.value) for entry in app.markdown)
    assert re.search(r"runs, with \d+ in conflict", badges)
    assert not any("in conflict" in str(entry.value) for entry in app.text)


def test_a_mapping_file_is_opened_as_draft(studio: Studio) -> None:
    work = studio.propose()
    assert row_of(studio, "invoice.create_date").state == "proposed"
    app = studio.page("projects")
    app.selectbox(key="mapping-file").select("clarity-freshbooks/order-to-invoice.yaml").run()
    press(app, "adopt")
    assert row_of(studio, "invoice.create_date").state == "approved"
    assert work.undo(FLOW)


def test_built_in_samples_become_a_proposal(studio: Studio) -> None:
    app = studio.page("samples", flow=FLOW)
    press(app, "take-built-in")
    assert len(studio.work.samples(FLOW)) == 15
    assert "billingAddress.city" in shown(app)
    press(app, "propose")
    assert any(row.state == "proposed" for row in studio.work.rows(FLOW))


def test_uploaded_webhook_bodies_become_samples(studio: Studio) -> None:
    record = {"id": "1", "orderNumber": "A-1", "total": "5.00", "cardNumber": "4111111111111111"}
    envelope = {"type": "order.created", "data": {"object": "order", "id": "1", "resource": record}}
    app = studio.page("samples", flow=FLOW)
    app.segmented_control(key="sample-source").select("Upload").run()
    app.file_uploader(key="sample-files").upload("hook.ndjson", f"{json.dumps(envelope)}\n".encode()).run()
    press(app, "take-upload")
    (sample,) = studio.work.samples(FLOW)
    assert sample.record["orderNumber"] == "A-1"
    assert "4111111111111111" not in json.dumps(sample.record)


def test_real_values_are_shown_from_memory_and_never_stored(studio: Studio) -> None:
    app = studio.page("samples", flow=FLOW)
    app.segmented_control(key="sample-source").select("Upload").run()
    record = b'{"id": "1", "total": "12.50", "customer": {"email": "anna.kowalska@tea.pl"}}'
    app.file_uploader(key="sample-files").upload("order.json", record).run()
    press(app, "take-upload")
    assert "anna.kowalska@tea.pl" not in shown(app)
    app.toggle(key=f"reveal-{FLOW}").set_value(True).run()
    assert "anna.kowalska@tea.pl" in shown(app)
    stored = "".join(path.read_text("utf-8", "replace") for path in studio.root.rglob("*") if path.is_file())
    assert "kowalska" not in stored
    assert "12.50" in stored
    assert "anna.kowalska@tea.pl" not in shown(studio.page("samples", flow=FLOW))


def test_a_broken_upload_is_one_clear_line(studio: Studio) -> None:
    app = studio.page("samples", flow=FLOW)
    app.segmented_control(key="sample-source").select("Upload").run()
    app.file_uploader(key="sample-files").upload("orders.ndjson", b'{"id": "1"}\n{oops\n').run()
    press(app, "take-upload")
    assert "orders.ndjson:2: not JSON" in shown(app)
    assert not studio.work.samples(FLOW)


def test_samples_are_fetched_from_the_connected_clarity(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_sandbox() as sandbox:
        sandbox.seed(seed=3, orders=12)
        monkeypatch.setenv("CLARITY_API_URL", sandbox.clarity_url)
        monkeypatch.setenv("CLARITY_CLIENT_ID", sandbox.client_id)
        monkeypatch.setenv("CLARITY_CLIENT_SECRET", sandbox.client_secret)
        app = studio.page("samples", flow=FLOW)
        app.segmented_control(key="sample-source").select("From Clarity").run()
        app.number_input(key="clarity-count").set_value(5).run()
        press(app, "take-clarity")
    assert len(studio.work.samples(FLOW)) == 5


def test_accepting_approves_in_the_name_of_the_person_and_moves_on(studio: Studio) -> None:
    studio.propose()
    app = studio.page("review", flow=FLOW, part="invoice.create_date")
    press(app, "accept")
    row = row_of(studio, "invoice.create_date")
    assert (row.state, row.by) == ("approved", "ana")
    assert looked_at(app, "part") != "invoice.create_date"
    (learned,) = DecisionStore(studio.root / "decisions.duckdb").rows()
    assert (learned.action, learned.part, learned.person) == ("accept", "invoice.create_date", "ana")


def test_a_rejection_keeps_its_reason_and_undo_takes_it_back(studio: Studio) -> None:
    studio.propose()
    app = studio.page("review", flow=FLOW, part="client.fname")
    app.text_input(key=f"reason-{FLOW}-client.fname").input("a company has no first name").run()
    press(app, "reject")
    row = row_of(studio, "client.fname")
    assert (row.state, row.reason) == ("rejected", "rejected: a company has no first name")
    press(app, "undo")
    assert row_of(studio, "client.fname").state == "proposed"


def test_next_and_back_move_without_deciding(studio: Studio) -> None:
    studio.propose()
    app = studio.page("review", flow=FLOW, part="client.fname")
    press(app, "next")
    assert looked_at(app, "part") != "client.fname"
    press(app, "previous")
    assert looked_at(app, "part") == "client.fname"
    assert not any(row.state == "approved" for row in studio.work.rows(FLOW))


def test_a_part_that_changed_in_another_tab_is_not_approved(studio: Studio) -> None:
    work = studio.propose()
    app = studio.page("review", flow=FLOW, part="client.fname")
    work.set_steps(FLOW, "client.fname", "- {path: customer.lastName}", digest=row_of(studio, "client.fname").digest)
    press(app, "accept")
    assert row_of(studio, "client.fname").state == "proposed"
    assert "It changed meanwhile" in shown(app)


def test_bulk_acceptance_lists_first_and_leaves_money_tax_and_keys(studio: Studio) -> None:
    studio.propose()
    app = studio.page("review", flow=FLOW)
    press(app, "accept-all")
    assert not any(row.state == "approved" for row in studio.work.rows(FLOW))
    listed = app.dataframe[-1].value["Target"].tolist()
    press(app, "accept-these")
    approved = {row.part for row in studio.work.rows(FLOW) if row.state == "approved"}
    assert approved == set(listed)
    assert not any(row.money for row in studio.work.rows(FLOW) if row.part in approved)
    assert "invoice.lines[].unit_cost" not in approved


def test_another_source_is_taken_from_the_alternatives(studio: Studio) -> None:
    studio.propose()
    app = studio.page("review", flow=FLOW, part="client.p_city")
    press(app, "use-1")
    row = row_of(studio, "client.p_city")
    assert row.sources == ("shippingAddress.city",)
    assert row.state == "proposed"


def test_wrong_steps_are_explained_and_cannot_be_saved(studio: Studio) -> None:
    studio.propose()
    app = press(studio.page("review", flow=FLOW, part="client.p_city"), "edit")
    app.text_area[0].input("- {path: billingAddress.city}\n- {tirm: }").run()
    assert "tirm" in shown(app)
    assert button(app, "save-steps").disabled
    app.text_area[0].input("- {path: billingAddress.city}\n- {case: upper}").run()
    press(app, "save-steps")
    assert "upper" in row_of(studio, "client.p_city").steps


def test_steps_are_changed_by_form_and_tried_on_the_samples_before_they_are_saved(studio: Studio) -> None:
    studio.propose()
    before = row_of(studio, "client.p_city")
    app = press(studio.page("review", flow=FLOW, part="client.p_city"), "edit")
    adding = next(entry for entry in app.selectbox if str(entry.key).startswith("add-steps"))
    adding.select("case").run()
    choice = next(entry for entry in app.selectbox if str(entry.key).startswith("arg-") and entry.label == "to")
    choice.select("upper").run()
    tried = next(entry.value for entry in app.dataframe if "After" in entry.value and "Before" in entry.value)
    assert any(value.isupper() for value in tried["After"])
    assert row_of(studio, "client.p_city") == before
    press(app, "save-steps")
    assert "case: upper" in row_of(studio, "client.p_city").steps


def test_checks_are_changed_beside_the_steps(studio: Studio) -> None:
    studio.propose()
    app = press(studio.page("review", flow=FLOW, part="client.p_city"), "edit")
    checks = next(entry for entry in app.text_area if entry.label.startswith("Checks"))
    checks.input("- {lenght: 9}").run()
    press(app, "save-checks")
    assert "unknown check 'lenght'" in shown(app)
    next(entry for entry in app.text_area if entry.label.startswith("Checks")).input("- {max_length: 9}").run()
    press(app, "save-checks")
    row = row_of(studio, "client.p_city")
    assert (row.checks, row.state) == ("- {max_length: 9}", "proposed")


def test_who_changed_a_part_does_not_approve_it_where_four_eyes_are_asked_for(studio: Studio, tmp_path: Path) -> None:
    studio.propose()
    (tmp_path / "mapper.toml").write_text("[review]\nfour_eyes = true\n", "utf-8")
    part = "client.p_city"
    studio.work.set_steps(FLOW, part, "- {path: shippingAddress.city}", digest=row_of(studio, part).digest, by="ana")
    app = studio.page("review", flow=FLOW, part=part)
    assert button(app, "accept").disabled
    assert "changed by ana: another person has to approve it" in shown(app)
    (tmp_path / "mapper.toml").write_text("[review]\nfour_eyes = false\n", "utf-8")
    press(studio.page("review", flow=FLOW, part=part), "accept")
    assert row_of(studio, part).by == "ana"


def test_a_comment_is_kept_without_a_decision_and_past_tells_what_was_decided(studio: Studio) -> None:
    studio.propose()
    part = "invoice.create_date"
    app = studio.page("review", flow=FLOW, part=part)
    app.text_input(key=f"reason-{FLOW}-{part}").input("ask the controller").run()
    press(app, "keep-comment")
    row = row_of(studio, part)
    assert (row.comment, row.state) == ("ask the controller", "proposed")
    studio.work.accept(FLOW, part, digest=row.digest, by="ana")
    app = studio.page("review", flow=FLOW, part=part, filter="All")
    app.segmented_control(key="panel-section").select("Past").run()
    assert "approved by ana" in shown(app) and "ask the controller" in shown(app)
    assert "accepted orderDate" in shown(app)


def test_filters_and_search_narrow_the_table(studio: Studio) -> None:
    studio.propose()
    app = studio.page("review", flow=FLOW)
    app.segmented_control(key="review-filter").select("All").run()
    app.text_input(key="review-search").input("currency_code").run()
    assert sorted(app.dataframe[0].value["Target"]) == [
        "client.currency_code",
        "guest.currency_code",
        "invoice.currency_code *",
    ]


def test_a_new_session_finds_everything_again(studio: Studio) -> None:
    studio.propose()
    app = studio.page("review", flow=FLOW, part="invoice.create_date")
    press(app, "accept")
    again = studio.page("review", flow=FLOW, part="invoice.notes")
    assert looked_at(again, "part") == "invoice.notes"
    assert "1 of" in " ".join(str(entry.text) for entry in again.get("progress"))


def test_the_test_page_compares_order_and_invoice_totals(studio: Studio) -> None:
    studio.propose()
    app = studio.page("test", flow=FLOW)
    table = app.dataframe[0].value.set_index("Sample")
    assert table.loc["plain-card", "Invoice total"] == table.loc["plain-card", "Order total"] == "11.80"
    assert table.loc["currency-jpy", "Invoice total"] == "7867"
    assert table.loc["totals-do-not-add-up", "Decision"] == "held"
    assert "total" in table.loc["totals-do-not-add-up", "Reasons"]
    assert table.loc["on-hold", "Decision"] == "waiting"


def test_payload_values_are_shown_as_text_only(studio: Studio) -> None:
    work = studio.propose()
    markup = "<img src=x onerror=alert(1)> **bold** [link](https://example.com) :material/home:"
    record = {**work.samples(FLOW)[0].record, "notes": markup}
    work.set_samples(FLOW, [Sample("evil", record)])
    for name in ("samples", "review", "test"):
        app = studio.page(name, flow=FLOW, part="invoice.notes")
        interpreted = [str(entry.value) for kind in (app.markdown, app.caption, app.error, app.info) for entry in kind]
        assert not any("onerror" in text or "example.com" in text for text in interpreted), name


def test_run_says_what_is_missing(studio: Studio) -> None:
    app = studio.page("runs")
    assert "FRESHBOOKS_ACCOUNT_ID is not set" in shown(app)
    assert button(app, "run-now").disabled


def test_the_kill_switch_pauses_every_runner_and_says_who_did(studio: Studio, tmp_path: Path) -> None:
    app = studio.page("runs")
    press(app, "pause")  # without a store there is nothing to pause, and none is made
    assert "The runner was not paused" in shown(app) and not (tmp_path / "mapper.db").exists()
    open_store(f"sqlite:///{tmp_path / 'mapper.db'}").close()
    app = studio.page("runs")
    app.text_input(key="pause-reason").set_value("wrong tax rate").run()
    press(app, "pause")
    assert "paused by ana" in shown(app) and "wrong tax rate" in shown(app)
    app = press(studio.page("runs"), "resume")
    assert "paused by ana" not in shown(app)
    with closing(open_store(f"sqlite:///{tmp_path / 'mapper.db'}", read_only=True)) as store:
        assert paused(store) is None


def test_dry_run_then_run_through_a_child_process(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from mapper_ai.ui.session import runner

    with running_sandbox() as sandbox:
        sandbox.seed(seed=3, orders=6)
        for name, value in {
            "FRESHBOOKS_API_URL": sandbox.freshbooks_url,
            "FRESHBOOKS_ACCOUNT_ID": sandbox.account_id,
            "FRESHBOOKS_ACCESS_TOKEN": sandbox.access_token,
            "CLARITY_API_URL": sandbox.clarity_url,
            "CLARITY_CLIENT_ID": sandbox.client_id,
            "CLARITY_CLIENT_SECRET": sandbox.client_secret,
            "MAPPER_SETTLE_S": "0",
        }.items():
            monkeypatch.setenv(name, value)
        app = press(studio.page("runs"), "dry-run")
        assert runner().wait("dry-run", 120).phase == "done"
        assert not sandbox.state.freshbooks.tables["invoice"]
        app = studio.page("runs", show="Dry run")
        assert "POST /accounting/account" in shown(app)
        press(app, "run-now")
        assert runner().wait("run", 120).phase == "done"
        app = studio.page("runs")
        posted = app.dataframe[0].value.set_index("What")
        assert posted.loc["invoice", "How many"] == f"{len(sandbox.state.freshbooks.tables['invoice'])} in the books"


def test_decisions_are_listed_and_say_so_when_there_are_none(studio: Studio) -> None:
    assert "Nothing was decided yet" in shown(studio.page("decisions"))
    work = studio.propose()
    work.accept(FLOW, "invoice.create_date", digest=row_of(studio, "invoice.create_date").digest, by="ana")
    app = studio.page("decisions")
    assert app.dataframe[0].value["Target"].tolist() == ["create_date"]
    assert button(app, "forget").disabled


def test_lists_and_tables_of_a_flow_are_shown(studio: Studio) -> None:
    app = studio.page("lines", flow=FLOW)
    assert "lineItems[]  →  invoice.lines[]" in shown(app)
    assert "Credit Card" in shown(app)


def test_a_value_without_a_row_gets_one_and_the_parts_that_use_the_table_are_decided_again(studio: Studio) -> None:
    work = studio.propose()
    studio.accept_all(by="ana")
    assert row_of(studio, "payment.type").state == "approved"
    first = work.samples(FLOW)[0].record
    payment = {**first["payments"][0], "method": "creditcard"}
    work.set_samples(FLOW, [Sample("odd", {**first, "payments": [payment]})])
    app = studio.page("lines", flow=FLOW)
    assert "creditcard (×1)" in shown(app) and "→ Credit Card" in shown(app)
    press(app, "take-payment_types-creditcard")
    assert studio.work.spec(FLOW).tables["payment_types"].rows["creditcard"] == "Credit Card"
    row = row_of(studio, "payment.type")
    assert (row.state, row.stale) == ("proposed", True)
    assert "creditcard (×1)" not in shown(studio.page("lines", flow=FLOW))


def test_the_first_steps_tick_themselves_and_lead_on(studio: Studio) -> None:
    for file in studio.mappings.glob("*.yaml"):
        file.unlink()
    app = studio.page("projects")
    steps = next(entry.label for entry in app.expander if entry.label.startswith("First steps"))
    assert steps == "First steps: 0 of 7 done · next: take samples of what the shop sends"
    studio.propose()
    app = studio.page("projects")
    steps = next(entry.label for entry in app.expander if entry.label.startswith("First steps"))
    assert steps == "First steps: 3 of 7 done · next: decide every part"
    assert "18 of 18 required fields have a rule · 71 to decide, 1 in conflict" in shown(app)


def test_samples_are_compared_with_what_the_mapping_reads(studio: Studio) -> None:
    work = studio.propose()
    first = {**work.samples(FLOW)[0].record, "loyaltyPoints": 7, "orderDate": 20260301}
    work.set_samples(FLOW, [Sample("changed", first)])
    text = shown(studio.page("samples", flow=FLOW))
    assert "loyaltyPoints" in text and "new field" in text
    assert "orderDate" in text and "other type" in text
