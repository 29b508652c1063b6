"""Decisions: found by words, forgotten, brought back; other names likewise."""

from __future__ import annotations

from pathlib import Path

from studio_app import FLOW, Studio, press, shown

from mapper_ai.services.decisions import DecisionStore
from mapper_ai.services.operating import StoreOperator
from sync.store import open_store


def decide(studio: Studio) -> DecisionStore:
    work = studio.propose()
    for part in ("invoice.create_date", "client.fname"):
        digest = next(row.digest for row in work.rows(FLOW) if row.part == part)
        if part.startswith("client"):
            work.reject(FLOW, part, digest=digest, by="ana", reason="a company has none")
        else:
            work.accept(FLOW, part, digest=digest, by="ben")
    return DecisionStore(studio.root / "decisions.duckdb")


def test_decisions_are_found_by_any_word(studio: Studio) -> None:
    decide(studio)
    app = studio.page("decisions")
    assert app.dataframe[0].value["Target"].tolist() == ["fname", "create_date"]
    app.text_input(key="decisions-search").set_value("company ana").run()
    assert app.dataframe[0].value["Target"].tolist() == ["fname"]
    app.text_input(key="decisions-search").set_value("nothing like it").run()
    assert "No decision has these words" in shown(app)


def test_what_is_forgotten_can_be_brought_back_at_its_place(studio: Studio) -> None:
    store = decide(studio)
    before = store.rows()
    rejected, accepted = before[-1], before[-2]
    assert store.forget([accepted.number]) == 1
    assert store.restore([accepted, rejected]) == 1
    assert store.rows() == before


def test_other_names_are_shown_with_who_told_them(studio: Studio, tmp_path: Path) -> None:
    assert "The runner has not worked yet" in shown(studio.page("decisions"))
    url = f"sqlite:///{tmp_path / 'mapper.db'}"
    open_store(url).close()
    operator = StoreOperator(url, "ana")
    operator.do("alias", kind="sku", name="OLD-1", target="NEW-1")
    app = studio.page("decisions")
    table = app.dataframe[-1].value
    assert table[["Kind", "The shop's name", "Stands for", "Who"]].to_numpy().tolist() == [
        ["SKU", "OLD-1", "NEW-1", "ana"]
    ]
    app.session_state["removed-names"] = operator.read("aliases")
    operator.do("alias", kind="sku", name="OLD-1")
    app.run()
    assert "None yet" in shown(app)
    press(app, "undo-removed-names")
    assert [row["name"] for row in operator.read("aliases")] == ["OLD-1"]
