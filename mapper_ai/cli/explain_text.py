"""One part of a spec as sentences: where its value comes from, what must hold, who proposed and who approved it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mapper_ai.cli.show_text import sources_of, state_of
from mapper_ai.services.words import block_in_words, checks_in_words, flow_in_words, steps_in_words
from mapspec import MappingSpec, digests
from mapspec.fingerprint import FLOW
from mapspec.model import FieldRule, Origin, operations_of
from mapspec.ops import LookupTable, ReadPath
from mapspec.paths import Path

_PROPOSED: Final = {
    "fuzzy": "proposed by fuzzy matching",
    "learned": "proposed by the trained scorer",
    "llm": "proposed by a language model",
    "history": "proposed by what was approved before",
    "person": "written by a person",
    "rule": "made by rule",
}
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def explain(spec: MappingSpec, part: str, *, place: str) -> Iterator[str]:
    """Lines about a part of the spec, the first one a whole sentence.

    Args:
        part: One of `digests(spec)`.
        place: File and line, for the last line.
    """
    current = digests(spec)
    rule = spec.rules().get(part)
    state = state_of(spec, part, current)
    if rule is not None:
        yield f"{_being(part, _sentence(spec, rule))}; {state}."
        yield from _beside(spec, rule)
        origin, note = rule.origin, rule.note
    elif part == FLOW:
        yield f"The flow of {spec.spec} ({state}):"
        yield from flow_in_words(spec).splitlines()
        origin, note = None, None
    else:
        block = spec.blocks()[part]
        yield f"{part} is a list: {block_in_words(part, block)}{_proposal(block.origin)}; {state}."
        origin, note = block.origin, block.note
    if origin is not None and origin.why:
        yield "why: " + ", ".join(f"{name} {share}" for name, share in origin.why.items())
    if note:
        yield "note: " + " ".join(note.split())
    yield f"digest {current[part]}, {place}"


def source_in_words(path: Path, entity: str) -> str:
    """A source field as people say it: `the order date (orderDate)`, `the customer's e-mail (customer.email)`."""
    if path.root not in ("record", "item") or not path.segments:
        return steps_in_words((ReadPath(path=path),))
    names = [(" ".join(_WORD.findall(name)).lower() or name, is_list) for name, is_list in path.segments]
    owner = entity.replace("_", " ").lower() if path.root == "record" else "item"
    if len(names) == 1 and not names[0][0].startswith(owner):
        names.insert(0, (owner, False))
    owners = [name + ("' " if is_list and name.endswith("s") else "'s ") for name, is_list in names[:-1]]
    return f"the {''.join(owners)}{names[-1][0]} ({path.text})"


def _sentence(spec: MappingSpec, rule: FieldRule) -> str:
    first = rule.steps[0] if rule.steps else None
    if isinstance(first, ReadPath) and not first.path.many:
        rest = steps_in_words(rule.steps[1:], spec.settings) if len(rule.steps) > 1 else ""
        text = source_in_words(first.path, spec.source.entity) + (f", {rest}" if rest else "")
    else:
        text = steps_in_words(rule.steps, spec.settings)
    text += "; required" if rule.required else "; optional"
    if rule.only_on_create:
        text += "; set only when the record is created"
    if rule.conflict is not None:
        text += f"; changed on both sides: {rule.conflict.replace('_', ' ')}"
    must = checks_in_words(rule.check)
    if must:
        text += f"; must be {must}"
    if rule.on_fail == "warn" and not rule.required:
        text += "; left out with a warning where it does not fit"
    return text + _proposal(rule.origin)


def _proposal(origin: Origin | None) -> str:
    if origin is None:
        return ""
    sure = f" at {origin.confidence}" if origin.confidence is not None else ""
    return f"; {_PROPOSED[origin.by]}{sure}"


def _beside(spec: MappingSpec, rule: FieldRule) -> Iterator[str]:
    """What the sentence names and does not show: the paths, the tables and the settings behind them."""
    paths = sources_of(rule)
    if paths:
        yield "reads: " + ", ".join(paths)
    for name in dict.fromkeys(op.table for op in operations_of(rule.steps) if isinstance(op, LookupTable)):
        table = spec.tables.get(name)
        if table is not None:
            missing = {"hold": "holds the record", "keep": "is kept", "absent": "counts as absent"}.get(table.missing)
            other = missing or f"gives “{table.default}”"
            yield f"table {name}: {len(table.rows)} rows; what is not in it {other}"
    for value in dict.fromkeys(path[7:] for path in paths if path.startswith("values.")):
        if value in spec.values:
            yield _being(f"the value {value}", _sentence(spec, spec.values[value]))


def _being(name: str, sentence: str) -> str:
    return f"{name}: {sentence}" if sentence.startswith("if ") else f"{name} is {sentence}"
