"""What may be told about a field: name, type, format, documentation, made-up values, lists of codes. No sample value.

A profile holds values of samples; this module takes a field's description out of it and leaves them behind. Values of
samples leave in one case: where a field has few different values, its name says that it holds codes of things (a
status, a payment method, a country), and every value reads like such a code. They are listed before they leave.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mapper_ai.core.fields import FieldProfile, Profile
from mapper_ai.core.formats import recognise
from mapper_ai.core.names import read_names
from mapper_ai.llm.settings import LlmSettings
from mapper_ai.llm.synthetic import made_up
from mapper_ai.services.goals import Goal


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


MAX_NOTE: Final = 200
_MAX_NAMES: Final = 6
_MAX_VALUES: Final = 24
# A member's name, not a value that somebody used as one: a short run of letters, digits and joints.
_NAME: Final = re.compile(r"[^\W\d][\w$#:/-]{0,47}(?: [\w$#:/()-]{1,24}){0,3}|[@$#]\w{1,40}")
_LONG_DIGITS: Final = re.compile(r"\d{5}")
# Formats that tell a value from a name.
_VALUES: Final = frozenset({"email", "phone", "uuid", "url", "date", "instant", "integer", "decimal", "percent"})
# Concepts of fields whose values are codes of things, not of people.
_CODES: Final = _set(
    """status payment_status type payment_method currency country unit language shipping_method kind
    tax_code document_type payment_terms priority frequency"""
)
_CODE: Final = re.compile(r"[A-Za-z][a-z]{0,19}(?:[ _-][A-Za-z]?[a-z]{1,19}){0,2}|[A-Z]{2,12}(?:_[A-Z]{2,12}){0,2}")


@dataclass(frozen=True)
class FieldFacts:
    """One field as a language model sees it.

    Attributes:
        path: Dotted, `[]` after lists.
        type: Declared, "" when unknown.
        format: What its values look like, "" when unknown.
        note: Documentation, cut to MAX_NOTE characters.
        values: Allowed or usual values, where these may leave.
        examples: Made up.
    """

    path: str
    type: str = ""
    format: str = ""
    note: str = ""
    required: bool = False
    max_length: int | None = None
    aliases: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As JSON; what says nothing is left out."""
        told: dict[str, Any] = {"field": self.path}
        for name in ("type", "format", "note", "max_length"):
            if getattr(self, name):
                told[name] = getattr(self, name)
        if self.required:
            told["required"] = True
        for key, value in (("also_called", self.aliases), ("values", self.values), ("for_example", self.examples)):
            if value:
                told[key] = list(value)
        return told


@dataclass(frozen=True)
class Side:
    """The fields of one end that may be spoken of, by path.

    Attributes:
        leaving: Path -> values of samples that leave with it; for people to read before.
        withheld: Paths whose names read like values; nobody is asked about them.
    """

    fields: Mapping[str, FieldFacts]
    leaving: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    withheld: tuple[str, ...] = ()

    def some(self, paths: Iterable[str]) -> list[FieldFacts]:
        """The facts of those paths that may be spoken of, in their order."""
        return [self.fields[path] for path in paths if path in self.fields]

    @property
    def codes(self) -> set[str]:
        """All values of samples that may leave."""
        return {value for values in self.leaving.values() for value in values}


def side_of(profile: Profile, settings: LlmSettings) -> Side:
    """What may be told of a profile."""
    fields: dict[str, FieldFacts] = {}
    leaving: dict[str, tuple[str, ...]] = {}
    withheld = []
    for entry, meaning in zip(profile.fields, read_names(profile), strict=True):
        if not speakable(entry.path):
            withheld.append(entry.path)
            continue
        contract = entry.contract
        allowed = tuple(contract.enum[:_MAX_VALUES]) if contract else ()
        if not allowed and settings.enums == "samples" and {name for name, _ in meaning.leaf} & _CODES:
            allowed = _codes(entry)
            if allowed:
                leaving[entry.path] = allowed
        format_ = "" if entry.format == "empty" else entry.format
        fields[entry.path] = FieldFacts(
            path=entry.path,
            type=contract.type if contract else "",
            format=format_,
            note=one_line(contract.note, MAX_NOTE) if contract else "",
            required=bool(contract and contract.required),
            max_length=contract.max_length if contract else None,
            aliases=tuple(name for name in contract.aliases if speakable(name))[:_MAX_NAMES] if contract else (),
            values=allowed if settings.values == "synthetic" or (contract and contract.enum) else (),
            examples=made_up(format_) if settings.values == "synthetic" and not allowed else (),
        )
    if settings.values == "none":
        leaving = {}
    return Side(fields, leaving, tuple(withheld))


def goal_facts(goal: Goal, settings: LlmSettings, contract: bool = True) -> FieldFacts:
    """What may be told of a target field; its values only where they come from a contract."""
    return FieldFacts(
        path=goal.path,
        type=goal.type,
        format=goal.format,
        note=one_line(goal.note, MAX_NOTE),
        required=goal.required,
        max_length=goal.max_length,
        aliases=tuple(name for name in goal.aliases if speakable(name))[:_MAX_NAMES],
        values=goal.enum[:_MAX_VALUES] if contract else (),
        examples=made_up(goal.type) if settings.values == "synthetic" else (),
    )


def speakable(path: str) -> bool:
    """Whether every name on a path reads like a name: records keyed by e-mail or number are not spoken of."""
    return all(
        bool(_NAME.fullmatch(name)) and not _LONG_DIGITS.search(name) and recognise(name) not in _VALUES
        for name in (part.removesuffix("[]") for part in path.replace("[][]", "[].[]").split("."))
        if name
    )


def one_line(text: str, most: int) -> str:
    """A text without line breaks and control characters, cut at its end."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def _codes(entry: FieldProfile) -> tuple[str, ...]:
    """The values of a field that all read like codes of things; none at all when one does not."""
    if not (entry.is_enum or entry.distinct == 1) or not 0 < len(entry.values) <= _MAX_VALUES:
        return ()
    # One value of one record may be anything; a code comes again.
    if entry.occurrences < 2 * entry.distinct:
        return ()
    return entry.values if all(_CODE.fullmatch(value) for value in entry.values) else ()


def telling_values(profiles: Sequence[Profile], leaving: Iterable[str] = ()) -> frozenset[str]:
    """Values of samples that can be nobody's field name, format or documentation: the last guard looks for them.

    `leaving` are codes that may leave.
    """
    found = set()
    for profile in profiles:
        for entry in profile.fields:
            for value in entry.values if entry.contract is None or not entry.contract.enum else ():
                personal = recognise(value) in ("email", "phone", "uuid", "url")
                if len(value) >= 6 and (personal or (len(value) >= 12 and " " in value) or _LONG_DIGITS.search(value)):
                    found.add(value)
    # "United States" goes along with the code "United States Dollar".
    codes = tuple(leaving)
    return frozenset(value for value in found if not any(value in code for code in codes))
