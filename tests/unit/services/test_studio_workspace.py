"""Drafts and decisions: nothing is lost, nobody overwrites somebody else, money is decided one by one."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mapper_ai.errors import Conflict, InputError, UnknownPartError
from mapper_ai.services.sampling import read_samples
from mapper_ai.services.workspace import Sample, TargetRow, Workspace
from mapspec import SpecError, approve, compile_spec, dump_spec, load_spec, unapproved
from sync.envelope import dumps

ROOT = Path(__file__).resolve().parents[3]
FIXTURES = ROOT / "fixtures" / "clarity"
FLOW = "payment-to-payment"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def open_at(folder: Path) -> Workspace:
    return Workspace.open(folder / "work", mappings=folder / "mappings", now=lambda: NOON)


def payments(count: int = 5) -> list[Sample]:
    return [Sample(f"payment {n}", record) for n, record in enumerate(read_samples(FIXTURES / "payments.json")[:count])]


@pytest.fixture
def work(tmp_path: Path) -> Workspace:
    space = open_at(tmp_path)
    space.start(FLOW, payments())
    return space


def row(space: Workspace, part: str, flow: str = FLOW) -> TargetRow:
    return next(entry for entry in space.rows(flow) if entry.part == part)


def accept_all(space: Workspace, flow: str = FLOW) -> None:
    for entry in space.rows(flow):
        if entry.digest:
            space.accept(flow, entry.part, digest=entry.digest, by="ana")


def test_a_decision_survives_a_reload(tmp_path: Path, work: Workspace) -> None:
    work.accept(FLOW, "payment.date", digest=row(work, "payment.date").digest, by="ana")
    again = row(open_at(tmp_path), "payment.date")
    assert (again.state, again.by, again.at) == ("approved", "ana", "2026-03-01T12:00:00Z")
    assert [sample.name for sample in open_at(tmp_path).samples(FLOW)] == [sample.name for sample in payments()]


def test_required_and_undecided_rows_stand_first(work: Workspace) -> None:
    work.accept(FLOW, "payment.amount", digest=row(work, "payment.amount").digest, by="ana")
    rows = work.rows(FLOW)
    assert rows[0].required
    assert rows[0].state == "proposed"
    assert [entry.part for entry in rows].index("payment.amount") > [entry.part for entry in rows].index("payment.date")
    assert rows[-1].state == "unmapped"


def test_a_row_says_where_from_how_and_why(work: Workspace) -> None:
    entry = row(work, "payment.date")
    assert entry.sources == ("paidAt", "createdAt", "updatedAt")
    assert entry.steps.splitlines()[1] == "- {parse_instant: }"
    assert "read as a moment in time" in entry.words
    assert entry.origin == "learned"
    assert entry.confidence is not None
    assert entry.reason
    assert entry.evidence
    assert entry.alternatives[0].source == "paidAt"


def test_an_old_digest_is_refused(work: Workspace) -> None:
    shown = row(work, "payment.note").digest
    work.set_source(FLOW, "payment.note", ["transactionId"], digest=shown)
    with pytest.raises(Conflict, match=r"payment\.note was changed"):
        work.accept(FLOW, "payment.note", digest=shown, by="ana")
    assert row(work, "payment.note").state == "proposed"


def test_a_change_of_meaning_takes_the_approval_back(work: Workspace) -> None:
    work.accept(FLOW, "payment.note", digest=row(work, "payment.note").digest, by="ana")
    work.set_source(FLOW, "payment.note", ["transactionId"], digest=row(work, "payment.note").digest)
    changed = row(work, "payment.note")
    assert (changed.state, changed.origin, changed.sources) == ("proposed", "person", ("transactionId",))


def test_a_source_for_an_unmapped_field_makes_a_rule(work: Workspace) -> None:
    part = "payment.send_client_notification"
    assert row(work, part).state == "unmapped"
    assert row(work, part).reason.startswith("left out: ")
    with pytest.raises(UnknownPartError, match="no rule"):
        work.accept(FLOW, part, digest="", by="ana")
    work.set_source(FLOW, part, ["status"], digest="")
    assert row(work, part).steps.splitlines()[-1] == "- {bool: }"


def test_steps_are_checked_before_they_are_taken(work: Workspace) -> None:
    entry = row(work, "payment.note")
    with pytest.raises(SpecError, match=r"payment\.note:2: unknown operation 'tirm'; did you mean 'trim'\?"):
        work.set_steps(FLOW, entry.part, "- {path: id}\n- {tirm: }", digest=entry.digest)
    with pytest.raises(SpecError, match="no table 'nowhere'"):
        work.set_steps(FLOW, entry.part, "- {path: id}\n- {lookup_table: nowhere}", digest=entry.digest)
    assert row(work, "payment.note") == entry
    work.set_steps(FLOW, entry.part, "- {path: id}\n- {trim: }", digest=entry.digest)
    changed = row(work, "payment.note")
    assert (changed.words, changed.required) == ("id, without blanks at the ends", True)


def test_the_steps_of_a_row_can_be_given_back_as_they_are(work: Workspace) -> None:
    entry = row(work, "payment.type")
    work.set_steps(FLOW, entry.part, entry.steps, digest=entry.digest)
    assert row(work, "payment.type").digest == entry.digest


@pytest.mark.parametrize("part", ["flow", "payment.nothing", "values.nothing"])
def test_parts_without_a_source_of_their_own_are_refused(work: Workspace, part: str) -> None:
    digest = row(work, "flow").digest if part == "flow" else ""
    with pytest.raises(UnknownPartError):
        work.set_source(FLOW, part, ["id"], digest=digest)


def test_money_tax_and_keys_are_not_accepted_in_bulk(work: Workspace) -> None:
    parts = [(entry.part, entry.digest) for entry in work.rows(FLOW)]
    left = work.accept_many(FLOW, parts, by="ana")
    assert {entry.part for entry in work.rows(FLOW) if entry.state == "approved"} == {"payment.date", "payment.type"}
    assert "payment.amount: money, tax and keys are accepted one by one" in left
    assert "flow: money, tax and keys are accepted one by one" in left


def test_bulk_leaves_out_what_changed_meanwhile(work: Workspace) -> None:
    parts = [("payment.date", "0000"), ("payment.type", row(work, "payment.type").digest)]
    assert work.accept_many(FLOW, parts, by="ana") == ["payment.date: changed since it was shown"]
    assert row(work, "payment.type").state == "approved"


def test_undo_goes_back_change_by_change(work: Workspace) -> None:
    before = work.rows(FLOW)
    work.accept(FLOW, "payment.date", digest=row(work, "payment.date").digest, by="ana")
    work.set_source(FLOW, "payment.note", ["id"], digest=row(work, "payment.note").digest)
    assert work.undo(FLOW)
    assert row(work, "payment.date").state == "approved"
    assert work.undo(FLOW)
    assert work.rows(FLOW) == before
    assert not work.undo(FLOW)


def test_a_saved_flow_runs_once_everything_is_approved(work: Workspace) -> None:
    assert not work.flows()[0].saved
    path = work.save(FLOW)
    card = work.flows()[0]
    assert (card.saved, card.runnable, card.file) == (True, False, str(path))
    accept_all(work)
    assert not work.flows()[0].saved
    work.save(FLOW)
    card = work.flows()[0]
    assert (card.runnable, card.approved) == (True, card.rows)
    assert not unapproved(load_spec(path.read_text(encoding="utf-8")))


def test_a_rejected_field_is_left_out_of_the_file(work: Workspace) -> None:
    part = "payment.transactionid"
    work.reject(FLOW, part, digest=row(work, part).digest, by="ana", reason="not\nsearchable")
    assert row(work, part).reason == "rejected: not searchable"
    path = work.save(FLOW)
    assert part not in load_spec(path.read_text(encoding="utf-8")).fields
    assert row(work, part).state == "rejected"
    assert work.flows()[0].saved


def test_a_rejected_required_field_keeps_the_flow_from_running(work: Workspace) -> None:
    accept_all(work)
    work.reject(FLOW, "payment.date", digest=row(work, "payment.date").digest, by="ana")
    work.save(FLOW)
    assert work.flows()[0].required_missing == 1
    assert "required-missing" in {entry.id for entry in work.findings(FLOW)}


def test_a_file_changed_elsewhere_is_not_overwritten(work: Workspace) -> None:
    path = work.save(FLOW)
    work.accept(FLOW, "payment.date", digest=row(work, "payment.date").digest, by="ana")
    theirs = approve(load_spec(path.read_text(encoding="utf-8")), ["flow"], by="bo", at="2026-03-02T00:00:00Z")
    path.write_text(dump_spec(theirs), encoding="utf-8")
    assert "file-changed" in {entry.id for entry in work.findings(FLOW)}
    with pytest.raises(Conflict, match="changed elsewhere"):
        work.save(FLOW)
    assert path.read_text(encoding="utf-8") == dump_spec(theirs)
    work.adopt(path)
    assert row(work, "flow").by == "bo"
    assert work.save(FLOW) == path


def test_an_untouched_draft_follows_its_file(work: Workspace) -> None:
    path = work.save(FLOW)
    theirs = approve(load_spec(path.read_text(encoding="utf-8")), ["flow"], by="bo", at="2026-03-02T00:00:00Z")
    path.write_text(dump_spec(theirs), encoding="utf-8")
    assert row(work, "flow").by == "bo"


def test_mapping_files_are_flows_without_being_opened(tmp_path: Path) -> None:
    space = Workspace.open(tmp_path / "work", mappings=ROOT / "mappings" / "clarity-freshbooks")
    cards = {card.name: card for card in space.flows()}
    corrections = {name for name in cards if name.endswith("-to-correction")}
    assert set(cards) - corrections == set(Workspace.kinds())
    assert all(card.runnable for card in cards.values()), [space.findings(name)[:1] for name in cards]


def test_a_broken_mapping_file_is_shown_with_its_error(tmp_path: Path, work: Workspace) -> None:
    (tmp_path / "mappings").mkdir(exist_ok=True)
    (tmp_path / "mappings" / "broken.yaml").write_text("spec: [", encoding="utf-8")
    card = next(card for card in work.flows() if card.name == "broken")
    assert "broken.yaml:2: not YAML" in card.error
    assert not card.runnable


def test_a_preview_shows_before_and_after_failures_first(tmp_path: Path) -> None:
    space = open_at(tmp_path)
    good, bad = payments(2)
    space.start(FLOW, [good, Sample("bad", {**bad.record, "paidAt": "soon"})])
    rows = space.preview(FLOW, part="payment.date")
    assert [entry.sample for entry in rows] == ["bad", good.name]
    assert rows[0].failed
    assert "expected a date" in rows[0].reasons[0]
    assert rows[0].after is None
    assert rows[1].before["paidAt"] == good.record["paidAt"]
    assert rows[1].after == good.record["paidAt"][:10]


def test_a_part_has_a_preview_on_records_that_the_gate_stops(tmp_path: Path) -> None:
    space = open_at(tmp_path)
    space.start(FLOW, [Sample("failed", {**payments(1)[0].record, "status": "failed"})])
    shown = space.preview(FLOW, part="payment.amount")[0]
    assert shown.decision == "skip"
    assert shown.after["code"]


def test_the_preview_is_what_the_engine_makes(work: Workspace) -> None:
    spec = compile_spec(work.spec(FLOW))
    for sample, shown in zip(work.samples(FLOW), work.preview(FLOW), strict=True):
        draft = spec.apply(sample.record)
        assert shown.decision == draft.decision
        assert shown.documents["payment"][0]["amount"] == draft.documents["payment"][0].body["amount"]


def test_lists_and_prices_can_take_another_source(tmp_path: Path) -> None:
    space = open_at(tmp_path)
    flow = "order-to-invoice"
    orders = read_samples(FIXTURES / "order__plain-card.json")
    space.start(flow, [Sample("plain", orders[0])])
    price = row(space, "invoice.lines[].unit_cost", flow)
    space.set_source(flow, price.part, ["lineItems[].lineTotal"], digest=price.digest)
    money = space.spec(flow).blocks()["invoice.lines[]"].money
    assert money is not None
    assert money.unit_price.text == ".lineTotal"
    with pytest.raises(UnknownPartError, match="pricing"):
        tax = row(space, "invoice.lines[].taxName1", flow)
        space.set_source(flow, tax.part, ["lineItems[].name"], digest=tax.digest)
    name = row(space, "invoice.lines[].name", flow)
    space.set_source(flow, name.part, ["lineItems[].description"], digest=name.digest)
    assert row(space, name.part, flow).steps.startswith("- {path: .description}")
    # A line total for a price cannot add up: the members of the list say so, too.
    assert space.preview(flow, part=name.part)[0].failed
    assert space.undo(flow)
    assert space.undo(flow)
    assert space.preview(flow, part=name.part)[0].after == [orders[0]["lineItems"][0]["name"]]


def test_card_data_never_reaches_the_disk(tmp_path: Path) -> None:
    space = open_at(tmp_path)
    record = {**payments(1)[0].record, "cardNumber": "4111111111111111", "cvv": "123"}
    space.start(FLOW, [Sample("card", record)])
    stored = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "work" / "flows").iterdir())
    assert "4111111111111111" not in stored
    assert '"123"' not in stored


def test_exact_amounts_survive_storage(tmp_path: Path) -> None:
    space = open_at(tmp_path)
    orders = read_samples(FIXTURES / "order__json-numbers.json")
    space.set_samples("order-to-invoice", [Sample("numbers", orders[0])])
    stored, given = space.samples("order-to-invoice")[0].record, orders[0]
    for name in ("lineItems", "payments", "total", "taxTotal", "shippingTotal"):
        assert dumps(stored[name]) == dumps(given[name])


def test_starting_needs_a_known_flow_and_samples(work: Workspace) -> None:
    with pytest.raises(UnknownPartError, match="order-to-invoice"):
        work.start("order-to-moon", payments())
    with pytest.raises(InputError, match="no samples"):
        work.start(FLOW, [])
    with pytest.raises(UnknownPartError, match="no flow"):
        work.rows("nothing")
    with pytest.raises(UnknownPartError, match="no name"):
        work.rows("../secrets")


def test_starting_again_can_be_undone(work: Workspace) -> None:
    work.accept(FLOW, "payment.date", digest=row(work, "payment.date").digest, by="ana")
    work.start(FLOW, payments(2))
    assert row(work, "payment.date").state == "proposed"
    assert work.undo(FLOW)
    assert row(work, "payment.date").state == "approved"


def test_nobody_decides_without_a_name(work: Workspace) -> None:
    with pytest.raises(InputError, match="MAPPER_USER"):
        work.accept(FLOW, "payment.date", digest=row(work, "payment.date").digest, by=" ")


def test_a_damaged_draft_is_named(tmp_path: Path, work: Workspace) -> None:
    (tmp_path / "work" / "flows" / f"{FLOW}.draft.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"payment-to-payment\.draft\.json.*delete the file"):
        work.rows(FLOW)


def test_decisions_from_several_threads_are_all_kept(tmp_path: Path, work: Workspace) -> None:
    wanted = [(entry.part, entry.digest) for entry in work.rows(FLOW) if entry.digest]

    def decide(part: str, digest: str) -> None:
        open_at(tmp_path).accept(FLOW, part, digest=digest, by="ana")

    threads = [threading.Thread(target=decide, args=pair) for pair in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(entry.state == "approved" for entry in work.rows(FLOW) if entry.digest)


def test_source_fields_come_from_samples_and_contract(work: Workspace) -> None:
    fields = work.source_fields(FLOW)
    assert {"transactionId", "feeAmount", "amount"} <= set(fields)
    assert fields == sorted(fields)
