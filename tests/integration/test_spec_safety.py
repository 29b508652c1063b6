"""An unapproved or changed mapping never runs: the version approved last goes on, and it is said."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from mapspec import SpecError, approve, dump_spec, fingerprint, load_spec
from sync import inbox, runner
from sync.envelope import parse_delivery
from sync.flow import process
from sync.settings import RunnerSettings
from sync.spec_safety import LOOK_EVERY_S, LiveMappings, mapping_states, spec_problems
from sync.specs import Mappings, load_mappings
from sync.store import Store, open_store
from sync.store import spec as spec_table
from tests.flows import MAPPINGS, Books, envelope, order

ACCOUNT = "https://api.example.com A1"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'm.db'}")
    yield opened
    opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MAPPINGS, tmp_path / "mappings"))


class Seconds:
    at = 0.0

    def __call__(self) -> float:
        return self.at


def live(folder: Path, store: Store, *, account: str = ACCOUNT, last: bool = True) -> tuple[LiveMappings, Seconds]:
    clock = Seconds()
    mappings = LiveMappings(folder, may_run_last=last, now=lambda: 5.0, clock=clock)
    mappings.open(store, account=account)
    return mappings, clock


def mark(mappings: LiveMappings, entity: str = "customer") -> str:
    return mappings.by_entity[entity].fingerprint


def change(folder: Path, *, name: str = "customer-to-client.yaml", approved: bool = False) -> None:
    """Let e-mails be written in capitals from now on."""
    path = folder / name
    text = path.read_text("utf-8").replace("{case: lower}", "{case: upper}", 1)
    if approved:
        text = dump_spec(approve(load_spec(text, where=name), None, by="reviewer", at="2026-03-01T00:00:00Z"))
    write(path, text)


def write(path: Path, text: str) -> None:
    """Another inode, as editors and deployments do, so that the change shows whatever the clock's grain."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text, "utf-8")
    fresh.replace(path)


def look(mappings: LiveMappings, clock: Seconds) -> None:
    """Let time pass until a change that stays is seen."""
    for _ in range(2):
        clock.at += LOOK_EVERY_S
        assert mappings.by_entity is not None


def stated(store: Store) -> dict[str, str]:
    return {known.file: known.state for known in mapping_states(store)}


def test_an_edit_leaves_the_approved_version_at_work_until_it_is_approved(folder: Path, store: Store) -> None:
    mappings, clock = live(folder, store)
    before = mark(mappings)
    change(folder)
    look(mappings, clock)
    assert mark(mappings) == before
    (problem,) = spec_problems(store)
    assert (problem.file, problem.state, problem.fingerprint) == ("customer-to-client.yaml", "last", before)
    assert "'client.email' was changed after its approval" in problem.text
    assert "mapper approve customer-to-client.yaml" in problem.text
    change(folder, approved=True)
    look(mappings, clock)
    assert mark(mappings) != before
    assert spec_problems(store) == []


@pytest.mark.parametrize("text", ["", "spec: [", "spec: x\nformat: 1\n", "\x00", "- just\n- a list\n"])
def test_a_broken_file_does_not_stop_its_flow(folder: Path, store: Store, text: str) -> None:
    mappings, clock = live(folder, store)
    before = dict(mappings.by_entity)
    write(folder / "order-to-invoice.yaml", text)
    look(mappings, clock)
    assert mappings.by_entity.keys() == before.keys()
    assert mark(mappings, "order") == before["order"].fingerprint
    assert [known.file for known in spec_problems(store)] == ["order-to-invoice.yaml"]


def test_a_file_that_is_being_written_is_left_alone(folder: Path, store: Store) -> None:
    mappings, clock = live(folder, store)
    whole = (folder / "order-to-invoice.yaml").read_text("utf-8")
    write(folder / "order-to-invoice.yaml", whole[:1000])
    clock.at += LOOK_EVERY_S
    assert mappings.by_entity
    write(folder / "order-to-invoice.yaml", whole)
    look(mappings, clock)
    assert spec_problems(store) == []


def test_two_looks_at_one_moment_are_one(folder: Path, store: Store) -> None:
    mappings, clock = live(folder, store)
    whole = (folder / "order-to-invoice.yaml").read_text("utf-8")
    write(folder / "order-to-invoice.yaml", whole[:1000])
    clock.at += LOOK_EVERY_S
    mappings.refresh()  # the job's
    mappings.refresh()  # a worker's
    assert spec_problems(store) == []
    write(folder / "order-to-invoice.yaml", whole)
    look(mappings, clock)
    assert spec_problems(store) == []


def test_a_folder_without_any_file_ends_nothing(folder: Path, store: Store, tmp_path: Path) -> None:
    mappings, clock = live(folder, store)
    before = set(mappings.by_entity)
    folder.rename(tmp_path / "unplugged")
    look(mappings, clock)
    look(mappings, clock)
    assert set(mappings.by_entity) == before
    (tmp_path / "unplugged").rename(folder)
    look(mappings, clock)
    assert set(mappings.by_entity) == before and set(stated(store).values()) == {"runs"}


def test_a_restart_goes_on_with_what_was_approved_last(folder: Path, store: Store) -> None:
    first, _ = live(folder, store)
    change(folder)
    again, _ = live(folder, store)
    assert mark(again) == mark(first)
    assert [known.state for known in spec_problems(store)] == ["last"]
    with pytest.raises(SpecError, match="was changed after its approval"):
        live(folder, store, last=False)


def test_what_was_approved_for_another_account_does_not_run(folder: Path, store: Store) -> None:
    live(folder, store)
    change(folder)
    with pytest.raises(SpecError, match=r"customer-to-client\.yaml.*was changed"):
        live(folder, store, account="https://api.example.com A2")


def test_a_file_that_was_never_approved_refuses_the_start(folder: Path, store: Store) -> None:
    change(folder)
    with pytest.raises(SpecError, match="was changed after its approval"):
        live(folder, store)
    assert mapping_states(store) == []


@pytest.mark.parametrize("damage", ["{case: upper}", None])
def test_a_kept_version_that_was_tampered_with_does_not_run(folder: Path, store: Store, damage: str | None) -> None:
    live(folder, store)
    change(folder)
    with store.write() as conn:
        if damage is None:
            conn.execute(sa.delete(spec_table))
        else:
            conn.execute(sa.update(spec_table).values(text=sa.func.replace(spec_table.c.text, "{case: lower}", damage)))
    with pytest.raises(SpecError, match="was changed after its approval"):
        live(folder, store)


def test_a_file_that_is_about_something_else_now_is_not_mixed_up(folder: Path, store: Store) -> None:
    mappings, clock = live(folder, store)
    path = folder / "customer-to-client.yaml"
    write(path, path.read_text("utf-8").replace("entity: customer,", "entity: contact,"))
    look(mappings, clock)
    assert "customer" not in mappings.by_entity and "contact" not in mappings.by_entity
    assert set(mappings.current.waiting) == {"contact"}
    assert stated(store)["customer-to-client.yaml"] == "stopped"


def test_a_removed_file_ends_its_flow_and_its_return_goes_on(folder: Path, store: Store, tmp_path: Path) -> None:
    mappings, clock = live(folder, store)
    shutil.move(folder / "customer-to-client.yaml", tmp_path / "aside")
    look(mappings, clock)
    assert "customer" not in mappings.by_entity
    assert stated(store)["customer-to-client.yaml"] == "removed"
    shutil.move(tmp_path / "aside", folder / "customer-to-client.yaml")
    look(mappings, clock)
    assert "customer" in mappings.by_entity
    assert set(stated(store).values()) == {"runs"}


def test_a_newcomer_for_the_same_records_does_not_push_the_first_one_aside(folder: Path, store: Store) -> None:
    mappings, clock = live(folder, store)
    before = mark(mappings)
    shutil.copy(folder / "customer-to-client.yaml", folder / "a-copy.yaml")
    change(folder, name="a-copy.yaml", approved=True)
    look(mappings, clock)
    assert mark(mappings) == before
    (problem,) = spec_problems(store)
    assert problem.file == "a-copy.yaml" and "a second mapping for 'customer'" in problem.text


def test_where_a_changed_file_is_to_be_refused_its_events_wait(folder: Path, store: Store) -> None:
    mappings, clock = live(folder, store, last=False)
    change(folder)
    look(mappings, clock)
    assert "customer" not in mappings.by_entity
    assert "was changed after its approval" in mappings.current.waiting["customer"]


def test_a_pass_refuses_an_edit(make_books: Callable[..., Books], folder: Path) -> None:
    books = make_books(books={"mappings": folder})
    books.run(envelope("order.created", order()))
    change(folder)
    with pytest.raises(SpecError, match="was changed after its approval"):
        books.run(envelope("order.created", order("order-discount")))
    assert [row["method"] for row in books.writes()].count("POST") == 3  # the client, invoice and payment from before


def test_with_the_setting_a_pass_goes_on_and_the_ledger_names_the_version(
    make_books: Callable[..., Books], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    books = make_books(books={"mappings": folder})
    assert books.run(envelope("order.created", order())).fates == {"done": 1}
    path = folder / "order-to-invoice.yaml"
    approved = fingerprint(load_spec(path.read_text("utf-8"), where=path.name))
    write(path, path.read_text("utf-8") + "\nhalf: an edit\n")
    settings = books.settings.model_copy(update={"runner": RunnerSettings(on_unapproved="last")})
    events = books.file([envelope("order.created", order("order-discount"))])
    assert runner.run(settings, folder, events=events).fates == {"done": 1}
    assert f"its last approved version ({approved}) goes on" in capsys.readouterr().err
    with closing(sqlite3.connect(books.folder / "store.db")) as conn:
        marks = conn.execute("SELECT spec_fingerprint FROM ledger WHERE entity = 'invoice'").fetchall()
    assert marks == [(approved,)] * 2


def test_events_of_a_stopped_flow_wait(store: Store) -> None:
    parse = parse_delivery(json.dumps(envelope("order.created", order()), default=str).encode())
    inbox.ingest(store, [parse], source="webhook", now=1.0)
    event = inbox.next_due(store, now=1.0, owner="test")
    assert event is not None
    context: Any = SimpleNamespace(mappings=Mappings({}, {"order": "nobody approved it"}))
    outcome = process(event, context)
    assert (outcome.fate, outcome.reasons[0].id) == ("waiting", "mapping-stopped")
    context.mappings = Mappings({})
    assert process(event, context).reasons[0].id == "no-mapping"


def test_an_event_is_not_passed_over_because_mappings_are_exchanged(store: Store) -> None:
    """What waited for its mapping a moment ago runs now: between the two nothing is without one."""
    turns = [Mappings({}, {"order": "nobody approved it"}), load_mappings(MAPPINGS)]

    class Exchanged:
        current = property(lambda self: turns[0])
        waiting = property(lambda self: turns[1].waiting)
        by_entity = property(lambda self: turns[0].by_entity)

    inbox.ingest(store, [envelope("order.created", order())], source="webhook", now=1.0)
    event = inbox.next_due(store, now=1.0, owner="test")
    assert event is not None
    context: Any = SimpleNamespace(mappings=Exchanged())
    assert process(event, context).fate == "waiting"
