"""Decisions are kept, shift later suggestions at once, and can be forgotten."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from mapper_ai.core.profile import profile_records
from mapper_ai.core.suggest import suggest
from mapper_ai.errors import InputError
from mapper_ai.services.decisions import FILE, Action, DecisionRow, DecisionStore, decided, reference
from mapper_ai.services.sampling import read_samples
from mapper_ai.services.studio_config import decisions_file
from mapper_ai.services.workspace import Sample, TargetRow, Workspace
from mapspec import load_spec

ROOT = Path(__file__).resolve().parents[3]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FLOW = "payment-to-payment"
SOURCE = profile_records([{"city": "Ulm", "town": "Graz", "region": "Tirol", "note": "n"}] * 3)
TARGET = profile_records([{"town": "Wien", "remark": "r"}] * 3)


def row(
    action: Action,
    *sources: str,
    target: str = "town",
    of: str = "shop/order",
    to: str = "erp/bill",
    days: int = 0,
) -> DecisionRow:
    at = NOW - timedelta(days=days)
    return DecisionRow(at, "ana", action, "shop-erp/a", f"bill.{target}", of, sources, to, target)


def ranked(store: DecisionStore, of: str = "shop/order", to: str = "erp/bill", target: str = "town") -> list[str]:
    found = suggest(SOURCE, TARGET, history=store.recall(NOW)(of, to))
    return [candidate.source for candidate in next(entry for entry in found if entry.target == target).candidates]


@pytest.fixture
def store(tmp_path: Path) -> DecisionStore:
    return DecisionStore(tmp_path / FILE)


def test_decisions_come_back_as_they_were_given(store: DecisionStore) -> None:
    assert store.rows() == []
    assert not store.path.exists()
    store.record([row("accept", "a", "b"), row("reject", "c")])
    store.record([row("edit", "d")])
    assert [(entry.number, entry.action, entry.sources) for entry in store.rows()] == [
        (1, "accept", ("a", "b")), (2, "reject", ("c",)), (3, "edit", ("d",)),
    ]  # fmt: skip
    assert store.rows()[0].at == NOW


def test_a_refused_candidate_sinks_and_an_accepted_one_rises(store: DecisionStore) -> None:
    assert ranked(store)[0] == "town"
    store.record([row("reject", "town")])
    assert ranked(store)[0] != "town"
    store.record([row("accept", "region")])
    assert ranked(store)[0] == "region"
    assert store.forget([1, 2]) == 2
    assert ranked(store)[0] == "town"
    assert store.forget([1, 2]) == 0


def test_the_last_decision_about_a_part_and_pair_counts(store: DecisionStore) -> None:
    store.record([row("accept", "region"), row("reject", "region")])
    assert ranked(store)[0] == "town"


def test_other_systems_hear_less_and_old_decisions_fade(store: DecisionStore) -> None:
    store.record([row("accept", "region")])
    source, target = SOURCE.field("region"), TARGET.field("town")

    def heard(of: str, to: str) -> float:
        return store.recall(NOW)(of, to).similarity(source, target) or 0.0

    same, other_entity, stranger = heard("shop/order", "erp/bill"), heard("shop/cart", "erp/bill"), heard("x/y", "u/v")
    assert same > 0.99
    assert same > other_entity > stranger > 0
    store.forget([1])
    store.record([row("accept", "region", days=730)])
    assert 0.4 < heard("shop/order", "erp/bill") < 0.6


def test_a_refusal_says_nothing_about_other_paths(store: DecisionStore) -> None:
    store.record([row("reject", "billing.town")])
    assert store.recall(NOW)("shop/order", "erp/bill").similarity(SOURCE.field("town"), TARGET.field("town")) is None


def test_similar_fields_of_the_same_system_hear_too(store: DecisionStore) -> None:
    store.record([row("accept", "billing.region", target="ship.town")])
    told = store.recall(NOW)("shop/order", "erp/bill")
    assert (told.similarity(SOURCE.field("region"), TARGET.field("town")) or 0) > 0
    assert told.similarity(SOURCE.field("note"), TARGET.field("town")) is None


def test_more_agreement_says_more(store: DecisionStore) -> None:
    def heard() -> float:
        return store.recall(NOW)("x/y", "u/v").similarity(SOURCE.field("region"), TARGET.field("town")) or 0.0

    store.record([row("accept", "region")])
    once = heard()
    store.record([row("accept", "region", of=f"shop{n}/order") for n in range(3)])
    assert heard() > once


def test_a_part_becomes_a_decision_about_its_fields() -> None:
    spec = load_spec((ROOT / "mappings/clarity-freshbooks/payment-to-payment.yaml").read_text("utf-8"))
    found = decided(spec, "payment.date", "accept", by="ana", at=NOW, reason=" as \n agreed ")
    assert found is not None
    assert (found.target_ref, found.target, found.reason) == ("freshbooks/payment", "date", "as agreed")
    assert found.source_ref.startswith("clarity-rest/") and found.sources
    assert decided(spec, "flow", "accept", by="ana", at=NOW) is None
    assert reference("Orders") == "orders/orders" and reference("a/b@2") == "a/b"


def test_threads_and_processes_write_side_by_side(store: DecisionStore) -> None:
    script = (
        "import sys; from pathlib import Path; from datetime import datetime, UTC\n"
        "from mapper_ai.services.decisions import DecisionRow, DecisionStore\n"
        "row = DecisionRow(datetime(2026, 1, 1, tzinfo=UTC), 'bo', 'accept', 'f', 'p', 'a/b', ('s',), 'c/d', 't')\n"
        "[DecisionStore(Path(sys.argv[1])).record([row]) for _ in range(3)]\n"
    )
    command = [sys.executable, "-c", script, str(store.path)]
    children = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    threads = [
        threading.Thread(target=lambda: [store.record([row("accept", "x")]) for _ in range(5)]) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(child.communicate()[1], child.returncode) for child in children] == [("", 0)] * 2
    assert [entry.number for entry in store.rows()] == list(range(1, 17))


def test_a_file_that_a_stranger_keeps_open_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / FILE
    DecisionStore(path).record([row("accept", "a")])
    script = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "open\n"
        waits: list[float] = []
        with pytest.raises(InputError, match="another program keeps the decisions open; close it and try again"):
            DecisionStore(path, pause=waits.append).rows()
        assert len(waits) > 5

        def released(_: float) -> None:
            child.communicate()

        assert len(DecisionStore(path, pause=released).rows()) == 1


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.write_text("no database at all, but long enough to be looked at " * 100, "utf-8")
    with pytest.raises(InputError, match=FILE):
        DecisionStore(path).rows()
    other = tmp_path / "other.duckdb"
    with duckdb.connect(str(other)) as connection:
        connection.execute("CREATE TABLE decision (a INTEGER)")
    with pytest.raises(InputError, match=r"other\.duckdb"):
        DecisionStore(other).rows()


def test_the_file_stands_in_mapper_toml_or_in_the_workspace(tmp_path: Path) -> None:
    config = tmp_path / "mapper.toml"
    environ = {"MAPPER_CONFIG": str(config), "MAPPER_WORKSPACE": str(tmp_path / "work")}
    config.write_text("[poll]\ninterval_s = 5\n", "utf-8")
    assert decisions_file(environ) == tmp_path / "work" / FILE
    config.write_text('[studio]\ndecisions = "shared/d.duckdb"\n', "utf-8")
    assert decisions_file(environ) == tmp_path / "shared" / "d.duckdb"
    for text, message in {
        "[studio]\ndecisions = 3\n": r"studio\.decisions: expected the path",
        "[studio]\ndecision = 'x'\n": r"studio\.decision: unknown key; known here: decisions",
        "studio = 1\n": r"expected a section \[studio\]",
        "[studio\n": "not valid TOML",
    }.items():
        config.write_text(text, "utf-8")
        with pytest.raises(InputError, match=message):
            decisions_file(environ)
    with pytest.raises(InputError, match="no such file"):
        decisions_file({"MAPPER_CONFIG": str(tmp_path / "none.toml")})


# --- through the workspace ---------------------------------------------------------------------------------------


def opened(folder: Path, name: str, decisions: Path) -> Workspace:
    space = Workspace.open(folder / name, mappings=folder / f"{name}-mappings", now=lambda: NOW, decisions=decisions)
    records = read_samples(ROOT / "fixtures/clarity/payments.json")[:5]
    space.start(FLOW, [Sample(f"payment {n}", record) for n, record in enumerate(records)])
    return space


def part(space: Workspace, name: str) -> TargetRow:
    return next(entry for entry in space.rows(FLOW) if entry.part == name)


def sources(entry: TargetRow) -> Sequence[str]:
    return [alternative.source for alternative in entry.alternatives]


def test_what_one_project_accepts_another_proposes_first_and_forgetting_undoes_it(tmp_path: Path) -> None:
    shared = tmp_path / "shared.duckdb"
    one = opened(tmp_path, "one", shared)
    before = part(one, "payment.note")
    chosen = next(path for path in one.source_fields(FLOW) if path not in sources(before)[:1] and "[]" not in path)
    one.set_source(FLOW, "payment.note", [chosen], digest=before.digest, by="ana", reason="the desk asked for it")
    one.accept(FLOW, "payment.note", digest=part(one, "payment.note").digest, by="ana")
    store = DecisionStore(shared)
    assert {(entry.action, entry.reason) for entry in store.rows()} >= {
        ("edit", "the desk asked for it"), ("accept", ""),
    }  # fmt: skip
    assert sources(part(opened(tmp_path, "two", shared), "payment.note"))[0] == chosen
    store.forget([entry.number for entry in store.rows()])
    assert sources(part(opened(tmp_path, "three", shared), "payment.note")) == sources(before)


def test_a_refused_source_sinks_at_once_in_the_same_flow(tmp_path: Path) -> None:
    space = opened(tmp_path, "one", tmp_path / "d.duckdb")
    before = part(space, "payment.note")
    used = before.sources
    assert sources(before)[0] in used
    space.reject(FLOW, "payment.note", digest=before.digest, by="ana", reason="wrong field")
    after = part(space, "payment.note")
    assert after.state == "rejected"
    assert not after.alternatives or sources(after)[0] not in used or len(used) > 1
    (entry,) = DecisionStore(tmp_path / "d.duckdb").rows()
    assert (entry.action, entry.reason, entry.person, entry.sources) == ("reject", "wrong field", "ana", used)


def test_undo_takes_back_what_was_learned(tmp_path: Path) -> None:
    space = opened(tmp_path, "one", tmp_path / "d.duckdb")
    store = DecisionStore(tmp_path / "d.duckdb")
    space.accept(FLOW, "payment.date", digest=part(space, "payment.date").digest, by="ana")
    space.accept(FLOW, "payment.note", digest=part(space, "payment.note").digest, by="ana")
    assert space.undo(FLOW)
    assert [entry.part for entry in store.rows()] == ["payment.date"]
    before = part(space, "payment.note")
    space.set_source(FLOW, "payment.note", ["status"], digest=before.digest, by="ana")
    assert [entry.action for entry in store.rows()] == ["accept", "reject", "edit"]
    assert space.undo(FLOW)
    assert [entry.part for entry in store.rows()] == ["payment.date"]


def test_accepting_many_records_each(tmp_path: Path) -> None:
    space = opened(tmp_path, "one", tmp_path / "d.duckdb")
    wanted = [(entry.part, entry.digest) for entry in space.rows(FLOW) if entry.digest and not entry.money]
    left = space.accept_many(FLOW, wanted, by="bo")
    parts = [entry.part for entry in DecisionStore(tmp_path / "d.duckdb").rows()]
    assert parts and set(parts) <= {name for name, _ in wanted}
    assert not left
