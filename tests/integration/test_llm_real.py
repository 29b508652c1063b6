"""A real small model through every task. Its choices are at chance, so the shape is judged and not its taste."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mapper_ai.core.profile import profile_records
from mapper_ai.core.suggest import suggest
from mapper_ai.llm.asking import Outcome
from mapper_ai.llm.check import check
from mapper_ai.llm.colleague import Colleague
from mapper_ai.llm.settings import LlmSettings
from mapper_ai.llm.tasks.steps import Offer
from mapper_ai.llm.tasks.telling import Summary
from mapper_ai.services.additions import plan_rule
from mapper_ai.services.edits import goal_of, with_rule
from mapper_ai.services.proof import failures
from mapper_ai.services.sampling import read_samples
from mapper_ai.services.specs import read_spec
from mapspec import MappingSpec
from tests.llm_model import OfflineError, may_not_skip, model_file, running_model

ROOT = Path(__file__).resolve().parents[2]
SPEC = ROOT / "mappings" / "clarity-freshbooks" / "order-to-invoice.yaml"
RECORDS = [
    record
    for name in ("plain-card", "two-taxes")
    for record in read_samples(ROOT / "fixtures" / "clarity" / f"order__{name}.json")
]


@pytest.fixture(scope="module")
def settings() -> Iterator[LlmSettings]:
    try:
        path = model_file()
    except OfflineError as error:
        (pytest.fail if may_not_skip() else pytest.skip)(f"{error}, and the model is not in the cache")
    with running_model(path) as url:
        yield LlmSettings(
            model="smollm2",
            base_url=url,
            cache="",
            timeout_s=60,
            parallel=1,
            controls=0,
            batch=2,
            top=3,
            answer_tokens=64,
            fields=6,
            values="none",
        )


@pytest.fixture
def colleague(settings: LlmSettings) -> Iterator[Colleague]:
    with Colleague(settings, RECORDS) as made:
        yield made


@pytest.fixture(scope="module")
def spec() -> MappingSpec:
    return read_spec(SPEC).spec


def recorded(outcome: Outcome[Any]) -> bool:
    """Answered, and not as it must be: a small model may, a server or a wire that fails may not."""
    return outcome.value is None and outcome.trouble in ("too-long", "not-json", "not-fitting")


def holds(outcome: Outcome[Any], spec: MappingSpec, part: str) -> bool:
    """An offer that compiles, runs on the samples and fails on none, or a recorded fallback."""
    if outcome.value == "none" or recorded(outcome):
        return True
    offer: Offer = outcome.value
    made = with_rule(spec, part, offer.rule, dict(offer.tables))
    assert made.rules()[part].approval.state == "proposed"
    wanting = failures(made, RECORDS)
    return "" not in wanting and part not in wanting


def test_sources_are_chosen_among_the_candidates(settings: LlmSettings) -> None:
    source = profile_records(
        [{"buyerMail": "a@example.com", "mailOther": "b@example.com", "remark": "x y", "memoText": "q"}] * 3
    )
    target = profile_records([{"contact": "c@example.net", "note": "z w"}] * 3)
    with Colleague(settings, RECORDS) as colleague:
        found = colleague.rank(source, target)
        outcomes = colleague.tally.outcomes
    assert outcomes
    for outcome in outcomes:
        assert recorded(outcome) or all(set(one.sources) <= set(source.paths) for one in outcome.value)
    # Nothing was proved by a test, so nothing it says can turn a result over.
    plain = {row.target: row.accepted for row in suggest(source, target)}
    assert {row.target: row.accepted for row in found} == plain


def test_steps_checks_tables_and_combinations_hold_or_are_recorded(colleague: Colleague, spec: MappingSpec) -> None:
    assert holds(colleague.propose_steps(spec, "invoice.po_number", ["orderNumber"]), spec, "invoice.po_number")
    assert holds(colleague.write_steps(spec, "client.fname", "the first name"), spec, "client.fname")
    assert holds(colleague.propose_checks(spec, "client.fname"), spec, "client.fname")
    assert holds(colleague.propose_combination(spec, "client.organization"), spec, "client.organization")
    goal, profile = goal_of(spec, "invoice.language"), profile_records(RECORDS * 3)
    rule, tables, _ = plan_rule(spec, "invoice.language", ["status"], goal, profile)
    outcome = colleague.propose_table(spec, "invoice.language", "status", rule, next(iter(tables), "made"))
    assert recorded(outcome) or outcome.value is not None


def test_words_are_words_or_are_recorded(colleague: Colleague, spec: MappingSpec) -> None:
    told = colleague.explain(spec, "client.email")
    assert recorded(told) or (isinstance(told.value, str) and told.value.isprintable())
    rule = spec.rules()["invoice.po_number"]
    new = with_rule(spec, "invoice.po_number", rule.model_copy(update={"required": True}), {})
    summary = colleague.summarise(spec, new)
    assert summary is not None
    assert recorded(summary) or isinstance(summary.value, Summary)
    assert colleague.tally.spent.total > 0


def test_the_check_knows_a_server_that_holds_to_schemas(settings: LlmSettings) -> None:
    found = check(settings)
    assert (found.server, found.listed) == ("llama.cpp", True)
    assert {way.held for way in found.ways if way.enforced} >= {"json_schema"}
    assert found.best == "json_schema"
