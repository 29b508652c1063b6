"""Takes customers' values out of what is not made from descriptions: spec steps, error messages, an analyst's words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from mapper_ai.llm.facts import speakable
from mapspec.model import FieldRule
from mapspec.ops import AS_WRITTEN, Operation, write_step
from mapspec.paths import Path


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


HIDDEN: Final = "‹value›"
# Text arguments of operations that are technique, not content.
_TECHNICAL: Final = _set(
    """to form over part missing rounding zone format locale emoji key of table member give places n by days
    length minor_units_of name country_code"""
)
_TOKEN: Final = re.compile(r"[^\W_]+(?:[.@'+-]+[^\W_]+)*")
_PLACEHOLDER: Final = re.compile(r"\{[^{}]*\}")
_PERSONAL: Final = re.compile(r"[^\s@‹›]+@[^\s@‹›]+|\+?\d[\d ()./-]{5,}\d|\b(?=\w*\d)(?=\w*[A-Za-z])\w{10,}\b")
# Words of our own error messages; a sample that holds them gives nothing away by it.
_OURS: Final = _set(
    """a absent after all allowed among amount an and any are as at be before bool but by cannot characters check
    code country currency date decimal does each element empty expected field fields first for format from gives got
    has have he in instant int is it item items least left like line list longer member missing money more most must
    name no none not nothing number object of on one only operation or out part path position read record refused
    rule samples source spec step steps table takes text than that the there this to too true false type unit unknown
    value values was what where which with yes zone"""
)


def masked_steps(rule: FieldRule) -> dict[str, Any]:
    """Steps and checks of a rule without the texts and amounts a person put in: technique and paths that read like
    names stay."""
    return {
        "steps": [_masked_step(step) for step in rule.steps],
        "checks": [next(iter(check.plain())) for check in rule.check],
    }


def _masked_step(step: Operation) -> Any:
    written = write_step(step)
    name, argument = next(iter(written.items()))
    paths = {path.text for path in _paths(step) if speakable(path.text.removeprefix("$."))}
    if argument is None:
        return name
    main = step.main or ""
    return {name: _masked(argument, main, paths)}


def _masked(value: Any, key: str, paths: set[str]) -> Any:
    if isinstance(value, Mapping):
        kept = key not in ("rows", "signs")
        return {(str(name) if kept else HIDDEN): _masked(part, str(name), paths) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(part, key, paths) for part in value]
    if value is None or isinstance(value, bool):
        return value
    text = str(value)
    if text in paths or key in _TECHNICAL or text == AS_WRITTEN or text.startswith(("settings.", "values.")):
        return value
    if key == "text":
        return _masked_template(text, paths)
    return text if not any(c.isalnum() for c in text) else HIDDEN


def _masked_template(text: str, paths: set[str]) -> str:
    made, last = "", 0
    for found in _PLACEHOLDER.finditer(text):
        path = found.group()[1:-1]
        made += _words(text[last : found.start()]) + (found.group() if path in (*paths, "#") else f"{{{HIDDEN}}}")
        last = found.end()
    return made + _words(text[last:])


def _words(text: str) -> str:
    return HIDDEN if any(c.isalnum() for c in text) else text


def _paths(step: Operation) -> list[Path]:
    found = [*step.paths(), *step.element_paths()]
    for chain in step.nested():
        for inner in chain:
            found += _paths(inner)
    return found


def masked_error(message: str, sent: str, samples: Iterable[Mapping[str, Any]]) -> str:
    """An error message without any word that only the samples could have brought into it.

    Args:
        message: Of the failed trial.
        sent: What the model was told and what it answered: nothing in it is news to it.
        samples: The records that were tried.
    """
    known = {word.casefold() for word in _TOKEN.findall(sent)} | _OURS
    seen = {word.casefold() for record in samples for text in texts_of(record) for word in _TOKEN.findall(text)}
    pieces = {part for word in seen for part in re.findall(r"[^\W_]+", word)} | seen

    def hide(found: re.Match[str]) -> str:
        word = found.group().casefold()
        parts = set(re.findall(r"[^\W_]+", word))
        return HIDDEN if word not in known and (word in pieces or (parts & pieces) - known) else found.group()

    return _TOKEN.sub(hide, message)


def masked_words(text: str, samples: Sequence[Mapping[str, Any]], known: Iterable[str]) -> str:
    """An analyst's words without e-mails, phone numbers, keys, and values that stand in the samples.

    Field names stay: they have to be told.
    """
    names = {part.casefold() for path in known for part in re.findall(r"[^\W_]+", path)} | {
        path.casefold() for path in known
    }
    made = text
    values = {value for record in samples for value in texts_of(record) if len(value) >= 4}
    for value in sorted(values, key=lambda one: (-len(one), one)):
        if value.casefold() not in names and value.casefold() not in _OURS and value in made:
            made = made.replace(value, HIDDEN)
    return _PERSONAL.sub(lambda found: found.group() if found.group().casefold() in names else HIDDEN, made)


def texts_of(value: Any) -> Iterable[str]:
    """Every scalar of a record as text."""
    if isinstance(value, Mapping):
        for part in value.values():
            yield from texts_of(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from texts_of(part)
    elif isinstance(value, str | int | Decimal) and not isinstance(value, bool):
        text = str(value).strip()
        if text:
            yield text
