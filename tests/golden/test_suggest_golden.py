"""Suggestions on a small order and a small invoice: what a bookkeeper connects, and exactly what the code says."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mapper_ai.core.explain import Explainer
from mapper_ai.core.profile import Profile, profile_records
from mapper_ai.core.suggest import TargetSuggestion, suggest
from mapper_ai.services.sampling import read_samples

FIXTURES = Path(__file__).parents[2] / "fixtures" / "suggest"
EXPECTED = FIXTURES / "expected_invoice.json"


@pytest.fixture(scope="module")
def profiles() -> tuple[Profile, Profile]:
    source, target = (profile_records(read_samples(FIXTURES / f"{n}.json")) for n in ("web_order", "erp_invoice"))
    return source, target


@pytest.fixture(scope="module")
def suggestions(profiles: tuple[Profile, Profile]) -> dict[str, TargetSuggestion]:
    return {entry.target: entry for entry in suggest(*profiles)}


@pytest.mark.parametrize(("target", "source"), json.loads((FIXTURES / "gold_invoice.json").read_text("utf-8")).items())
def test_a_bookkeeper_would_agree(suggestions: dict[str, TargetSuggestion], target: str, source: str | None) -> None:
    found = suggestions[target]
    assert (found.candidates[0].source if found.accepted else None) == source


def test_suggestions_are_what_they_were(
    suggestions: dict[str, TargetSuggestion], profiles: tuple[Profile, Profile]
) -> None:
    explainer = Explainer(*profiles)
    # Two digits: the last bits of a matrix product differ between processors.
    now: dict[str, Any] = {
        target: {
            "state": entry.state,
            "source": list(entry.candidates[0].sources) if entry.accepted else None,
            "confidence": round(entry.candidates[0].confidence, 2) if entry.accepted else None,
            "reason": explainer.reason(entry.candidates[0]) if entry.accepted else None,
        }
        for target, entry in suggestions.items()
    }
    if os.environ.get("MAPPER_UPDATE_GOLDEN"):
        EXPECTED.write_text(json.dumps(now, indent=2, ensure_ascii=False) + "\n", "utf-8")
    expected = json.loads(EXPECTED.read_text("utf-8"))
    assert now.keys() == expected.keys()
    for target, was in expected.items():
        confidence, is_now = was.pop("confidence"), dict(now[target])
        assert is_now.pop("confidence") == pytest.approx(confidence, abs=0.011)
        assert is_now == was
