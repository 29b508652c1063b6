"""Auto-accept with a promise: which matches may be taken without a person, and how often that goes wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mapper_ai.core.model import Model, Promise, load_model
from mapper_ai.core.opinions import unaided
from mapper_ai.core.suggest import TargetSuggestion

# Below this more than a handful of accepted fields would need a second look anyway.
LOWEST = 0.5


@dataclass(frozen=True)
class AutoAccept:
    """What was accepted without a person.

    Attributes:
        at: The confidence asked for.
        suggestions: All of them; accepted are only the ones at or above `at` that bear no risk. The state of the
            others stays: a match that is not accepted waits for a person.
        left: Targets that are sure enough, but rest money, tax or a key on their value; a person decides.
        expected: Share of wrong ones among the accepted that their confidences foretell; 0 when there are none.
        promise: What was measured at this confidence on platforms left out of training; None when untrained.
    """

    at: float
    suggestions: tuple[TargetSuggestion, ...]
    left: tuple[str, ...]
    expected: float
    promise: Promise | None

    @property
    def accepted(self) -> tuple[TargetSuggestion, ...]:
        """The accepted ones."""
        return tuple(row for row in self.suggestions if row.accepted)


def auto_accept(suggestions: Sequence[TargetSuggestion], at: float, model: Model | None = None) -> AutoAccept:
    """Accept what is sure enough and bears no risk, and nothing else.

    Raises:
        ValueError: `at` lies outside 0.5..1.
    """
    if not LOWEST <= at <= 1.0:
        raise ValueError(f"auto-accept: expected a confidence in {LOWEST}..1, got {at}")
    # The promise was measured without anybody's opinions, so they count for nothing here.
    sure = [
        row
        for row in suggestions
        if row.accepted
        and min(row.candidates[0].confidence, unaided(row.candidates[0].confidence, row.candidates[0].evidence)) >= at
    ]
    taken = [row for row in sure if not row.risky]
    kept = {row.target for row in taken}
    expected = sum(1.0 - row.candidates[0].confidence for row in taken) / len(taken) if taken else 0.0
    return AutoAccept(
        at,
        tuple(row if row.target in kept or not row.accepted else replace(row, accepted=False) for row in suggestions),
        tuple(row.target for row in sure if row.risky),
        expected,
        (model or load_model()).promise(at),
    )


def in_words(found: AutoAccept) -> list[str]:
    """The promise, one line a fact."""
    taken = f"{len(found.accepted)} of {len(found.suggestions)} target fields"
    return promise_lines(found.at, taken, len(found.accepted), found.expected, found.promise, found.left)


def promise_lines(
    at: float, taken: str, count: int, expected: float, told: Promise | None, left: Sequence[str]
) -> list[str]:
    """What was accepted, what to expect of it, what was measured, and what a person must still decide.

    Args:
        at: The confidence asked for.
        taken: What was accepted, in words.
        count: How many that are.
        expected: Share of wrong ones among them that their confidences foretell.
        told: The measurement.
        left: What is as sure, but bears a risk.
    """
    lines = [f"accepted at {at:g} without a person: {taken}"]
    if count:
        lines.append(f"expected error, by their confidences: {expected:.1%} (about {expected * count:.1f} of {count})")
    if told is None or not told.count:
        lines.append("measured error: none known at this confidence")
    else:
        lines.append(
            f"measured error on platforms left out of training, at {told.at:g}: {told.measured:.1%}"
            f" ({told.wrong} of {told.count} wrong; 95 % interval {told.low:.1%} to {told.high:.1%})"
        )
    if left:
        lines.append(f"as sure, but left to a person, being money, tax, keys or a table of values: {', '.join(left)}")
    return lines
