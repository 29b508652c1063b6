"""What earlier decisions of people say about a pair of fields. Pure; the clock is the age given with each decision.

An accepted pair speaks for itself and, more softly, for fields of the same names elsewhere. A refusal speaks against
the very same paths only: that one name was wrong says little about another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mapper_ai.core.fields import FieldProfile, Profile, split_path
from mapper_ai.core.signals import Matrix

# A decision counts half after two years: systems and people's minds change slowly.
HALF_LIFE_DAYS = 730.0
# An edit says which source is right as plainly as an approval, but its steps may still change.
_WEIGHT = {"accept": 1.0, "edit": 0.9, "reject": 1.0}
_OTHER_SYSTEM = 0.5
_OTHER_ENTITY = 0.8
_LIKE = 0.5
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")


@dataclass(frozen=True)
class PastDecision:
    """A decision about one pair.

    Attributes:
        source_ref: System and entity of the source, `clarity-rest/order`.
        sources: Paths that feed the target together, at least one.
        target_ref: System and entity of the target.
        target: Path of the target field.
        action: accept, reject or edit (accept with other steps or sources).
        age_days: Time since then; negative ages count as 0.
    """

    source_ref: str
    sources: tuple[str, ...]
    target_ref: str
    target: str
    action: str
    age_days: float = 0.0


class PastDecisions:
    """The history signal of one pair of record kinds, out of decisions about any."""

    def __init__(
        self,
        decisions: Sequence[PastDecision],
        source_ref: str,
        target_ref: str,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self._decisions = decisions
        self._source_ref = source_ref
        self._target_ref = target_ref
        self._names = names or {}

    def naming(self, names: Mapping[str, str]) -> PastDecisions:
        """The same history for target fields that a profile calls otherwise: path in the profile -> decided path."""
        return PastDecisions(self._decisions, self._source_ref, self._target_ref, names)

    def __len__(self) -> int:
        return len(self._decisions)

    def __call__(self, source: Profile, target: Profile) -> Matrix:
        """`similarity` of all pairs at once, 0 where nothing is known."""
        result: Matrix = np.nan_to_num(self._matrix(source.fields, target.fields))
        return result

    def similarity(self, source_field: FieldProfile, target_field: FieldProfile) -> float | None:
        """-1 (always refused) to 1 (always accepted); None when nothing is known of such a pair."""
        value = float(self._matrix([source_field], [target_field])[0, 0])
        return None if np.isnan(value) else value

    def _matrix(self, sources: Sequence[FieldProfile], targets: Sequence[FieldProfile]) -> Matrix:
        """`similarity` of all pairs; NaN where nothing is known."""
        shape = (len(sources), len(targets))
        paths = [self._names.get(entry.path, entry.path) for entry in targets]
        speaking_for, against, unheard = np.zeros(shape), np.zeros(shape), np.ones(shape)
        for decision in self._decisions:
            weight = _WEIGHT.get(decision.action, 0.0) * 0.5 ** (max(0.0, decision.age_days) / HALF_LIFE_DAYS)
            exact = decision.action == "reject"
            near_source = _ref_nearness(decision.source_ref, self._source_ref)
            near_target = _ref_nearness(decision.target_ref, self._target_ref)
            rows = np.array([near_source * _nearest(entry.path, decision.sources, exact=exact) for entry in sources])
            columns = np.array([near_target * _nearness(path, decision.target, exact=exact) for path in paths])
            heard = weight * np.outer(rows, columns)
            (against if exact else speaking_for).__iadd__(heard)
            unheard *= 1.0 - np.minimum(heard, 0.999)
        total = speaking_for + against
        with np.errstate(invalid="ignore", divide="ignore"):
            balance = np.where(total > 1e-9, (speaking_for - against) / total, np.nan)
        result: Matrix = (balance * (1.0 - unheard)).astype(np.float32)
        return result


def _ref_nearness(first: str, second: str) -> float:
    """1 for the same system and entity, less for another entity of it, least for another system."""
    if first == second:
        return 1.0
    same_system = first.partition("/")[0] == second.partition("/")[0]
    return _OTHER_ENTITY if same_system else _OTHER_SYSTEM


def _nearest(path: str, sources: Sequence[str], *, exact: bool) -> float:
    """Of a field to the sources of a decision; one of several that were joined stands for half."""
    if path == " + ".join(sources):
        return 1.0
    if len(sources) == 1:
        return _nearness(path, sources[0], exact=exact)
    return 0.5 if path in sources and not exact else 0.0


def _nearness(path: str, other: str, *, exact: bool) -> float:
    if path == other:
        return 1.0
    if exact:
        return 0.0
    (leaf, words), (other_leaf, other_words) = _read(path), _read(other)
    if not leaf or leaf != other_leaf:
        return 0.0
    return _LIKE * len(words & other_words) / len(words | other_words)


@lru_cache(maxsize=65_536)
def _read(path: str) -> tuple[frozenset[str], frozenset[str]]:
    """The words of a path's last name, and of the whole path."""
    names = [frozenset(word.casefold() for word in _WORD.findall(name)) for name, _ in split_path(path)]
    return names[-1], frozenset().union(*names)
