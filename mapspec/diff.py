"""What changed in meaning from one spec to another, by target identity.

Order, comments, layout and key order are no changes, nor are names that are known only inside the spec
(`mapspec.renames`), notes, reasons, messages and descriptions. `mapspec.diff_rules` says how risky a change is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from mapspec.fingerprint import plain_part
from mapspec.model import FieldRule, FlowStep, LineMoney, ListBlock, MappingSpec
from mapspec.ops import write_step
from mapspec.renames import Renames, find_renames, meaning_of, old_names
from mapspec.yamltext import Loc, flow

Aspect = Literal[
    "spec",
    "source",
    "events",
    "target",
    "setting",
    "table",
    "gate",
    "gate_order",
    "step",
    "step_order",
    "assertion",
    "rule",
    "moved",
    "steps",
    "required",
    "only_on_create",
    "check",
    "on_fail",
    "list",
    "each",
    "money",
    "charge",
]
FLOW: Final = "flow"
MAX_SHOWN: Final = 200  # characters of one side of a change in a message


@dataclass(frozen=True)
class Change:
    """One difference of meaning.

    Attributes:
        aspect: What kind of thing is different.
        part: The approvable part it belongs to; for tables and settings `tables.NAME`, `settings.NAME`.
        name: What it is called: a member, a step's id, a check's name; "" where the part says it all.
        before: Plain data as a spec writes it; None when it was added.
        after: The same; None when it was removed.
        loc: Where it stands in the new spec's text, or where it would stand.
    """

    aspect: Aspect
    part: str
    name: str
    before: Any
    after: Any
    loc: Loc

    @property
    def what(self) -> Literal["added", "removed", "changed"]:
        """Which way it went."""
        return "added" if self.before is None else "removed" if self.after is None else "changed"


@dataclass(frozen=True)
class Diff:
    """Two specs compared.

    Attributes:
        old: The old spec under the new names.
        renames: Names that changed and mean the same.
        changes: In the order of the spec's parts; empty when the two mean the same.
    """

    old: MappingSpec
    new: MappingSpec
    renames: Renames
    changes: tuple[Change, ...]


def diff_specs(old: MappingSpec, new: MappingSpec) -> Diff:
    """Compare two versions of a spec."""
    renames = find_renames(old, new)
    same_names = old_names(old, renames)
    return Diff(same_names, new, renames, tuple(_changes(same_names, new)))


def shown(aspect: Aspect, value: Any) -> str:
    """One side of a change as a line of text."""
    if value is None:
        return ""
    if aspect in ("steps", "rule", "moved"):
        steps = value.get("steps", []) if isinstance(value, Mapping) else value
        text = " > ".join(bare(step) for step in steps)
    elif isinstance(value, bool | str | int):
        text = str(value).lower() if isinstance(value, bool) else str(value)
    else:
        text = bare(value) if isinstance(value, Mapping) else flow(value)
    text = " ".join(text.split())
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def sides(change: Change) -> tuple[str, str]:
    """Both sides of a change as lines of text; of steps, those that differ and "…" for the others around them."""
    if change.aspect != "steps":
        return shown(change.aspect, change.before), shown(change.aspect, change.after)
    old, new = list(change.before), list(change.after)
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    texts = []
    for chain in (old, new):
        middle = [shown("steps", [step]) for step in chain[head : len(chain) - tail]]
        texts.append(" > ".join([*(["…"] if head else []), *middle, *(["…"] if tail else [])]))
    return texts[0], texts[1]


def bare(step: Mapping[str, Any]) -> str:
    """`to_date: settings.timezone`; a name alone where there is no argument."""
    return ", ".join(name if value is None else f"{name}: {flow(value)}" for name, value in step.items())


def _changes(old: MappingSpec, new: MappingSpec) -> Iterator[Change]:
    if old.spec != new.spec:
        yield Change("spec", "spec", "spec", old.spec, new.spec, ("spec",))
    yield from _source(old, new)
    yield from _entries("target", FLOW, old.targets, new.targets, ("targets",))
    for name in _names(old.settings, new.settings):
        pair = old.settings.get(name), new.settings.get(name)
        yield from _one("setting", f"settings.{name}", "", *pair, ("settings", name))
    for name in _names(old.tables, new.tables):
        yield from _table(name, old, new)
    yield from _gate(old, new)
    yield from _flow(old, new)
    yield from _assertions(old, new)
    for name in _names(old.values, new.values):
        yield from _rule(f"values.{name}", old.values.get(name), new.values.get(name), ("values", name))
    yield from _fields(old, new)


def _one(aspect: Aspect, part: str, name: str, before: Any, after: Any, loc: Loc) -> Iterator[Change]:
    if before != after:
        yield Change(aspect, part, name, before, after, loc)


def _names(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys((*new, *old)))


def _entries(aspect: Aspect, part: str, old: Mapping[str, Any], new: Mapping[str, Any], loc: Loc) -> Iterator[Change]:
    for name in _names(old, new):
        yield from _one(aspect, part, name, old.get(name), new.get(name), (*loc, name))


def _source(old: MappingSpec, new: MappingSpec) -> Iterator[Change]:
    before, after = plain_part(old.source), plain_part(new.source)
    events = [sorted(side.pop("events", [])) for side in (before, after)]
    yield from _entries("source", FLOW, before, after, ("source",))
    for event in _names(dict.fromkeys(events[0]), dict.fromkeys(events[1])):
        pair = (event if event in events[0] else None), (event if event in events[1] else None)
        yield from _one("events", FLOW, event, *pair, ("source", "events"))


def _table(name: str, old: MappingSpec, new: MappingSpec) -> Iterator[Change]:
    before, after = old.tables.get(name), new.tables.get(name)
    part, loc = f"tables.{name}", ("tables", name)
    if before is None or after is None:
        # An empty table is there to be filled: it is no row less.
        if (before or after) is not None and (before or after).rows:  # type: ignore[union-attr] # one of them is there
            yield Change("table", part, "", before and plain_part(before), after and plain_part(after), loc)
        return
    yield from _entries("table", part, before.rows, after.rows, (*loc, "rows"))
    rest = [" ".join(filter(None, (side.missing, side.default))) for side in (before, after)]
    yield from _one("table", part, "missing", rest[0], rest[1], (*loc, "missing"))


def _gate(old: MappingSpec, new: MappingSpec) -> Iterator[Change]:
    before, after = ([(rule.id, _gate_meaning(rule)) for rule in spec.gate] for spec in (old, new))
    pairs = _matched(before, after)
    for place, (one, other) in enumerate(pairs):
        loc: Loc = ("gate", place) if other is not None else ("gate",)
        name = (other or one or ("", None))[0]
        yield from _one("gate", FLOW, name, one and one[1], other and other[1], loc)
    yield from _order("gate_order", "gate", before, pairs)


def _gate_meaning(rule: Any) -> dict[str, Any]:
    return {"do": rule.do, "when": rule.when.plain(), **({"ends": True} if rule.ends else {})}


def _flow(old: MappingSpec, new: MappingSpec) -> Iterator[Change]:
    before, after = ([(step.id, step) for step in spec.flow] for spec in (old, new))
    pairs = _matched(before, after)
    for place, (one, other) in enumerate(pairs):
        if one is None or other is None:
            step = (one or other or ("", None))[1]
            loc: Loc = ("flow", place) if other is not None else ("flow",)
            name = (one or other or ("", None))[0]
            written = meaning_of(step, leave=("id",))
            yield Change("step", FLOW, name, written if one else None, written if other else None, loc)
        else:
            yield from _step(one[1], other[1], place)
    yield from _order("step_order", "flow", before, pairs)


def _step(old: FlowStep, new: FlowStep, place: int) -> Iterator[Change]:
    # What is told to people when an element is left out is no part of what is done.
    before, after = (meaning_of(step, leave=("id", "otherwise")) for step in (old, new))
    for name in _names(before, after):
        pair = before.get(name), after.get(name)
        if pair[0] != pair[1]:
            yield Change("step", FLOW, f"{new.id}.{name}", *_sides(pair), ("flow", place, name))


def _sides(pair: tuple[Any, Any]) -> tuple[Any, Any]:
    """A member that appears or goes is a change of its owner, not a thing added or removed."""
    return ("none" if pair[0] is None else pair[0], "none" if pair[1] is None else pair[1])


def _assertions(old: MappingSpec, new: MappingSpec) -> Iterator[Change]:
    before, after = (
        [(rule.id, meaning_of(rule, leave=("id", "message"))) for rule in spec.assertions] for spec in (old, new)
    )
    for place, (one, other) in enumerate(_matched(before, after)):
        loc: Loc = ("assertions", place) if other is not None else ("assertions",)
        name = (other or one or ("", None))[0]
        yield from _one("assertion", FLOW, name, one and one[1], other and other[1], loc)


def _matched(
    old: Sequence[tuple[str, Any]], new: Sequence[tuple[str, Any]]
) -> list[tuple[tuple[str, Any] | None, tuple[str, Any] | None]]:
    """Pairs in the new order, those that are gone at the end: by id, and where an id is new by the same content."""
    left = list(old)
    pairs: list[tuple[tuple[str, Any] | None, tuple[str, Any] | None]] = []
    ids = {name for name, _ in new}
    for name, content in new:
        twin = next((row for row in left if row[0] == name), None)
        if twin is None:
            twin = next((row for row in left if row[0] not in ids and row[1] == content), None)
        if twin is not None:
            left.remove(twin)
        pairs.append((twin, (name, content)))
    return pairs + [(row, None) for row in left]


def _order(
    aspect: Aspect,
    member: str,
    before: Sequence[tuple[str, Any]],
    pairs: Sequence[tuple[tuple[str, Any] | None, tuple[str, Any] | None]],
) -> Iterator[Change]:
    kept = [one for one, other in pairs if one is not None and other is not None]
    was = [row for row in before if row in kept]
    if was != kept:
        places = [place for place, (one, other) in enumerate(pairs) if one is not None and other is not None]
        first = next(place for place, row, other in zip(places, kept, was, strict=True) if row is not other)
        names = [row[0] for row in was], [(other or ("", None))[0] for one, other in pairs if one and other]
        yield Change(aspect, FLOW, "order", *names, (member, first))


def _fields(old: MappingSpec, new: MappingSpec) -> Iterator[Change]:
    moved = dict(_moved(old, new))
    gone = set(moved.values())
    for target in _names(old.fields, new.fields):
        before, after = old.fields.get(target), new.fields.get(target)
        loc: Loc = ("fields", target)
        if target in moved:
            yield Change("moved", target, moved[target], meaning_of(old.fields[moved[target]]), meaning_of(after), loc)
        elif target in gone:
            continue
        elif isinstance(before, ListBlock) or isinstance(after, ListBlock):
            yield from _list(target, before, after, loc)
        else:
            yield from _rule(target, before, after, loc)


def _moved(old: MappingSpec, new: MappingSpec) -> Iterator[tuple[str, str]]:
    """(new target, old target) of rules that now write another field and are otherwise the same."""
    left = {name: meaning_of(rule) for name, rule in old.fields.items() if name not in new.fields}
    for name, rule in new.fields.items():
        if name in old.fields or not isinstance(rule, FieldRule):
            continue
        content, head = meaning_of(rule), name.split(".", 1)[0]
        twin = next((was for was, text in left.items() if text == content and was.split(".", 1)[0] == head), None)
        if twin is not None:
            del left[twin]
            yield name, twin


def _list(
    target: str, before: FieldRule | ListBlock | None, after: FieldRule | ListBlock | None, loc: Loc
) -> Iterator[Change]:
    if not isinstance(before, ListBlock) or not isinstance(after, ListBlock):
        one, other = (None if side is None else meaning_of(side) for side in (before, after))
        yield Change("list", target, "", one, other, loc)
        return
    yield from _one("each", target, "each", before.each.text, after.each.text, (*loc, "each"))
    yield from _money(target, before.money, after.money, (*loc, "money"))
    for name in _names(before.fields, after.fields):
        rules = before.fields.get(name), after.fields.get(name)
        yield from _rule(f"{target}.{name}", *rules, (*loc, "fields", name))


def _money(target: str, before: LineMoney | None, after: LineMoney | None, loc: Loc) -> Iterator[Change]:
    if before is None or after is None:
        yield from _one("money", target, "", before and plain_part(before), after and plain_part(after), loc)
        return
    sides = [plain_part(side) for side in (before, after)]
    charges = [{row["name"]: row for row in side.pop("charges", [])} for side in sides]
    for name in _names(sides[0], sides[1]):
        pair = sides[0].get(name), sides[1].get(name)
        if pair[0] != pair[1]:
            yield Change("money", target, name, *_sides(pair), (*loc, name))
    places = {charge.name: place for place, charge in enumerate(after.charges)}
    for name in _names(charges[0], charges[1]):
        at: Loc = (*loc, "charges", places[name]) if name in places else (*loc, "charges")
        yield from _one("charge", target, name, charges[0].get(name), charges[1].get(name), at)


def _rule(part: str, before: Any, after: Any, loc: Loc) -> Iterator[Change]:
    if not isinstance(before, FieldRule) or not isinstance(after, FieldRule):
        if before is not None or after is not None:
            one, other = (None if side is None else meaning_of(side) for side in (before, after))
            yield Change("rule", part, "", one, other, loc if after is not None else loc[:-1])
        return
    chains = [[write_step(step) for step in rule.steps] for rule in (before, after)]
    if chains[0] != chains[1]:
        first = next((n for n, (a, b) in enumerate(zip(*chains, strict=False)) if a != b), None)
        place = min(map(len, chains)) if first is None else first
        last = max(len(chains[1]) - 1, 0)
        yield Change("steps", part, "steps", chains[0], chains[1], (*loc, "steps", min(place, last)))
    yield from _one("required", part, "required", before.required, after.required, (*loc, "required"))
    pair = before.only_on_create, after.only_on_create
    yield from _one("only_on_create", part, "only_on_create", *pair, (*loc, "only_on_create"))
    yield from _checks(part, before, after, loc)
    yield from _one("on_fail", part, "on_fail", before.on_fail, after.on_fail, (*loc, "on_fail"))


def _checks(part: str, before: FieldRule, after: FieldRule, loc: Loc) -> Iterator[Change]:
    left = list(before.check)
    places = list(enumerate(after.check))
    for check in list(left):
        same = next((row for row in places if row[1] == check), None)
        if same is not None:
            left.remove(check)
            places.remove(same)
    for place, check in places:
        twin = next((row for row in left if row.name == check.name), None)
        if twin is not None:
            left.remove(twin)
        at: Loc = (*loc, "check", place)
        yield Change("check", part, check.name, None if twin is None else twin.plain(), check.plain(), at)
    for check in left:
        yield Change("check", part, check.name, check.plain(), None, (*loc, "check"))
