"""How risky a change of a spec is: rules with stable ids, and what each says of a change. Pure.

High is what may write wrong money, write twice, write elsewhere, or let through what was held before. Medium changes
what is written. Low may only hold more, or writes what was empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from mapspec import diff_corrections, strictness
from mapspec.chains import ANY, ChainError, chain_type
from mapspec.diff import Change, Diff
from mapspec.diff_topics import Topics, gravest
from mapspec.model import operations_of
from mapspec.ops import (
    Coalesce,
    Default,
    LookupRemote,
    MaxLength,
    Operation,
    parse_step,
)
from mapspec.yamltext import Loc

Risk = Literal["high", "medium", "low"]
RISKS: Final[tuple[Risk, ...]] = ("high", "medium", "low")


@dataclass(frozen=True)
class Rule:
    """A rule of the review.

    Attributes:
        why: One sentence for a reader who meets the id for the first time.
    """

    id: str
    risk: Risk
    why: str


def _rules(*rows: tuple[str, Risk, str]) -> dict[str, Rule]:
    return {name: Rule(name, risk, why) for name, risk, why in rows}


# Ids are part of suppressions and of other people's configuration: a rule may be added, and never gets another name.
RULES: Final[Mapping[str, Rule]] = _rules(
    ("money-changed", "high", "Amounts, prices or quantities are made in another way."),
    ("tax-changed", "high", "Tax names, rates or amounts are made in another way."),
    ("currency-changed", "high", "The currency comes from elsewhere or is made in another way."),
    ("key-changed", "high", "What a record is recognised by changed: records written before may be written again."),
    ("flow-step-added", "high", "The flow does something that it did not do."),
    ("flow-step-removed", "high", "The flow no longer does something."),
    ("flow-step-changed", "high", "A step of the flow acts on other records or in another way."),
    ("flow-order-changed", "high", "The steps of the flow run in another order."),
    ("correction-changed", "high", "What is proposed to a person is a correction of another kind."),
    ("way-added", "high", "A person can choose one more way to bring a correction into the books."),
    ("way-removed", "low", "A person can no longer choose a way: such corrections are booked by hand."),
    ("way-first-changed", "medium", "Another way stands first: it is proposed, and taken when nobody names one."),
    ("gate-changed", "high", "Other records are written, skipped, held or waited for."),
    ("resource-changed", "high", "Records come from or go to another kind of record or system."),
    ("remote-lookup-added", "high", "A value now depends on what is found in the other system."),
    ("check-removed", "high", "Values that were held are now written."),
    ("check-loosened", "high", "A check lets through more than it did, or nobody can tell."),
    ("check-tightened", "low", "A check was added or holds more than it did."),
    ("assertion-removed", "high", "Records that were held are now written."),
    ("assertion-loosened", "high", "An assertion lets through more than it did, or nobody can tell."),
    ("assertion-tightened", "low", "An assertion was added or holds more than it did."),
    ("required-removed", "high", "Records are written without a field that they were held for."),
    ("required-added", "low", "Records without the field are now held."),
    ("spec-added", "low", "A new mapping: every part of it is new."),
    ("spec-removed", "high", "The mapping is gone: its records are no longer handled."),
    ("spec-renamed", "medium", "The mapping has another name, and so another fingerprint and history."),
    ("source-changed", "medium", "The value comes from another source field."),
    ("type-changed", "medium", "The value has another type."),
    ("truncation-added", "medium", "Texts are cut that were not, or shorter than before."),
    ("default-added", "medium", "A required field gets a fixed value where records were held before."),
    ("steps-changed", "medium", "The value is made by other steps."),
    ("table-changed", "medium", "Rows of a value table changed."),
    ("setting-changed", "medium", "A setting of the mapping changed."),
    ("events-changed", "medium", "Other events start the flow."),
    ("overwrite-changed", "medium", "Whether an update overwrites the field changed."),
    ("conflict-changed", "medium", "Another side prevails when both systems have changed the field."),
    ("list-source-changed", "medium", "The list is made from another source list."),
    ("field-removed", "medium", "The field is no longer written."),
    ("field-added", "low", "The field is now written."),
    ("field-moved", "medium", "The value is written to another field."),
    ("outputs-changed", "medium", "A part that did not change itself gives other values on the samples."),
    ("decision-changed", "medium", "Samples that were written are now held, or the other way round."),
    ("total-changed", "high", "The documents of the samples come to another total."),
    ("samples-shrunk", "medium", "There are fewer samples than before: what they showed is shown no longer."),
    ("version-not-bumped", "medium", "The meaning changed and the version did not go up."),
    ("not-approved", "high", "The part is not approved as it stands; the runner refuses the mapping."),
    ("digest-mismatch", "high", "The approval was given to other content than what stands there."),
    ("approver-not-owner", "high", "The approver is not among the owners of the part."),
    ("self-approval", "high", "Who changed the part approved it, and two pairs of eyes are asked for."),
    ("approval-without-name", "high", "Nobody is named who approved."),
    ("suppression-added", "medium", "A finding is asked to be left out."),
    ("suppression-expired", "medium", "The time of a suppression is over: what it left out counts again."),
    ("suppression-unknown", "medium", "A suppression names a rule that does not exist or cannot be left out."),
)
APPROVAL_RULES: Final = (
    "not-approved",
    "digest-mismatch",
    "approver-not-owner",
    "self-approval",
    "approval-without-name",
)
# What says that a finding was left out must itself be seen, and an approval is given, not waived.
NEVER_SUPPRESSED: Final = frozenset(
    {*APPROVAL_RULES, "suppression-added", "suppression-expired", "suppression-unknown"}
)

_TOPIC_RULE: Final[Mapping[str, str]] = {
    "money": "money-changed",
    "tax": "tax-changed",
    "currency": "currency-changed",
    "key": "key-changed",
}
_TAX_OF_MONEY: Final = frozenset(
    {
        "tax",
        "taxes",
        "order_tax",
        "order_taxes",
        "tax_name",
        "tax_rate",
        "tax_amount",
        "rate_factor",
        "rates",
        "combined_taxes",
        "prices_include_tax",
    }
)


@dataclass(frozen=True)
class Judged:
    """What a rule says of a change.

    Attributes:
        about: What of the change, where a rule has several things to say of it.
    """

    rule: str
    risk: Risk
    part: str
    message: str
    change: Change
    loc: Loc
    about: str = ""


def judge(diff: Diff) -> Iterator[Judged]:
    """What the rules say of every change, in the order of the changes."""
    before, after = Topics(diff.old), Topics(diff.new)
    for change in diff.changes:
        yield from _judge(change, before, after)


def finding_of(change: Change, rule: str, message: str, *, risk: Risk | None = None) -> Judged:
    """A rule's word on a change."""
    return Judged(rule, risk or RULES[rule].risk, change.part, message, change, change.loc)


def _judge(change: Change, before: Topics, after: Topics) -> Iterator[Judged]:
    aspect, what, name = change.aspect, change.what, change.name
    if aspect == "spec":
        yield finding_of(change, "spec-renamed", "the mapping has another name")
    elif aspect == "target":
        yield finding_of(change, "resource-changed", f"target '{name}' {what}")
    elif aspect == "source":
        yield _of_source(change)
    elif aspect == "events":
        yield finding_of(change, "events-changed", f"event '{name}' {what}")
    elif aspect == "setting":
        yield _of_setting(change, before, after)
    elif aspect == "table":
        topic = gravest({before.of_table(change.part[7:]), after.of_table(change.part[7:])})
        row = f"row '{name}'" if name and name != "missing" else "what a missing key means" if name else "table"
        yield finding_of(change, _TOPIC_RULE.get(topic, "table-changed"), f"{row} {what}")
    elif aspect in ("gate", "gate_order"):
        text = "the order of the gate changed" if aspect == "gate_order" else f"gate '{name}' {what}"
        yield finding_of(change, "gate-changed", text)
    elif aspect == "step_order":
        yield finding_of(change, "flow-order-changed", "the order of the steps changed")
    elif aspect == "step":
        yield from _of_step(change)
    elif aspect == "assertion":
        yield _of_assertion(change)
    elif aspect in ("money", "charge", "each", "list"):
        yield _of_list(change, before, after)
    else:
        yield from _of_rule(change, before, after)


def _of_source(change: Change) -> Judged:
    rules = {"id": "key-changed", "system": "resource-changed", "entity": "resource-changed"}
    return finding_of(change, rules.get(change.name, "source-changed"), f"source {change.name} {change.what}")


def _of_setting(change: Change, before: Topics, after: Topics) -> Judged:
    name = change.part[9:]
    topics = {before.of_setting(name), after.of_setting(name)}
    rule = "gate-changed" if "gate" in topics else _TOPIC_RULE.get(gravest(topics), "setting-changed")
    return finding_of(change, rule, f"setting {change.what}")


def _of_step(change: Change) -> Iterator[Judged]:
    step, _, member = change.name.partition(".")
    if not member:
        done = (change.after or change.before).get("do", "")
        if change.what == "added" and done == "lookup":
            yield finding_of(change, "remote-lookup-added", f"step '{step}' looks up in the other system")
            return
        more = f": it {diff_corrections.said_of(change.after or change.before)}" if done == "propose" else ""
        yield finding_of(change, f"flow-step-{change.what}", f"step '{step}' ({done}) {change.what}{more}")
        return
    told = list(diff_corrections.of_member(step, member, change.before, change.after))
    if not told:
        rule = "key-changed" if member in ("key", "match") else "flow-step-changed"
        told = [(rule, "", f"step '{step}': {member} changed")]
    for rule, name, message in told:
        yield replace(finding_of(change, rule, message), about=name)


def _of_assertion(change: Change) -> Judged:
    verdict = strictness.of_assertion(change.before, change.after)
    if change.what == "removed":
        return finding_of(change, "assertion-removed", f"assertion '{change.name}' removed")
    if verdict == "tighter":
        word = "added" if change.what == "added" else "holds more than before"
        return finding_of(change, "assertion-tightened", f"assertion '{change.name}' {word}")
    word = "lets more through" if verdict == "looser" else "asserts something else"
    return finding_of(change, "assertion-loosened", f"assertion '{change.name}' {word}")


def _of_list(change: Change, before: Topics, after: Topics) -> Judged:
    if change.aspect == "list":
        rule = "money-changed" if "money" in (change.after or change.before) else f"field-{change.what}"
        if change.what == "changed":
            rule = "list-source-changed"
        return finding_of(change, rule, f"list {change.what}")
    if change.aspect == "each":
        return finding_of(change, "list-source-changed", "the list is made from another source list")
    name = change.name
    topic = "tax" if name in _TAX_OF_MONEY else "currency" if name == "currency" else "money"
    if change.aspect == "charge" and change.what == "changed":
        members = {key for key in {*change.before, *change.after} if change.before.get(key) != change.after.get(key)}
        topic = "tax" if members <= {"tax", "row_tax"} else "money"
    label = f"charge '{name}'" if change.aspect == "charge" else f"money.{name}" if name else "the money of the list"
    return finding_of(change, _TOPIC_RULE[topic], f"{label} {change.what}")


def _of_rule(change: Change, before: Topics, after: Topics) -> Iterator[Judged]:
    aspect, part = change.aspect, change.part
    if aspect == "check":
        verdict = strictness.of_check(change.name, change.before, change.after)
        if change.what == "removed":
            yield finding_of(change, "check-removed", f"check '{change.name}' removed")
        elif verdict == "tighter":
            word = "added" if change.what == "added" else "holds more than before"
            yield finding_of(change, "check-tightened", f"check '{change.name}' {word}")
        else:
            word = "lets more through" if verdict == "looser" else "checks something else"
            yield finding_of(change, "check-loosened", f"check '{change.name}' {word}")
    elif aspect == "on_fail":
        looser = strictness.of_on_fail(change.before, change.after) == "looser"
        text = "a value that does not fit is left out with a warning" if looser else "a value that does not fit holds"
        yield finding_of(change, "check-loosened" if looser else "check-tightened", text)
    elif aspect == "required":
        removed = change.before is True
        text = "the field may now be empty" if removed else "records without the field are held"
        yield finding_of(change, "required-removed" if removed else "required-added", text)
    elif aspect == "only_on_create":
        text = "updates no longer overwrite the field" if change.after else "updates now overwrite the field"
        yield finding_of(change, "overwrite-changed", text)
    elif aspect == "conflict":
        old, new = ((side or "hold").replace("_", " ") for side in (change.before, change.after))
        yield finding_of(change, "conflict-changed", f"when both sides changed the field: {old} -> {new}")
    elif aspect == "moved":
        topic = gravest({before.of(change.name), after.of(part)})
        yield finding_of(change, _TOPIC_RULE.get(topic, "field-moved"), f"written here and no longer to {change.name}")
    elif aspect == "rule":
        topic = before.of(part) if change.what == "removed" else after.of(part)
        needed = change.what == "removed" and bool(change.before.get("required"))
        label = "value" if part.startswith("values.") else "required field" if needed else "field"
        rule = _TOPIC_RULE.get(topic, f"field-{change.what}")
        yield finding_of(change, rule, f"{label} {change.what}", risk="high" if needed else None)
    elif aspect == "steps":
        yield from _of_steps(change, gravest({before.of(part), after.of(part)}), after)


def _of_steps(change: Change, topic: str, after: Topics) -> Iterator[Judged]:
    old, new = (tuple(parse_step(step) for step in side) for side in (change.before, change.after))
    looked_up = [{op.of for op in operations_of(side) if isinstance(op, LookupRemote)} for side in (old, new)]
    if looked_up[1] - looked_up[0]:
        names = ", ".join(sorted(looked_up[1] - looked_up[0]))
        yield finding_of(change, "remote-lookup-added", f"reads {names} from the other system")
    if topic:
        yield finding_of(change, _TOPIC_RULE[topic], f"{_of_what(topic)} made by other steps")
        return
    said = bool(looked_up[1] - looked_up[0])
    paths = [_read(side) for side in (old, new)]
    if paths[0] != paths[1]:
        said = True
        yield finding_of(change, "source-changed", "made from another source field")
    types = [_type(side) for side in (old, new)]
    if types[0] != types[1]:
        said = True
        yield finding_of(change, "type-changed", f"type changed: {types[0]} -> {types[1]}")
    cuts = [_cut(side) for side in (old, new)]
    if cuts[1] is not None and (cuts[0] is None or cuts[1] < cuts[0]):
        said = True
        yield finding_of(change, "truncation-added", f"texts are cut at {cuts[1]} characters")
    if _defaults(new) and not _defaults(old) and after.required(change.part):
        said = True
        yield finding_of(change, "default-added", "a required field gets a fixed value where there is none")
    if not said:
        yield finding_of(change, "steps-changed", "made by other steps")


def _of_what(topic: str) -> str:
    return {"key": "a key is", "money": "an amount is", "tax": "a tax is", "currency": "the currency is"}[topic]


def _read(chain: Iterable[Operation]) -> list[str]:
    found = [path.text for op in operations_of(tuple(chain)) for path in (*op.paths(), *op.element_paths())]
    return list(dict.fromkeys(found))


def _type(chain: tuple[Operation, ...]) -> str:
    """The type of a chain; of what comes from the source as it is nobody knows, and it is sent as a text."""
    try:
        found = chain_type(chain)
    except ChainError:
        found = ANY
    return "text" if found == ANY else found


def _cut(chain: tuple[Operation, ...]) -> int | None:
    limits = [op.n for op in operations_of(chain) if isinstance(op, MaxLength) and op.over == "truncate"]
    return min(limits, default=None)


def _defaults(chain: tuple[Operation, ...]) -> bool:
    for op in operations_of(chain):
        if isinstance(op, Default) or (isinstance(op, Coalesce) and any(p.root == "settings" for p in op.paths_)):
            return True
    return False
