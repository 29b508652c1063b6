"""What a change of a mapping does to samples: values, decisions, request bodies and totals, before and after."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from mapper_ai.services.draft_data import plain_data
from mapper_ai.services.masking import Masker
from mapper_ai.services.review.before import old_drafts
from mapper_ai.services.review.report import (
    DecisionChange,
    Effects,
    Example,
    PartEffect,
    RequestChange,
    TotalChange,
)
from mapper_ai.services.review.samples import Sample
from mapspec import CompiledSpec, Draft, MappingSpec, TransformError
from mapspec.assertions import invoice_totals
from mapspec.numbers import currency_digits

EXAMPLES: Final = 3
MAX_TEXT: Final = 60  # characters of a value
_EMPTY: Final = "(empty)"
MAX_REQUESTS: Final = 50  # changed requests that are told one by one
Leaves = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Pair:
    """A document on both sides, the `number`th of its target; None where it is not made."""

    target: str
    number: int
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass
class _Sums:
    """What documents of one target and currency come to."""

    before: Decimal = Decimal(0)
    after: Decimal = Decimal(0)
    samples: int = 0


def effects_of(
    old: CompiledSpec, new: CompiledSpec, samples: Sequence[Sample], masker: Masker, samples_before: int
) -> tuple[Effects, int, int]:
    """Effects, and the samples that are not held before and after."""
    parts: dict[str, list[Example]] = {}
    counts: dict[str, int] = {}
    decisions: list[DecisionChange] = []
    requests: list[RequestChange] = []
    sums: dict[tuple[str, str], _Sums] = {}
    passed = [0, 0]
    known = _known_parts(old.spec) | _known_parts(new.spec)
    before = old_drafts(old, new.spec)
    lists = _list_members(old.spec, new.spec)
    keys = 0
    for sample in samples:
        after = new.apply(sample.record)
        drafts = before(sample.record, after), after
        for side, draft in enumerate(drafts):
            passed[side] += draft.decision != "hold"
        if drafts[0].decision == drafts[1].decision == "go":
            _add_totals(sums, lists, *drafts)
        if drafts[0].decision == drafts[1].decision and drafts[0].documents == drafts[1].documents:
            continue
        if drafts[0].decision != drafts[1].decision:
            decisions.append(_decision(sample.name, *drafts))
        keys += _keys(drafts[0]) != _keys(drafts[1])
        pairs = _paired(*drafts)
        requests += _requests(sample.name, pairs, *drafts, room=MAX_REQUESTS - len(requests))
        names = [_differing_members(pair) for pair in pairs]
        leaves = [_leaves(_members(pairs, names, side), known) for side in ("before", "after")]
        wanted = _differing(*leaves)
        for part in wanted:
            counts[part] = counts.get(part, 0) + 1
        # Masking takes far longer than mapping: only what is shown is masked.
        wanted = [part for part in wanted if len(parts.get(part, ())) < EXAMPLES]
        if wanted:
            hidden = _masked(masker, sample, pairs, names)
            shown = [_leaves(_members(hidden, names, side), known) for side in ("before", "after")]
            for part in wanted:
                parts.setdefault(part, []).append(_example(sample.name, part, leaves, shown))
    found = {part: PartEffect(part, counts[part], tuple(rows)) for part, rows in parts.items()}
    totals = tuple(_total(*key, row) for key, row in sorted(sums.items()) if row.before != row.after)
    effects = Effects(len(samples), samples_before, keys, found, tuple(decisions), tuple(requests), totals)
    return effects, passed[0], passed[1]


def passed_by(spec: CompiledSpec, samples: Sequence[Sample]) -> int:
    """Samples that are not held."""
    return sum(spec.apply(sample.record).decision != "hold" for sample in samples)


def effect_text(effects: Effects, parts: Collection[str]) -> str:
    """What becomes of some parts, in a line: how many samples, and the first difference."""
    rows = [row for part, row in effects.parts.items() if _covers(parts, part)]
    if not rows:
        return f"none of {effects.samples} samples differs" if effects.samples else ""
    row = max(rows, key=lambda row: row.count)
    example = row.examples[0]
    more = f", and {len(rows) - 1} more field(s)" if len(rows) > 1 else ""
    where = f"{row.part}: " if len(parts) > 1 else ""
    values = f"{example.before} -> {example.after}"
    text = f"{row.count} of {effects.samples} samples differ: {where}{values} ({example.sample}){more}"
    return " ".join(text.split())


def _covers(parts: Collection[str], part: str) -> bool:
    """Whether a value belongs to one of the parts; a rule may fill members below it."""
    return part in parts or any(part.startswith(f"{other}.") for other in parts)


def _known_parts(spec: MappingSpec) -> set[str]:
    return {part for part in spec.rules() if not part.startswith("values.")} | set(spec.blocks())


def _keys(draft: Draft) -> tuple[object, ...]:
    return dict(draft.keys), {target: [row.key for row in rows] for target, rows in draft.documents.items()}


def _paired(before: Draft, after: Draft) -> list[Pair]:
    """The documents of both sides side by side: by their place, or by key where one side has more of a target."""
    pairs: list[Pair] = []
    for target in dict.fromkeys((*before.documents, *after.documents)):
        rows = [draft.documents.get(target, ()) for draft in (before, after)]
        if len(rows[0]) == len(rows[1]):
            pairs += [Pair(target, n, a.body, b.body) for n, (a, b) in enumerate(zip(*rows, strict=True), 1)]
            continue
        keyed = [{row.key or str(row.index): row.body for row in side} for side in rows]
        keys = dict.fromkeys((*keyed[0], *keyed[1]))
        pairs += [Pair(target, n, keyed[0].get(key), keyed[1].get(key)) for n, key in enumerate(keys, 1)]
    return pairs


def _differing_members(pair: Pair) -> list[str]:
    one, other = pair.before or {}, pair.after or {}
    return [name for name in dict.fromkeys((*one, *other)) if one.get(name) != other.get(name)]


def _decision(name: str, before: Draft, after: Draft) -> DecisionChange:
    # Why it does not go; where it goes now, why it did not.
    said = after if after.decision != "go" else before
    return DecisionChange(name, before.decision, after.decision, said.reasons[0].message if said.reasons else "")


def _requests(name: str, pairs: Sequence[Pair], before: Draft, after: Draft, room: int) -> Iterator[RequestChange]:
    """Requests that differ, at most as many as there is room for; nothing is sent of a record that does not go."""
    goes = before.decision == "go", after.decision == "go"
    for pair in pairs:
        one, other = pair.before if goes[0] else None, pair.after if goes[1] else None
        if one != other and room > 0:
            room -= 1
            # Keys may be e-mail addresses: a document is told by its place.
            digests = (digest(side) if side is not None else "" for side in (one, other))
            yield RequestChange(name, pair.target, pair.number, *digests)


def digest(body: Mapping[str, Any]) -> str:
    """Short digest of a request body."""
    text = json.dumps(body, sort_keys=True, ensure_ascii=False, default=plain_data)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _leaves(bodies: Iterable[tuple[str, str, Mapping[str, Any]]], known: Collection[str]) -> Leaves:
    """Part -> place -> text. Places are told apart where a part has many values: documents, elements of a list."""
    found: Leaves = {}

    def walk(value: Any, part: str, place: str) -> None:
        kind = type(value)  # bodies are plain data; asking for a Mapping takes longer than the rest
        if kind is dict and not (part in known and set(value) <= {"amount", "code"}):
            for name, inner in value.items():
                walk(inner, f"{part}.{name}", place)
        elif kind is list:
            found.setdefault(f"{part}[]", {})[place] = f"{len(value)} elements"
            for number, row in enumerate(value, 1):
                walk(row, f"{part}[]", f"{place} line {number}".strip())
        else:
            found.setdefault(part, {})[place] = _text(value)

    for target, place, body in bodies:
        walk(body, target, place)
    return found


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    if isinstance(value, dict):
        return " ".join(str(value[name]) for name in ("amount", "code") if name in value)
    if isinstance(value, bool):
        return str(value).lower()
    return _EMPTY if value is None else str(value)


def _differing(before: Leaves, after: Leaves) -> list[str]:
    return [part for part in dict.fromkeys((*before, *after)) if before.get(part) != after.get(part)]


def _members(pairs: Sequence[Pair], names: Sequence[Sequence[str]], side: str) -> list[tuple[str, str, dict[str, Any]]]:
    """(target, place, the members that differ) of one side's documents."""
    many = {pair.target for pair in pairs if pair.number > 1}
    found = []
    for pair, differing in zip(pairs, names, strict=True):
        body = pair.before if side == "before" else pair.after
        place = f"{pair.target} {pair.number}" if pair.target in many else ""
        members = {name: plain_data(body[name]) for name in differing if name in body} if body is not None else {}
        found.append((pair.target, place, members))
    return found


def _masked(masker: Masker, sample: Sample, pairs: Sequence[Pair], names: Sequence[Sequence[str]]) -> list[Pair]:
    """The documents with pseudonyms in the members that differ.

    They go through the masker with the names of their other members, and with the record: it tells by its neighbours
    what a member is, and whose names to look for in texts.
    """
    whole = [
        {pair.target: {"before": _only(pair.before, differing), "after": _only(pair.after, differing)}}
        for pair, differing in zip(pairs, names, strict=True)
    ]
    masked = masker.mask({"record": sample.record, "documents": whole})["documents"]
    return [
        Pair(pair.target, pair.number, made[pair.target]["before"], made[pair.target]["after"])
        for pair, made in zip(pairs, masked, strict=True)
    ]


def _only(body: Mapping[str, Any] | None, names: Collection[str]) -> dict[str, Any] | None:
    if body is None:
        return None
    return {name: plain_data(value) if name in names else None for name, value in body.items()}


def _example(name: str, part: str, leaves: Sequence[Leaves], shown: Sequence[Leaves]) -> Example:
    values = [side.get(part, {}) for side in leaves]
    place = next(p for p in dict.fromkeys((*values[0], *values[1])) if values[0].get(p) != values[1].get(p))
    texts = [side.get(part, {}).get(place, _EMPTY) for side in shown]
    before, after = _windows(*texts)
    if before == after:
        after = f"{after} (differs in what is masked)"
    return Example(f"{name} {place}".strip(), before, after)


def _windows(before: str, after: str) -> tuple[str, str]:
    """Both texts short, around the place where they part."""
    if max(len(before), len(after)) <= MAX_TEXT:
        return before, after
    same = next(
        (n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )
    start = max(0, same - MAX_TEXT // 2)

    def shorter(text: str) -> str:
        cut = text[start : start + MAX_TEXT]
        return ("…" if start else "") + cut + ("…" if len(text) > start + MAX_TEXT else "")

    return shorter(before), shorter(after)


def _list_members(*specs: MappingSpec) -> dict[str, dict[str, None]]:
    """The lists that each target may have."""
    found: dict[str, dict[str, None]] = {}
    for spec in specs:
        for target in spec.targets:
            found.setdefault(target, {})
        for block in spec.blocks():
            target, _, member = block.removesuffix("[]").partition(".")
            found[target][member] = None
    return found


def _add_totals(
    sums: dict[tuple[str, str], _Sums], lists: Mapping[str, Iterable[str]], before: Draft, after: Draft
) -> None:
    for target in dict.fromkeys((*before.documents, *after.documents)):
        sides = [_amounts(draft, target, lists.get(target, ())) for draft in (before, after)]
        for currency in dict.fromkeys((*sides[0], *sides[1])):
            pair = [side.get(currency, Decimal(0)) for side in sides]
            row = sums.setdefault((target, currency), _Sums())
            row.before += pair[0]
            row.after += pair[1]
            row.samples += pair[0] != pair[1]


def _amounts(draft: Draft, target: str, lists: Iterable[str]) -> dict[str, Decimal]:
    """What the documents of a target come to, by currency: an invoice by FreshBooks' arithmetic, else its amount."""
    found: dict[str, Decimal] = {}
    for document in draft.documents.get(target, ()):
        body = document.body
        money = body.get("amount")
        if isinstance(money, Mapping) and "amount" in money:
            _sum(found, str(money.get("code", "")), Decimal(str(money["amount"])))
            continue
        for name in lists:
            currency = str(body.get("currency_code") or draft.currency or "")
            try:
                # The smallest of the plausible totals: which rule counts is the same on both sides.
                _sum(found, currency, min(invoice_totals(body, name, currency_digits(currency))))
            except TransformError:
                continue
    return found


def _sum(found: dict[str, Decimal], currency: str, amount: Decimal) -> None:
    found[currency] = found.get(currency, Decimal(0)) + amount


def _total(target: str, currency: str, row: _Sums) -> TotalChange:
    digits = currency_digits(currency)
    before, after, change = (f"{amount:.{digits}f}" for amount in (row.before, row.after, row.after - row.before))
    sign = "+" if row.after > row.before else ""
    return TotalChange(target, currency, before, after, sign + change, row.samples)
