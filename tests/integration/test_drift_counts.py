"""Payloads that change are counted by mapping, told over a threshold, and become a proposed change of the mapping."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.profiles import load_profile
from mapspec import load_spec, unapproved
from mapspec.drift import Drift
from mapspec.drift_changes import apply_proposals, propose
from sync.__main__ import main
from sync.drift import KEPT_DAYS, MAX_WAYS, DriftWatch, drift_alerts, drift_reports
from sync.metrics import Metrics
from sync.spec_safety import LiveMappings
from sync.specs import ApprovedSpec
from sync.status import status
from sync.store import Store, drift
from tests.flows import MAPPINGS, Books, envelope, order

DAY_S = 86_400.0


class Days:
    """A clock of days; the short one of a watch stands still unless told."""

    at = 100 * DAY_S
    short = 0.0


@pytest.fixture
def days() -> Days:
    return Days()


def watch(store: Store, days: Days) -> DriftWatch:
    return DriftWatch(store, load_profile("clarity-rest"), now=lambda: days.at, clock=lambda: days.short)


@pytest.fixture
def approved(store: Store) -> ApprovedSpec:
    mappings = LiveMappings(MAPPINGS, may_run_last=True, now=lambda: 1.0)
    mappings.open(store, account="A1")
    return mappings.by_entity["order"]


def found(store: Store, days: Days) -> dict[tuple[str, str, str], int]:
    reports = drift_reports(store, now=days.at)
    return {(row.kind, row.path, row.detail): row.count for report in reports for row in report.found}


def changed(**more: Any) -> dict[str, Any]:
    """A payload as after an update of the source: a new member, one of another type, one gone, an unknown word."""
    record = order(**more)
    record["loyaltyTier"] = "gold"
    record["test"] = {"value": False}
    record["status"] = "Awaiting Pickup"
    for line in record["lineItems"]:
        del line["quantity"]
    return record


def test_ordinary_payloads_differ_in_nothing(store: Store, days: Days, approved: ApprovedSpec) -> None:
    watching = watch(store, days)
    for name in ("plain-card", "two-taxes", "line-discount"):
        watching.observe(approved, order(name))
    watching.flush()
    (report,) = [one for one in drift_reports(store, now=days.at) if one.records]
    assert (report.mapping.file, report.records, report.found) == ("order-to-invoice.yaml", 3, ())
    assert drift_alerts(store, now=days.at) == {}


def test_differences_of_all_kinds_are_counted_by_several_processes(
    store: Store, days: Days, approved: ApprovedSpec
) -> None:
    first, second = watch(store, days), watch(store, days)
    for watching in (first, second, second):
        watching.observe(approved, changed())
    first.flush()
    second.flush()
    second.flush()
    kinds = {kind for kind, _, _ in found(store, days)}
    assert kinds == {"new", "missing", "changed", "value"}
    assert set(found(store, days).values()) == {3}
    assert found(store, days)["value", "status", ""] == 3


def test_a_word_is_named_when_several_records_hold_it(store: Store, days: Days, approved: ApprovedSpec) -> None:
    watching = watch(store, days)
    for word in ("Awaiting Pickup", "Ana Lima", "Awaiting Pickup", "Awaiting Pickup", "Awaiting Pickup"):
        watching.observe(approved, order(status=word))
    watching.flush()
    assert found(store, days) == {("value", "status", "awaiting pickup"): 2, ("value", "status", ""): 3}


def test_counts_go_to_the_store_every_few_seconds(store: Store, days: Days, approved: ApprovedSpec) -> None:
    watching = watch(store, days)
    watching.observe(approved, changed())
    assert found(store, days) == {}
    days.short += 5.0
    watching.observe(approved, changed())
    assert set(found(store, days).values()) == {2}


def test_what_is_kept_is_bounded(store: Store, days: Days, approved: ApprovedSpec) -> None:
    watching = watch(store, days)
    for number in range(3 * MAX_WAYS):
        watching.observe(approved, order(**{f"field{number}": 1}))
        if number % 50 == 0:
            watching.flush()
    watching.flush()
    with store.read() as conn:
        assert (conn.scalar(sa.select(sa.func.count()).select_from(drift)) or 0) <= MAX_WAYS + 2
    report = next(one for one in drift_reports(store, now=days.at) if one.records)
    assert report.records == 3 * MAX_WAYS
    assert report.more + len(report.found) == 3 * MAX_WAYS
    days.at += (KEPT_DAYS + 1) * DAY_S
    watching.observe(approved, order())
    watching.flush()
    with store.read() as conn:
        assert conn.execute(sa.select(drift.c.kind)).scalars().all() == ["record"]


def test_a_store_that_fails_costs_no_count(
    store: Store, days: Days, approved: ApprovedSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching = watch(store, days)
    watching.observe(approved, changed())
    with monkeypatch.context() as broken:
        broken.setattr(store, "write", lambda: (_ for _ in ()).throw(sa.exc.OperationalError("", {}, Exception())))
        with pytest.raises(sa.exc.OperationalError):
            watching.flush()
    watching.flush()
    assert set(found(store, days).values()) == {1}


def test_an_alert_wants_a_share_of_the_last_days(store: Store, days: Days, approved: ApprovedSpec) -> None:
    watching = watch(store, days)
    for _ in range(400):
        watching.observe(approved, order())
    for _ in range(5):
        watching.observe(approved, changed())
    watching.flush()
    assert drift_alerts(store, now=days.at) == {}  # one in eighty
    days.at += 3 * DAY_S
    for _ in range(6):
        watching.observe(approved, changed())
    watching.flush()
    ((file, text),) = drift_alerts(store, now=days.at).items()
    assert file == "order-to-invoice.yaml"
    assert "in 6 of 6 records" in text and "mapper-sync drift" in text
    told = status(store)
    assert b"mapper_drift_records" in Metrics(store, now=lambda: days.at).text()
    assert told["mappings"][0]["state"] == "runs"


def test_another_version_of_the_mapping_starts_anew(
    store: Store, days: Days, approved: ApprovedSpec, tmp_path: Path
) -> None:
    watching = watch(store, days)
    watching.observe(approved, changed())
    watching.flush()
    with store.write() as conn:
        conn.execute(sa.text("UPDATE mapping SET fingerprint = 'another' WHERE file = 'order-to-invoice.yaml'"))
    assert found(store, days) == {}


def test_a_renamed_field_is_read_by_both_names_after_approval() -> None:
    path = MAPPINGS / "customer-to-client.yaml"
    spec = load_spec(path.read_text("utf-8"), where=path.name)
    lost = Drift("missing", "firstName", "", ("client.fname",), 6, 6)
    drifts = [lost, Drift("new", "first_name", "text", (), 6, 6), Drift("new", "tier", "text", (), 6, 6)]
    proposals = propose(spec, drifts)
    assert [dict(one.edit) for one in proposals] == [
        {"part": "client.fname", "instead_of": "firstName", "also": "first_name"},
        {"ignore": "tier"},
    ]
    after = apply_proposals(spec, proposals)
    assert [one.part for one in unapproved(after)] == ["client.fname"]  # everything else stays approved
    assert "tier" in {ignored.source for ignored in after.ignored}
    assert apply_proposals(after, proposals) == after


def test_an_unknown_word_names_the_list_it_belongs_to(approved: ApprovedSpec) -> None:
    spec = approved.compiled.spec
    texts = [
        one.text
        for one in propose(
            spec,
            [
                Drift("changed", "grandTotal", "number -> object", ("flow",)),
                Drift("missing", "id", "", ("flow",)),
                Drift("value", "status", "awaiting pickup", ("flow",)),
            ],
        )
    ]
    assert texts == [
        "grandTotal is number -> object now: look whether 'flow' still reads it right",
        "id is missing: give 'flow' another source or a default",
        "status holds 'awaiting pickup', which the spec does not know: decide what 'flow' makes of it",
    ]


def test_the_command_lists_proposes_and_writes(
    make_books: Callable[..., Books],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = Path(shutil.copytree(MAPPINGS, tmp_path / "mappings"))
    books = make_books(books={"mappings": folder})
    for name, value in books.environ().items():
        monkeypatch.setenv(name, value)
    books.run(*[envelope("order.created", order(name, loyaltyTier="gold")) for name in ("plain-card", "two-taxes")])
    assert main(["drift", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    orders = next(one for one in shown["mappings"] if one["file"] == "order-to-invoice.yaml")
    assert orders["records"] == 2
    assert [(row["kind"], row["path"], row["count"]) for row in orders["drift"]] == [("new", "loyaltyTier", 2)]
    assert orders["proposals"][0]["edit"] == {"ignore": "loyaltyTier"}
    assert main(["drift", "--mappings", str(folder), "--out", str(tmp_path / "proposed")]) == 0
    assert "loyaltyTier is new" in capsys.readouterr().out
    (written,) = (tmp_path / "proposed").iterdir()
    assert "loyaltyTier" in written.read_text("utf-8")
    assert main(["drift", "--out", str(tmp_path)]) == 2
    assert main(["drift", "--days", "0"]) == 2
    assert main(["drift", "--mappings", str(folder), "--out", str(folder)]) == 3
