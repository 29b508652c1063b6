"""A perfect, a random and a hostile language model through the same wire, on cases of known answer."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mapper_ai.core.evaluation import Prediction
from mapper_ai.core.opinions import HARDER, LEAST, MOST
from mapper_ai.core.suggest import TargetSuggestion, suggest
from mapper_ai.llm.colleague import Colleague
from mapper_ai.llm.settings import LlmSettings
from mapper_ai.services.bench import Report, predictions, run_bench
from mapper_ai.services.learning.gold import Case, read_cases
from tests.llm_stub import Stub, picks, running_stub

GOLD = Path(__file__).resolve().parents[2] / "fixtures" / "gold"
Choose = Callable[[Case, str, dict[str, list[str]], random.Random], str]


@dataclass(frozen=True)
class Result:
    """Of one simulated model on all cases: F1 with and without it, and all suggestions."""

    f1: float
    without: float
    suggestions: list[TargetSuggestion]


def perfect(case: Case, target: str, candidates: dict[str, list[str]], chance: random.Random) -> str:
    return next((key for key, paths in candidates.items() if case.right(paths, target)), "none")


def at_random(case: Case, target: str, candidates: dict[str, list[str]], chance: random.Random) -> str:
    return chance.choice([*candidates, "none"])


def hostile(case: Case, target: str, candidates: dict[str, list[str]], chance: random.Random) -> str:
    wrong = [key for key, paths in candidates.items() if not case.right(paths, target)]
    return chance.choice(wrong) if wrong else "none"


def sly(case: Case, target: str, candidates: dict[str, list[str]], chance: random.Random) -> str:
    """Right wherever the answer is plain, so that it is trusted, and wrong elsewhere."""
    plain = {row.target: row.candidates[0].confidence for row in suggest(case.source, case.target) if row.candidates}
    return (hostile if 0.1 < plain.get(target, 0.0) < 0.9 else perfect)(case, target, candidates, chance)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return read_cases([GOLD])


@pytest.fixture(scope="module")
def stub() -> Iterator[Stub]:
    with running_stub(lambda body: "") as running:
        yield running


def result(cases: list[Case], stub: Stub, choose: Choose) -> Result:
    found: list[TargetSuggestion] = []

    def predict(case: Case) -> list[Prediction]:
        chance = random.Random(case.name)  # noqa: S311 - a simulation, the same in every run
        known: dict[str, str] = {}
        stub.answer = lambda body: picks(
            lambda target, options: known.setdefault(target, choose(case, target, options, chance)), body
        )
        settings = LlmSettings(model="stub", base_url=stub.url, cache="", parallel=1)
        with Colleague(settings) as colleague:
            rows = colleague.rank(case.source, case.target)
        assert all(row.trouble is None for row in colleague.tally.outcomes)
        found.extend(rows)
        return predictions(rows)

    return Result(f1(run_bench(cases, predict=predict)), f1(run_bench(cases)), found)


def f1(report: Report) -> float:
    return report.figures["F1"].value or 0.0


def test_one_that_is_always_right_lifts(cases: list[Case], stub: Stub) -> None:
    found = result(cases, stub, perfect)
    assert found.f1 >= found.without + 0.025


def test_one_at_random_costs_next_to_nothing(cases: list[Case], stub: Stub) -> None:
    found = result(cases, stub, at_random)
    assert found.f1 >= found.without - 0.02


def test_one_that_is_always_wrong_changes_nothing_that_is_accepted(cases: list[Case], stub: Stub) -> None:
    found = result(cases, stub, hostile)
    assert found.f1 >= found.without - 0.005


def test_one_that_earns_trust_and_lies_stays_within_the_caps(cases: list[Case], stub: Stub) -> None:
    found = result(cases[:3], stub, sly)
    shares = [row.evidence["llm"] for one in found.suggestions for row in one.candidates if "llm" in row.evidence]
    assert shares
    assert all(LEAST * HARDER <= share <= MOST * HARDER for share in shares)
    # Nothing in it is surer than before by more than the cap, and nothing sure was asked at all.
    plain = {
        (row.target, row.candidates[0].sources)
        for case in cases[:3]
        for row in suggest(case.source, case.target)
        if row.accepted and row.candidates[0].confidence >= 0.9
    }
    assert plain <= {(row.target, row.candidates[0].sources) for row in found.suggestions if row.accepted}


def test_what_one_target_shows_counts_for_the_next(cases: list[Case], stub: Stub) -> None:
    case = max(cases, key=lambda one: len(one.gold.sources))
    stub.answer = lambda body: picks(lambda target, options: perfect(case, target, options, random.Random(0)), body)  # noqa: S311
    told: list[str] = []
    halves = [replace(case.target, fields=case.target.fields[at::2]) for at in (0, 1)]
    with Colleague(LlmSettings(model="stub", base_url=stub.url, cache=""), tell=told.append) as colleague:
        for half in halves:
            colleague.rank(case.source, half)
    right = [int(found) for line in told for found in re.findall(r"it chose right (\d+) of", line)]
    assert len(right) == 2 and 0 < right[0] < right[1]
