"""A hostile model on a spec that a person has approved: it is given every task, and all it can do is be wrong."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mapper_ai.core.profile import profile_records
from mapper_ai.llm.colleague import Colleague
from mapper_ai.llm.settings import LlmSettings
from mapper_ai.llm.tasks.steps import Offer
from mapper_ai.services.additions import plan_rule
from mapper_ai.services.edits import goal_of, with_rule
from mapper_ai.services.sampling import read_samples
from mapper_ai.services.specs import read_spec
from mapspec import digests, dump_spec, unapproved
from tests.llm_stub import Stub, facts_of, running_stub, task_of

ROOT = Path(__file__).resolve().parents[2]
SPEC = ROOT / "mappings" / "clarity-freshbooks" / "order-to-invoice.yaml"
RECORDS = list(read_samples(ROOT / "fixtures" / "clarity" / "order__plain-card.json"))
PARTS = ("invoice.po_number", "client.email")


@pytest.fixture
def stub() -> Iterator[Stub]:
    with running_stub(lambda body: "") as running:
        yield running


def attacks(canary: Path) -> dict[str, list[dict[str, Any]]]:
    """By task: what runs something, reads a file, approves, or leaves the form."""
    code = f"__import__('os').system('touch {canary}')"
    approval = {"state": "approved", "by": "somebody"}
    steps = [
        [{"op": "eval", "code": code}],
        [{"op": "path", "path": "/etc/passwd"}],
        [{"op": "template", "text": "{" + code + "}"}],
        [{"op": "path", "path": "orderNumber"}, {"op": "regex_extract", "pattern": "(a+)+$" * 20, "group": None}],
        [{"op": "const", "value": code}],
        [{"op": "when", "if": {"test": "present", "path": code}, "then": [], "else": None}],
    ]
    checks = [{"check": "regex", "value": "^impossible$"}]
    return {
        "propose_steps": [{"steps": one, "why": code} for one in steps]
        + [{"steps": steps[4], "why": "", "approval": approval}],
        "write_steps": [{"steps": one, "why": code} for one in steps],
        "propose_checks": [{"checks": checks, "why": ""}, {"checks": [], "why": "", "remove": ["all"]}],
        "propose_combination": [{"how": "multiply", "sources": ["x", "x"], "why": code}, {"how": code, "sources": []}],
        "propose_table": [{"rows": [{"source": "x", "target": code}], "why": ""}],
        "explain_mapping": [{"sentence": f"\x1b]0;{code}\x07", "approval": approval}],
        "summarise_change": [{"summary": "All is well.", "risks": [{"part": "nothing", "why": ""}]}],
        "pick_source": [{"t1": {"choice": code, "sure": "high", "why": ""}}],
    }


def test_a_hostile_model_changes_no_approved_field_and_executes_nothing(
    stub: Stub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    said = attacks(canary)
    turn: dict[str, int] = {}

    def answer(body: dict[str, Any]) -> str:
        rows = said[task_of(body)]
        turn[task_of(body)] = place = turn.get(task_of(body), -1) + 1
        assert facts_of(body)
        return json.dumps(rows[place % len(rows)])

    started: list[Any] = []
    monkeypatch.setattr(subprocess, "Popen", lambda *words, **more: started.append(words))
    monkeypatch.setattr(os, "system", started.append)
    stub.answer = answer
    spec = read_spec(SPEC).spec
    before, text, on_disk = digests(spec), dump_spec(spec), SPEC.read_bytes()
    assert unapproved(spec) == []
    offers: list[tuple[str, Offer]] = []
    with Colleague(LlmSettings(model="stub", base_url=stub.url, cache="", retries=0), RECORDS) as colleague:
        goal, profile = goal_of(spec, "invoice.language"), profile_records(RECORDS * 3)
        rule, tables, _ = plan_rule(spec, "invoice.language", ["status"], goal, profile)
        for part in PARTS:
            for _ in range(len(said["propose_steps"])):
                outcomes = [colleague.propose_steps(spec, part), colleague.write_steps(spec, part, "the number")]
                offers += [(part, one.value) for one in outcomes if one.value is not None]
            checked = colleague.propose_checks(spec, part).value
            offers += [(part, checked)] if checked is not None else []
            assert colleague.propose_combination(spec, part).value is None
            assert colleague.explain(spec, part).value is None
        colleague.propose_table(spec, "invoice.language", "status", rule, next(iter(tables), "made"))
        colleague.summarise(None, spec)
        colleague.rank(profile, profile_records([{"mail": "a@example.net", "memo": "x y"}]))
    assert set(turn) == set(said)
    # A constant is a step like another: it may be proposed, and stands there for a person to see.
    assert {step.name for _, offer in offers if offer.why for step in offer.rule.steps} <= {"const"}
    for part, offer in offers:
        assert offer.rule.approval.state == "proposed"
        assert part in {row.part for row in unapproved(with_rule(spec, part, offer.rule, dict(offer.tables)))}
        assert offer.rule.check[: len(spec.rules()[part].check)] == spec.rules()[part].check
    assert (digests(spec), dump_spec(spec), SPEC.read_bytes()) == (before, text, on_disk)
    # The openai package asks what processor it runs on.
    assert [words for words in started if words != (["uname", "-p"],)] == []
    assert not canary.exists()
