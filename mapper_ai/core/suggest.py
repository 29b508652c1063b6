"""Propose sources for every target: retrieve, look closer, rank, accept or say no match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from mapper_ai.core.combine import Combination, How, with_combinations
from mapper_ai.core.evidence import Evidence, collect
from mapper_ai.core.features import MONEY_CONCEPTS, Candidates, gather
from mapper_ai.core.fields import FieldProfile, Profile
from mapper_ai.core.history import Decision, HistorySignal, history_matrix
from mapper_ai.core.model import Model, Odds, load_model
from mapper_ai.core.names import FieldMeaning
from mapper_ai.core.opinions import Opinions, swayed
from mapper_ai.core.recall import FIRM, SHIFT, recalled
from mapper_ai.core.references import lookup_of
from mapper_ai.core.signals import Matrix
from mapper_ai.core.structure import is_allowed
from mapper_ai.core.vocabulary import Vocabulary, load_vocabulary

__all__ = [
    "ACCEPT_AT",
    "Candidate",
    "Decision",
    "HistorySignal",
    "Ranker",
    "State",
    "TargetSuggestion",
    "suggest",
]

# Below this a person would more often delete the proposal than keep it.
ACCEPT_AT = 0.5
# Candidates below this say nothing and only lengthen the list.
SHOW_AT = 0.002

State = Literal["match", "no-match", "not-tried"]


@dataclass(frozen=True)
class Candidate:
    """One possible source of a target.

    Attributes:
        source: Path in the source records.
        target: Path in the target records.
        confidence: That the source is right, 0..1.
        evidence: Feature -> what it adds to (or takes from) the confidence, in log-odds.
        similarity: Of the two names alone, 0..1.
        joined_with: Further source paths when several feed the target together (first and last name).
        how: How several sources, or all items of a list, become one value; "" for a plain field.
        lookup: Kind of record the target points at ("customer", "product"): the value is looked up, not copied.
    """

    source: str
    target: str
    confidence: float
    evidence: Mapping[str, float] = field(default_factory=dict)
    similarity: float = 0.0
    joined_with: tuple[str, ...] = ()
    how: How = ""
    lookup: str = ""

    @property
    def sources(self) -> tuple[str, ...]:
        """All source paths that feed the target together, in the order they are joined."""
        return (self.source, *self.joined_with)


@dataclass(frozen=True)
class TargetSuggestion:
    """The ranked candidates of one target.

    Attributes:
        target: Path in the target records.
        candidates: Best first; empty when no source comes near.
        accepted: True when the first candidate is proposed as the match.
        state: "match" when the first candidate is good enough; "not-tried" when nothing could or should feed the
            target, whatever its candidates look like; else "no-match".
        no_match: Probability that no source field is right, 0..1.
        why: Why it was not tried, in words; "" otherwise.
        risky: What rests on the target: "money", "tax" or "key"; "" when little does.
    """

    target: str
    candidates: tuple[Candidate, ...]
    accepted: bool
    state: State
    no_match: float = 1.0
    why: str = ""
    risky: str = ""


class Ranker(Protocol):
    """Ranks sources for targets: `suggest`, or somebody who knows more and does it by `suggest`."""

    def __call__(
        self,
        source: Profile,
        target: Profile,
        *,
        top: int = 5,
        history: HistorySignal | Sequence[Decision] = (),
        model: Model | None = None,
    ) -> list[TargetSuggestion]: ...


def suggest(
    source: Profile,
    target: Profile,
    *,
    top: int = 5,
    history: HistorySignal | Sequence[Decision] = (),
    opinions: Opinions | None = None,
    model: Model | None = None,
    accept_at: float = ACCEPT_AT,
    vocabulary: Vocabulary | None = None,
) -> list[TargetSuggestion]:
    """Rank sources for every target field.

    Deterministic: equal profiles give equal results. An empty profile on either side gives no candidates.

    Args:
        source: Fields that may feed.
        target: Fields to be fed.
        top: Candidates kept a target, at least 1.
        history: Earlier decisions; an accepted pair stands first again, a refused one is not proposed.
        opinions: Of somebody asked about single targets; they sway a confidence as far as their giver proved right.
        model: The scorer; the default ships with the package.
        accept_at: Lowest confidence of an accepted candidate, 0..1.
        vocabulary: Words of the domain; the default ships with the package.

    Returns:
        One entry a target, in the order of the target profile.

    Raises:
        ValueError: `top` is below 1, `accept_at` lies outside 0..1, or the history's answer has another shape.
    """
    if top < 1:
        raise ValueError(f"top must be at least 1, got {top}")
    if not 0.0 <= accept_at <= 1.0:
        raise ValueError(f"accept_at must lie in 0..1, got {accept_at}")
    if not source.fields or not target.fields:
        why = "the source has no field"
        return [TargetSuggestion(entry.path, (), False, "not-tried", why=why) for entry in target.fields]
    words = vocabulary or load_vocabulary()
    scorer = model or load_model()
    source, combined = with_combinations(source, target, words)
    evidence = collect(source, target, words)
    remembered = history_matrix(history, source, target)
    found = gather(evidence, wanted=remembered)
    odds = scorer.odds(found.features)
    told = np.zeros(odds.shape, np.float32) if remembered is None else remembered[found.rows, found.columns]
    ranking = _Ranking(source, evidence, combined, scorer, found, odds, told, opinions or Opinions())
    return ranking.suggestions(top, accept_at)


@dataclass(frozen=True)
class _Ranking:
    """What is needed to rank the candidates of any one target."""

    source: Profile
    evidence: Evidence
    combined: Mapping[str, Combination]
    scorer: Model
    found: Candidates
    odds: Odds
    history: Matrix
    opinions: Opinions

    def suggestions(self, top: int, accept_at: float) -> list[TargetSuggestion]:
        """One entry a target."""
        shape = (-1, self.found.count)
        swing, existing = self._opinions()
        sure = swayed(self.scorer.confidence(self.odds).astype(np.float32), swing)
        # A target a column, as `recalled` wants it.
        told = recalled(sure.reshape(shape).T, self.history.reshape(shape).T).T.ravel()
        # By confidence; what is equal to six digits by log-odds, then as retrieved.
        keys = np.lexsort((-self.odds, -np.round(told, 6), self.found.columns))
        exists = swayed(self.scorer.has_source(self.odds).astype(np.float32), existing)
        return [
            self._suggestion(column, keys[self.found.span(column)].tolist(), told, exists, swing, top, accept_at)
            for column in range(len(self.evidence.target.fields))
        ]

    def _opinions(self) -> tuple[Matrix, Matrix]:
        """Log-odds that opinions add to every candidate, and to its target's having a source."""
        swing, existing = (np.zeros(self.odds.shape, np.float32) for _ in range(2))
        for column, target in enumerate(self.evidence.target.fields if self.opinions.by_target else ()):
            span = self.found.span(column)
            members = [self._made(int(row)).sources for row in self.found.rows[span]]
            swing[span], existing[span] = self.opinions.shifts(target.path, members)
        return swing, existing

    def _made(self, row: int) -> Combination:
        path = self.source.fields[row].path
        return self.combined.get(path, Combination((path,), ""))

    def _suggestion(
        self,
        column: int,
        places: Sequence[int],
        sure: Matrix,
        exists: Matrix,
        swing: Matrix,
        top: int,
        accept_at: float,
    ) -> TargetSuggestion:
        goal, meaning = self.evidence.target.fields[column], self.evidence.target.meanings[column]
        candidates = tuple(
            self._candidate(int(place), goal, meaning, float(sure[place]), float(swing[place]))
            for place in places[:top]
            if sure[place] >= SHOW_AT
        )
        best = int(places[0])
        why = _why_not(goal, meaning)
        # What a person accepted before is tried whatever the field looks like, unless it cannot be written.
        if why and self.history[best] >= FIRM and not (goal.contract and goal.contract.read_only):
            why = ""
        accepted = (
            bool(candidates)
            and not why
            and candidates[0].confidence >= accept_at
            and is_allowed(self.evidence.source.fields[int(self.found.rows[best])], goal, self.evidence.aligned)
        )
        source_exists = max(float(exists[best]), candidates[0].confidence) if candidates else 0.0
        return TargetSuggestion(
            goal.path,
            candidates,
            accepted,
            "match" if accepted else ("not-tried" if why else "no-match"),
            no_match=round(1.0 - source_exists, 4),
            why=why,
            risky=risk_of(meaning),
        )

    def _candidate(self, place: int, goal: FieldProfile, meaning: FieldMeaning, sure: float, swing: float) -> Candidate:
        row, column = int(self.found.rows[place]), int(self.found.columns[place])
        made = self._made(row)
        shares = self.scorer.contributions(self.found.features[place].tolist())
        if abs(self.history[place]) > 1e-4:
            shares["history"] = round(SHIFT * float(self.history[place]), 4)
        if abs(swing) > 1e-4:
            shares["llm"] = round(swing, 4)
        signals: Mapping[str, Matrix] = self.evidence.signals
        alike = max(float(signals["name"][row, column]), float(signals["path"][row, column]))
        return Candidate(
            source=made.sources[0],
            target=goal.path,
            confidence=round(sure, 4),
            evidence=shares,
            similarity=round(min(1.0, max(0.0, alike)), 4),
            joined_with=made.sources[1:],
            how=made.how,
            lookup=lookup_of(meaning),
        )


def _why_not(goal: FieldProfile, meaning: FieldMeaning) -> str:
    if goal.contract is not None and goal.contract.read_only:
        return "the target is read-only"
    if meaning.own_id:
        return "the target's own system gives this id"
    return ""


_TAX = frozenset(
    ["tax_total", "tax_rate", "tax_name", "tax_code", "taxable", "tax_exempt", "prices_include_tax", "vat_number"]
)
_MONEY = MONEY_CONCEPTS | {
    "discount_percent",
    "tip",
    "currency",
    "exchange_rate",
    "quantity",
    "account",
    "bank_account",
    "payment_terms",
}
_KEYS = frozenset(
    ["id", "number", "reference", "external_id", "uuid", "sku", "barcode", "transaction_id", "po_number", "email"]
)


def risk_of(meaning: FieldMeaning) -> str:
    """What rests on a field: "tax", "money" or "key"; "" when little does. Such fields are never auto-accepted."""
    concepts = {name for name, _ in meaning.leaf}
    if concepts & _TAX:
        return "tax"
    if concepts & _MONEY or meaning.money:
        return "money"
    return "key" if concepts & _KEYS else ""
