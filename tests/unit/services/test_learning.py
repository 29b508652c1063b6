"""Training on the project's own gold: the same every time, sane on platforms left out, clear about bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mapper_ai.core.model import read_model
from mapper_ai.core.profile import profile_records
from mapper_ai.core.suggest import suggest
from mapper_ai.errors import InputError
from mapper_ai.services.learning.fitting import fit_curve, fit_weights, prior_weights
from mapper_ai.services.learning.generated import generate
from mapper_ai.services.learning.gold import Case, platform_pair, read_cases
from mapper_ai.services.learning.training import Trained, train

GOLD = Path(__file__).parents[3] / "fixtures" / "gold"


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return read_cases([GOLD])


@pytest.fixture(scope="module")
def trained(cases: list[Case]) -> Trained:
    return train(cases, generated=1)


def test_training_on_the_shipped_gold_does_well_on_platforms_left_out(trained: Trained) -> None:
    assert trained.learned["MRR"].value > 0.85
    assert trained.learned["Recall@1"].value > 0.8
    assert trained.learned["F1"].value > 0.7
    assert trained.learned["ECE"].value < 0.1
    assert trained.learned["ECE"].value < trained.hand["ECE"].value
    assert all(figure.low <= figure.value <= figure.high for name, figure in trained.learned.items() if name != "ECE")


def test_training_twice_gives_the_same_artefact(cases: list[Case], trained: Trained) -> None:
    again = train(list(reversed(cases)), generated=1)
    assert json.dumps(again.document, sort_keys=True) == json.dumps(trained.document, sort_keys=True)


def test_the_artefact_is_a_scorer(trained: Trained) -> None:
    model = read_model(json.loads(json.dumps(trained.document)))
    source = profile_records([{"firstName": "Ana", "orderDate": "2026-01-01"}])
    found = {row.target: row for row in suggest(source, profile_records([{"given_name": "B"}]), model=model)}
    assert found["given_name"].candidates[0].source == "firstName"
    assert set(trained.document["record"]["cases"]) == {case.name for case in read_cases([GOLD])}


def test_no_case_is_measured_by_weights_that_saw_its_platforms(cases: list[Case]) -> None:
    assert platform_pair("stripe_xero_invoice") == platform_pair("stripe_xero_customer") == "stripe_xero"
    assert {case.group for case in cases if case.name.startswith("chargebee")} == {"chargebee_lexoffice"}


def test_generated_cases_are_repeatable_and_keep_their_gold_true(cases: list[Case]) -> None:
    for case in cases:
        for number in range(4):
            made = generate(case, number)
            assert made == generate(case, number)
            assert set(made.gold) <= set(made.target.paths)
            assert all(sources and sources <= set(made.source.paths) for sources in made.gold.values())
            assert len(made.target.fields) == len(case.target.fields)
    assert generate(cases[0], 0).target.paths != generate(cases[0], 1).target.paths


def test_lost_sources_leave_targets_without_a_match(cases: list[Case]) -> None:
    kept = generate(cases[0], 0, lost=0.0, strange=0.0)
    lost = generate(cases[0], 0, lost=0.9, strange=0.0)
    assert len(lost.gold) < len(kept.gold) == len(cases[0].gold)


def test_the_curve_rises_and_does_not_promise_certainty() -> None:
    odds = np.linspace(-4, 4, 80)
    slope, offset = fit_curve(odds, (odds > 0).astype(float), np.ones(80))
    assert slope > 0
    assert 1 / (1 + np.exp(-(slope * 4 + offset))) < 1.0
    assert fit_curve(odds, np.ones(80), np.ones(80)) == (1.0, 0.0)


def test_weights_are_never_negative_and_stay_at_the_prior_without_evidence() -> None:
    prior = prior_weights()
    nothing = (np.zeros((4, len(prior))), np.array([0.0, 1.0, 0.0, 1.0]), np.ones(4))
    weights, _ = fit_weights([nothing])
    assert weights == pytest.approx(prior, abs=1e-3)
    against = (np.ones((50, len(prior))) * np.linspace(0, 1, 50)[:, None], np.linspace(1, 0, 50).round(), np.ones(50))
    assert (fit_weights([against])[0] >= 0).all()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "no folder with a gold.json"),
        ({"a/gold.json": "{"}, "no JSON"),
        ({"a/gold.json": "[]"}, "expected an object with a list of 'pairs'"),
        ({"a/gold.json": '{"pairs": [{"source": "x"}]}'}, "pair 1: expected 'source' and 'target'"),
        ({"a/gold.json": '{"pairs": []}'}, "source.json: cannot be read"),
        ({"a/gold.json": '{"pairs": []}', "a/source.json": "{}"}, "source.json: expected a list of records"),
        ({"a/gold.json": '{"pairs": []}', "a/source.json": "[1]"}, "record 1: expected an object"),
    ],
)
def test_a_bad_case_is_named(tmp_path: Path, files: dict[str, str], words: str) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(InputError, match=words.replace("[", r"\[")):
        read_cases([tmp_path])


def test_two_platform_pairs_are_too_few(cases: list[Case]) -> None:
    with pytest.raises(InputError, match="at least 3 platform pairs, got 2"):
        train([case for case in cases if case.group in ("ebay_sapb1", "etsy_sage")])
