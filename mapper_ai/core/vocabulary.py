"""The domain's words: which phrases mean which concept, and how near concepts are to one another.

The words themselves stand in `data/vocabulary.yaml`; this module loads and indexes them once.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Any

import yaml

MAX_PHRASE_WORDS = 6
# A word longer than this is content, not a name; splitting it into known words would cost and say nothing.
_MAX_RUN_TOGETHER = 40
_SHORT_WORDS = frozenset({"id", "no", "to", "at", "by", "is", "on", "po", "qty"})
_CAMEL = re.compile(
    r"[A-ZÀ-ÖØ-Þ]+(?=[A-ZÀ-ÖØ-Þ][a-zß-öø-ÿ])|[A-ZÀ-ÖØ-Þ]?[a-zß-öø-ÿ]+|[A-ZÀ-ÖØ-Þ]+|\d+|[^\W\d_A-Za-zÀ-ÿ]+"
)


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Indexed words of the domain.

    Attributes:
        phrases: Tuple of normalised words -> concepts it stands for.
        weights: Concept -> how far it says which field this is, in (0, 1]; 1 when absent.
        related: Unordered concept pair -> similarity in [-1, 1]; negative for opposites.
        fillers: Words that say little.
        scopes: What a record is about -> concepts that give it away.
        scope_words: Concept in a parent's name -> scope of what stands below.
        in_scope: Scope -> concept -> what the bare concept means there.
        families: Family -> its concepts.
        words: Every word the phrases use; run-together names are cut along these.
    """

    phrases: Mapping[tuple[str, ...], tuple[str, ...]]
    weights: Mapping[str, float]
    related: Mapping[tuple[str, str], float]
    fillers: frozenset[str]
    scopes: Mapping[str, frozenset[str]]
    scope_words: Mapping[str, str]
    in_scope: Mapping[str, Mapping[str, tuple[str, ...]]]
    families: Mapping[str, frozenset[str]]
    words: frozenset[str]
    abbreviations: Mapping[str, tuple[str, ...]] = field(repr=False)

    def weight(self, concept: str) -> float:
        """Specificity of a concept; unknown words (`~word`) count a little less than known ones."""
        if concept.startswith("~"):
            return 0.2 if concept[1:] in self.fillers or concept[1:].isdigit() else 0.75
        return self.weights.get(concept, 1.0)

    def normalise(self, name: str) -> tuple[str, ...]:
        """Words of one name: split, folded, singular, abbreviations written out, repetitions dropped.

        `billToAddr_2` -> (billing, to, address, 2). Any text is accepted; a name without letters or digits
        gives ().
        """
        return _normalise(name, self)

    def concepts(self, words: Sequence[str]) -> tuple[str, ...]:
        """Concepts of a word sequence, longest phrase first from the left; unknown words become `~word`."""
        found: list[str] = []
        position = 0
        while position < len(words):
            for length in range(min(MAX_PHRASE_WORDS, len(words) - position), 0, -1):
                hit = self.phrases.get(tuple(words[position : position + length]))
                if hit is not None:
                    found.extend(hit)
                    position += length
                    break
            else:
                found.append("~" + words[position])
                position += 1
        return tuple(dict.fromkeys(found))

    def family(self, concept: str) -> str:
        """The family of a concept, empty when it has none."""
        for name, members in self.families.items():
            if concept in members:
                return name
        return ""


@lru_cache(maxsize=1)
def load_vocabulary() -> Vocabulary:
    """The vocabulary that ships with the package, parsed once a process."""
    text = resources.files("mapper_ai.core").joinpath("data/vocabulary.yaml").read_text(encoding="utf-8")
    return build_vocabulary(yaml.safe_load(text))


def build_vocabulary(raw: Mapping[str, Any]) -> Vocabulary:
    """Index the parsed YAML document.

    Raises:
        ValueError: A relation names a concept that does not exist.
    """
    concepts: dict[str, str] = raw["concepts"]
    abbreviations = {str(key): tuple(str(value).split()) for key, value in raw["abbreviations"].items()}
    phrases: dict[tuple[str, ...], tuple[str, ...]] = {}

    def add(text: str, meaning: tuple[str, ...]) -> None:
        words = _words_of_phrase(text, abbreviations)
        if words:
            phrases.setdefault(words, meaning)

    for phrase, meaning in raw["composites"].items():
        add(str(phrase), tuple(str(meaning).split()))
    for concept in concepts:
        add(concept.replace("_", " "), (concept,))
    for concept, listed in concepts.items():
        for phrase in str(listed).split(","):
            add(phrase, (concept,))

    related: dict[tuple[str, str], float] = {}
    for first, second, weight in raw["related"]:
        related[_pair(first, second)] = float(weight)
    for first, second in raw["opposites"]:
        related[_pair(first, second)] = -0.6
    unknown = {name for pair in related for name in pair} - concepts.keys()
    if unknown:
        raise ValueError(f"vocabulary relates unknown concepts: {', '.join(sorted(unknown))}")

    return Vocabulary(
        phrases=phrases,
        weights={name: float(value) for name, value in raw["weights"].items()},
        related=related,
        fillers=frozenset(str(raw["fillers"]).split()),
        scopes={name: frozenset(str(listed).split()) for name, listed in raw["scopes"].items()},
        scope_words={concept: scope for scope, concept in raw["scope_words"].items()},
        in_scope={
            scope: {str(concept): tuple(str(meaning).split()) for concept, meaning in table.items()}
            for scope, table in raw["in_scope"].items()
        },
        families={name: frozenset(str(listed).split()) for name, listed in raw["families"].items()},
        words=frozenset(word for words in phrases for word in words if len(word) > 2)
        | abbreviations.keys()
        | frozenset(str(raw["fillers"]).split()),
        abbreviations=abbreviations,
    )


def split_words(name: str) -> list[str]:
    """Raw words of a name: camelCase, acronyms, digits and separators cut; folded to lower case ASCII where
    a letter has a plain form. `UpdatedDateUTC` -> [updated, date, utc]."""
    return [fold(part) for part in _CAMEL.findall(unicodedata.normalize("NFC", name))]


def fold(text: str) -> str:
    """Case and accents removed; letters of other scripts stay."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def singular(word: str) -> str:
    """English singular by the regular endings; short words and -ss, -us, -is stay."""
    if len(word) <= 3 or not word.endswith("s") or word.endswith(("ss", "us", "is", "ous")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1]


def _pair(first: str, second: str) -> tuple[str, str]:
    return (first, second) if first <= second else (second, first)


def _expand(words: Iterable[str], abbreviations: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    expanded: list[str] = []
    for word in words:
        for part in abbreviations.get(word) or abbreviations.get(singular(word)) or (word,):
            part = singular(part)
            if not expanded or expanded[-1] != part:
                expanded.append(part)
    return tuple(expanded)


def _words_of_phrase(text: str, abbreviations: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    return _expand(split_words(text), abbreviations)


@lru_cache(maxsize=65536)
def _normalise(name: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    words: list[str] = []
    for word in split_words(name):
        words.extend(_cut(word, vocabulary))
    return _expand(words, vocabulary.abbreviations)


def _cut(word: str, vocabulary: Vocabulary) -> list[str]:
    """Cut a run-together word (`customerid`, `trandate`) into known words, fewest pieces first.

    A word that is known, short, or cannot be covered whole stays as it is.
    """
    known = vocabulary.words
    if word in known or singular(word) in known or len(word) < 5 or len(word) > _MAX_RUN_TOGETHER:
        return [word]
    best: list[list[str] | None] = [None] * (len(word) + 1)
    best[0] = []
    for end in range(1, len(word) + 1):
        for start in range(end):
            before = best[start]
            piece = word[start:end]
            if before is None or not (
                piece in _SHORT_WORDS or (len(piece) > 2 and (piece in known or singular(piece) in known))
            ):
                continue
            here = best[end]
            if here is None or len(before) + 1 < len(here):
                best[end] = [*before, piece]
    return best[len(word)] or [word]
