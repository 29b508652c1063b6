"""Rules, lists and flows in plain words, for people who do not read YAML. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mapper_ai.services.words_checks import check_in_words, checks_in_words
from mapper_ai.services.words_conditions import condition_in_words, listed, path_in_words
from mapper_ai.services.words_steps import steps_in_words
from mapspec.model import Assertion, FieldRule, FlowStep, GateRule, LineMoney, ListBlock, MappingSpec

__all__ = [
    "block_in_words",
    "check_in_words",
    "checks_in_words",
    "condition_in_words",
    "flow_in_words",
    "rule_in_words",
    "steps_in_words",
]

_ACTIONS: Final = {"go": "goes on", "skip": "is skipped", "wait": "waits", "hold": "is held"}


def rule_in_words(rule: FieldRule, settings: Mapping[str, str] | None = None) -> str:
    """A rule: its steps, then its checks. `settings` show what `settings.NAME` is now."""
    text = steps_in_words(rule.steps, settings or {})
    return f"{text}; must be {checks_in_words(rule.check)}" if rule.check else text


def block_in_words(target: str, block: ListBlock) -> str:
    """A list block's head."""
    text = f"one element of {target} for each of {path_in_words(block.each)}"
    return f"{text}; {_money(block.money)}" if block.money else text


def flow_in_words(spec: MappingSpec) -> str:
    """Gate, steps and record checks, one sentence a line."""
    lines = [_gate(rule) for rule in spec.gate]
    lines += [f"{number}. {_flow_step(step)}" for number, step in enumerate(spec.flow, 1)]
    lines += [_assertion(rule) for rule in spec.assertions]
    if spec.settings:
        lines.append("Settings: " + ", ".join(f"{key} = “{value}”" for key, value in spec.settings.items()) + ".")
    return "\n".join(lines)


def _money(money: LineMoney) -> str:
    quantity, price = path_in_words(money.quantity), path_in_words(money.unit_price)
    currency, total = path_in_words(money.currency), path_in_words(money.total)
    text = f"priced from {quantity} and {price} in {currency} so that the lines come to {total}"
    extras = [charge.name.lower() for charge in money.charges]
    return f"{text}; {listed(extras, 'and')} become lines of their own" if extras else text


def _gate(rule: GateRule) -> str:
    ends = " and has ended, so that what was made of it is left or archived by policy" if rule.ends else ""
    if rule.when.present is not None and not rule.when.present.segments:
        return f"Otherwise the record {_ACTIONS[rule.do]}{ends}: {rule.reason}."
    return f"If {condition_in_words(rule.when)}, the record {_ACTIONS[rule.do]}{ends}: {rule.reason}."


def _flow_step(step: FlowStep) -> str:
    what = step.target or step.entity or step.of or ""
    match = f" looked up by {listed(step.match, 'or')}" if step.match else ""
    text = {
        "create_if_missing": f"Create the {what} unless there is one{match}",
        "create_once": f"Create the {what} exactly once",
        "upsert": f"Create the {what}, or update what changed{match}",
        "find": f"Find the {what} that another flow made, or wait for it",
        "lookup": f"Look for the {what}{match}; nothing is written",
        "mark_as_sent": f"Mark the {what} as sent once its total agrees",
    }[step.do]
    if step.each is not None:
        text += f", for each of {path_in_words(step.each)}"
    if step.when is not None:
        text += f", if {condition_in_words(step.when)}"
    keys = f" (key {' or '.join(step.key)})" if step.key else ""
    keys += f", the same by {' or '.join(step.identity)} when its key changes" if step.identity else ""
    return f"{text}{keys}."


def _assertion(rule: Assertion) -> str:
    unless = f" unless {_must(rule)}" if rule.equal is None and rule.at_most is None else ""
    fate = "Held" if rule.on_fail == "hold" else "Noted"
    return f"{fate}{unless}: {rule.id} ({rule.message})." if unless else f"{fate} when not: {rule.id} ({rule.message})."


def _must(rule: Assertion) -> str:
    if rule.same_text is not None:
        return f"{path_in_words(rule.same_text[0])} and {path_in_words(rule.same_text[1])} read the same"
    if rule.required_together is not None:
        return f"{listed(map(path_in_words, rule.required_together), 'and')} are all there or all empty"
    if rule.one_of_present is not None:
        return f"{listed(map(path_in_words, rule.one_of_present), 'or')} is there"
    if rule.not_empty is not None:
        return f"{path_in_words(rule.not_empty)} has an element"
    if rule.unique is not None:
        return f"no two of {path_in_words(rule.unique)} are the same"
    predicted = rule.predicted_total
    if predicted is None:
        return "the totals agree"
    under = "every" if predicted.rounding == "every" else "a"
    near = f" within {rule.within} minor units" if rule.within else ""
    total = path_in_words(predicted.total)
    return f"FreshBooks' total of {predicted.lines} comes to {total}{near} under {under} rounding rule"
