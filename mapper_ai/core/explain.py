"""Why a candidate is proposed, in one sentence made from its evidence."""

from __future__ import annotations

from collections.abc import Mapping

from mapper_ai.core.fields import FieldProfile, Profile, join_segments, split_path
from mapper_ai.core.names import FieldMeaning, read_names
from mapper_ai.core.suggest import Candidate
from mapper_ai.core.vocabulary import Vocabulary, load_vocabulary

_PLURALS: Mapping[str, str] = {
    "bool": "yes/no values",
    "integer": "whole numbers",
    "decimal": "amounts",
    "uuid": "UUIDs",
    "email": "e-mail addresses",
    "url": "links",
    "instant": "date-times",
    "date": "dates",
    "currency": "currency codes",
    "country": "countries",
    "percent": "percentages",
    "phone": "phone numbers",
    "code": "codes",
    "word": "words",
    "text": "text",
}
# Log-odds below which a signal is not worth a word.
_TELLING = 0.3
# Whether two fields stand in the same list is worth a word however little it weighs beside the rest.
_SLIGHT = 0.05


class Explainer:
    """Gives reasons for the candidates of one pair of profiles; reads the names once."""

    def __init__(self, source: Profile, target: Profile, vocabulary: Vocabulary | None = None) -> None:
        self._vocabulary = vocabulary or load_vocabulary()
        self._source = _by_path(source, self._vocabulary)
        self._target = _by_path(target, self._vocabulary)

    def reason(self, candidate: Candidate) -> str:
        """One sentence without a full stop; what speaks for the pair first, what speaks against it after "but".

        Raises:
            KeyError: The candidate's paths are not in the profiles.
        """
        left, own = self._source[candidate.source]
        right, other = self._target[candidate.target]
        evidence = candidate.evidence
        for_it: list[str] = []
        against: list[str] = []
        if evidence.get("history", 0.0) > _TELLING:
            for_it.append("accepted before")
        elif evidence.get("history", 0.0) < -_TELLING:
            against.append("refused before")
        if evidence.get("llm", 0.0) > _TELLING:
            for_it.append("the language model chose it")
        elif evidence.get("llm", 0.0) < -_TELLING:
            against.append("the language model did not choose it")
        if candidate.how:
            for_it.append(_combined(candidate))
        else:
            for_it.append(self._names(candidate, own, other))
            self._formats(left, right, for_it, against)
        if own.side and own.side == other.side and evidence.get("side", 0.0) > _TELLING:
            for_it.append(f"both {own.side}")
        elif evidence.get("side", 0.0) < -_TELLING and own.side and other.side:
            against.append(f"one is {own.side}, the other {other.side}")
        if evidence.get("level", 0.0) < -_TELLING:
            against.append("one is an amount of the record, the other of an item")
        if evidence.get("values", 0.0) > _TELLING:
            for_it.append("values overlap")
        if evidence.get("structure", 0.0) < -_SLIGHT:
            against.append("they sit in different lists" if left.arrays else "only the target is in a list")
        if right.contract is not None and right.contract.read_only:
            against.append("the target is read-only")
        elif other.own_id:
            against.append("the target's own system gives this id")
        elif evidence.get("target_prior", 0.0) < -0.4:
            against.append("the target looks internal or unused")
        if candidate.lookup:
            for_it.append(f"looked up: it points at a {candidate.lookup.replace('_', ' ')}")
        text = "; ".join(part for part in for_it if part)
        return f"{text}; but {' and '.join(against)}" if against else text

    def _names(self, candidate: Candidate, own: FieldMeaning, other: FieldMeaning) -> str:
        left_name, right_name = _last_name(candidate.source), _last_name(candidate.target)
        pair = f"{left_name} ~ {right_name}"
        if own.words == other.words or left_name == right_name:
            return f"same name: {right_name}"
        if own.head == other.head:
            if own.head.startswith("~"):
                return f"names share a word: {pair}"
            return f"names agree after synonyms: {pair}"
        if self._vocabulary.related.get((min(own.head, other.head), max(own.head, other.head)), 0.0) > 0:
            return f"names are related: {pair}"
        if candidate.similarity >= 0.3 or candidate.evidence.get("text", 0.0) > _TELLING:
            return f"names are alike: {pair}"
        return f"weak: little in the names of {pair}"

    def _formats(self, left: FieldProfile, right: FieldProfile, for_it: list[str], against: list[str]) -> None:
        if "empty" in (left.format, right.format):
            return
        if left.format == right.format:
            for_it.append(f"both {_PLURALS[left.format]}")
        elif {left.format, right.format} == {"date", "instant"}:
            for_it.append("both dates")
        elif {left.format, right.format} <= {"integer", "decimal", "percent"}:
            for_it.append("both numbers")
        elif {left.format, right.format} <= {"word", "text", "code", "country"}:
            for_it.append("both text")
        else:
            against.append(f"{_PLURALS[left.format]} meet {_PLURALS[right.format]}")


def _combined(candidate: Candidate) -> str:
    goal, names = _last_name(candidate.target), [_last_name(path) for path in candidate.sources]
    if candidate.how == "sum":
        return f"the sum of {names[0]} gives {goal}"
    return (
        f"{' and '.join(names)} together give {goal}"
        if candidate.how == "join"
        else f"{' × '.join(names)} gives {goal}"
    )


def explain(candidate: Candidate, source: Profile, target: Profile) -> str:
    """The reason for one candidate; use `Explainer` for many of the same profiles."""
    return Explainer(source, target).reason(candidate)


def _by_path(profile: Profile, vocabulary: Vocabulary) -> dict[str, tuple[FieldProfile, FieldMeaning]]:
    meanings = read_names(profile, vocabulary)
    return {entry.path: (entry, meaning) for entry, meaning in zip(profile.fields, meanings, strict=True)}


def _last_name(path: str) -> str:
    """The last name of a path, with its parent where it is a mere member of a money object or the like."""
    parts = split_path(path)
    member = len(parts) > 1 and parts[-1][0].casefold() in {"amount", "code", "value", "id", "name"}
    return join_segments(parts[-2:] if member else parts[-1:])
