"""Carry a spec over to another source: every path through the correspondences of the two sources. Pure.

A path without a correspondence is a field that the new source does not have. Conditions are worked out as if it were
empty, optional rules that need it are dropped, and what a person has to look at is told.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from mapspec import ops
from mapspec.check_reads import rows_after, rows_inside, settings_of, tables_of
from mapspec.conditions import Condition
from mapspec.expressions import split_at_list
from mapspec.model import (
    MONEY_ROW_MEMBERS,
    Assertion,
    ChargeRule,
    FieldRule,
    FlowStep,
    GateRule,
    LineMoney,
    ListBlock,
    MappingSpec,
    Source,
    TargetRule,
)
from mapspec.paths import Path, parse_path
from mapspec.validations import Check, DateBound, DateWindow, DateWindowCheck, ExpressionNode

Truth = Condition | bool
Each = str | None
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_MONEY_NEEDS: Final = ("quantity", "unit_price", "total", "currency")


class Missing(Exception):  # noqa: N818  no error: the new source has no such field
    """A path has no correspondence."""


def rewrite_spec(spec: MappingSpec, found: Mapping[str, str]) -> tuple[MappingSpec, list[tuple[str, str]]]:
    """A copy of the spec that reads another source.

    Args:
        spec: Written for one source.
        found: Leaf path of that source -> leaf path of the new one.

    Returns:
        The spec, and (part, message) of everything a person must look at.
    """
    return _Rewriter(spec, found).run()


class _Rewriter:
    def __init__(self, spec: MappingSpec, found: Mapping[str, str]) -> None:
        self._spec = spec
        self._found = dict(found)
        self._lists = _lists(found)
        self._values: set[str] = set()
        self._steps: set[str] = set()
        self._told: list[tuple[str, str]] = []

    def run(self) -> tuple[MappingSpec, list[tuple[str, str]]]:
        spec = self._spec
        values: dict[str, FieldRule] = {}
        for name, rule in spec.values.items():
            try:
                values[name] = self._rule(rule, "")
                self._values.add(name)
            except Missing as missing:
                self._tell(f"values.{name}", f"left out: the source has nothing for {missing}")
        flow = self._flow()
        written = {step.target for step in flow if step.target}
        lists = {step.target: step.each.text for step in spec.flow if step.target and step.each}
        fields: dict[str, TargetRule] = {}
        for target, entry in spec.fields.items():
            name = target.split(".", 1)[0]
            if name in written or not any(step.target == name for step in spec.flow):
                rewritten = self._entry(target, entry, lists.get(name, ""))
                if rewritten is not None:
                    fields[target] = rewritten
        changed = {
            "source": self._source(spec.source),
            "gate": tuple(made for gate in spec.gate if (made := self._gate(gate)) is not None),
            "flow": tuple(flow),
            "values": values,
            "targets": {
                name: ref
                for name, ref in spec.targets.items()
                if name in written or not any(step.target == name for step in spec.flow)
            },
            "fields": fields,
            "assertions": tuple(kept for check in spec.assertions if (kept := self._assertion(check)) is not None),
        }
        return _without_unused(MappingSpec.model_validate({**dict(spec), **changed})), self._told

    def _tell(self, part: str, message: str) -> None:
        self._told.append((part, message))

    # --- paths ---

    def _path(self, path: Path, each: Each) -> Path:
        if path.root == "settings" or (path.root == "item" and each is None):
            return path
        if path.root == "values":
            if path.segments[0][0] not in self._values:
                raise Missing(f"the value {path.segments[0][0]}")
            return path
        if not path.segments:
            return path
        full = path.source_path((each or "") if path.root == "item" else "")
        other = self._lists.get(full) if full.endswith("[]") else self._found.get(full)
        if other is None:
            raise Missing(full)
        inside = self._lists.get(each, "") if each else ""
        if inside and other.startswith(inside + "."):
            return parse_path(other[len(inside) :])
        root = "$." if each != "" or other.startswith(("values.", "settings.")) else ""
        return parse_path(root + other)

    def _amount_path(self, path: Path, each: str) -> Path:
        """As _path, for an amount: one number a record, or one a line; never some element of another list."""
        found = self._path(path, each)
        if (found.many and not path.many) or (found.root == "item" and path.root != "item"):
            raise Missing(path.source_path(each if path.root == "item" else ""))
        return found

    def _try_amount_path(self, path: Path | None, each: str) -> Path | None:
        try:
            return None if path is None else self._amount_path(path, each)
        except Missing:
            return None

    def _try_path(self, path: Path | None, each: Each) -> Path | None:
        try:
            return None if path is None else self._path(path, each)
        except Missing:
            return None

    def _template(self, text: str, each: Each) -> str:
        def placeholder(match: re.Match[str]) -> str:
            inner = match.group(1)
            return match.group() if inner == "#" else "{" + self._path(parse_path(inner), each).text + "}"

        return _PLACEHOLDER.sub(placeholder, text)

    def _try_template(self, text: str | None, each: str) -> str | None:
        try:
            return None if text is None else self._template(text, each)
        except Missing:
            return None

    # --- rules ---

    def _rule(self, rule: FieldRule, each: str) -> FieldRule:
        checks = tuple(kept for check in rule.check if (kept := self._check(check, each)) is not None)
        return rule.model_copy(update={"steps": self._chain(rule.steps, each), "check": checks})

    def _check(self, check: Check, each: str) -> Check | None:
        """The check over the new source; a day of a field that is not there bounds nothing."""
        if not isinstance(check, DateWindowCheck):
            return check
        ends: dict[str, DateBound] = {}
        for name, bound in check.date_window.bounds().items():
            path = self._try_path(bound.path, each)
            if bound.path is None or path is not None:
                ends[name] = replace(bound, path=path)
        return check.model_copy(update={"date_window": DateWindow.model_validate(ends)}) if ends else None

    def _chain(self, chain: Sequence[ops.Operation], each: Each, rows: Each = None) -> tuple[ops.Operation, ...]:
        """The steps over the new source.

        Args:
            chain: The steps.
            each: Source path of the list whose element a leading dot means, "" outside any; None for a list that
                steps made, whose elements have the members that the steps gave them.
            rows: As `each`, of the list at hand.
        """
        made: list[ops.Operation] = []
        for position, step in enumerate(chain):
            try:
                made.extend(self._step(step, each, rows))
                rows = rows_after(step, each, rows)
            except Missing:
                rest = chain[position:]
                fallback = next((i for i, later in enumerate(rest) if isinstance(later, ops.Default)), None)
                if fallback is None:
                    raise
                return (_supplied(rest[fallback]), *self._chain(rest[fallback + 1 :], each))
        return tuple(made)

    def _step(self, step: ops.Operation, each: Each, rows: Each) -> tuple[ops.Operation, ...]:
        if isinstance(step, ops.When):
            return self._when(step, each, rows)
        if isinstance(step, ops.Filter | ops.First | ops.Last) and step.where is not None:
            truth = self._truth(step.where, rows)
            if truth is False:
                raise Missing("its condition, which can never hold")
            if truth is True:
                return () if isinstance(step, ops.Filter) else (step.model_copy(update={"where": None}),)
            return (step.model_copy(update={"where": truth}),)
        return (self._plain_step(step, each, rows),)

    def _plain_step(self, step: ops.Operation, each: Each, rows: Each) -> ops.Operation:
        if isinstance(step, ops.Coalesce):
            paths = tuple(dict.fromkeys(p for old in step.paths_ if (p := self._try_path(old, each)) is not None))
            if not paths:
                raise Missing(" / ".join(path.text for path in step.paths_))
            return ops.ReadPath(path=paths[0]) if len(paths) == 1 else ops.Coalesce(paths=paths)
        if isinstance(step, ops.Template):
            return ops.Template(text=self._template(step.text, each))
        if isinstance(step, ops.StepOutput | ops.LookupRemote):
            if step.of.split(".")[0] not in self._steps:
                raise Missing(f"the step {step.of.split('.')[0]}")
            return step
        if isinstance(step, ops.Join):
            parts = []
            for part in step.parts:
                try:
                    parts.append(self._chain(part, each))
                except Missing:
                    continue
            if not parts:
                raise Missing("any of the joined parts")
            return step.model_copy(update={"parts": tuple(parts)})
        return self._any_step(step, each, rows)

    def _any_step(self, step: ops.Operation, each: Each, rows: Each) -> ops.Operation:
        """Any operation, by what its arguments are: paths and steps, of the element at hand or of the list's."""
        inner = rows_inside(step, each, rows)
        changed: dict[str, Any] = {}
        for key, value in step.__dict__.items():
            here = inner if key in step.of_elements else each
            if isinstance(value, Path):
                changed[key] = self._path(value, here)
            elif isinstance(value, tuple) and any(isinstance(part, Path) for part in value):
                changed[key] = tuple(self._path(part, here) for part in value)
            elif isinstance(value, tuple) and any(isinstance(part, ops.Operation) for part in value):
                changed[key] = self._chain(value, here)
        return step.model_copy(update=changed) if changed else step

    def _when(self, step: ops.When, each: Each, rows: Each) -> tuple[ops.Operation, ...]:
        truth = self._truth(step.if_, each)
        if isinstance(truth, bool):
            chain = self._chain(step.then if truth else step.else_, each, rows)
            if not chain:
                raise Missing("either branch")
            return chain
        chains = {"then": self._chain(step.then, each, rows), "else": self._chain(step.else_, each, rows)}
        return (ops.When.model_validate({"if": truth, **chains}),)

    # --- conditions ---

    def _truth(self, condition: Condition, each: Each) -> Truth:
        """The condition over the new source; a plain truth where it no longer depends on it."""
        if condition.all is not None:
            return self._joined([self._truth(part, each) for part in condition.all], "all", decides=False)
        if condition.any is not None:
            return self._joined([self._truth(part, each) for part in condition.any], "any", decides=True)
        if condition.not_ is not None:
            inner = self._truth(condition.not_, each)
            return not inner if isinstance(inner, bool) else Condition(not_=inner)
        name, value = next((k, v) for k, v in condition.__dict__.items() if v is not None)
        try:
            if isinstance(value, Path):
                return Condition.model_validate({name: self._path(value, each)})
            return Condition.model_validate({name: (self._path(value[0], each), value[1])})
        except Missing:
            # What an empty field compares to: equal to nothing, in no list, in no order.
            return name in ("absent", "not_equal")

    @staticmethod
    def _joined(parts: list[Truth], name: str, *, decides: bool) -> Truth:
        if any(part is decides for part in parts):
            return decides
        left = tuple(part for part in parts if isinstance(part, Condition))
        if not left:
            return not decides
        return left[0] if len(left) == 1 else Condition.model_validate({name: left})

    # --- the flow ---

    def _source(self, source: Source) -> Source:
        new_id = self._try_path(source.id, "") or self._try_path(source.number, "")
        if new_id is None:
            self._tell("flow", "no source field identifies a record: set source.id")
        return source.model_copy(
            update={
                "id": new_id or source.id,
                "number": self._try_path(source.number, ""),
                "updated": self._try_path(source.updated, ""),
            }
        )

    def _gate(self, rule: GateRule) -> GateRule | None:
        truth = self._truth(rule.when, "")
        reason = self._try_template(rule.reason, "") or _PLACEHOLDER.sub("unknown", rule.reason)
        if isinstance(truth, Condition):
            return rule.model_copy(update={"when": truth, "reason": reason})
        if not truth:
            self._tell("flow", f"gate rule {rule.id} never holds: the source has no field for it")
            return None
        self._tell("flow", f"gate rule {rule.id} holds for every record: the source has no field for it")
        return rule.model_copy(update={"when": Condition.model_validate({"present": "$"}), "reason": reason})

    def _flow(self) -> list[FlowStep]:
        made: list[FlowStep] = []
        for step in self._spec.flow:
            try:
                made.append(self._flow_step(step))
                self._steps.add(step.id)
            except Missing as missing:
                self._tell("flow", f"step {step.id} is left out: the source has nothing for {missing}")
        return made

    def _flow_step(self, step: FlowStep) -> FlowStep:
        each = step.each.text if step.each else ""
        if step.of is not None and step.of not in self._steps:
            raise Missing(f"the step {step.of}")
        truth = True if step.when is None else self._truth(step.when, each)
        if truth is False:
            raise Missing("its condition, which can never hold")
        keys = tuple(text for old in step.key if (text := self._try_template(old, each)) is not None)
        if step.key and not keys:
            raise Missing("its key")
        return step.model_copy(
            update={
                "each": self._path(step.each, "") if step.each else None,
                "value": self._path(step.value, each) if step.value else None,
                "when": truth if isinstance(truth, Condition) else None,
                "otherwise": self._try_template(step.otherwise, each),
                "key": keys,
                "needs": tuple(name for name in step.needs if name in self._steps),
            }
        )

    # --- fields ---

    def _entry(self, target: str, entry: TargetRule, each: str) -> TargetRule | None:
        try:
            return self._rule(entry, each) if isinstance(entry, FieldRule) else self._block(target, entry)
        except Missing as missing:
            if isinstance(entry, ListBlock) or entry.required:
                self._tell(target, f"the source has nothing for {missing}")
            return None

    def _block(self, target: str, block: ListBlock) -> ListBlock:
        each = block.each.text
        path = self._path(block.each, "")
        money = self._money(block.money, each) if block.money else None
        fields: dict[str, FieldRule] = {}
        for name, rule in block.fields.items():
            try:
                fields[name] = self._rule(rule, each)
            except Missing as missing:
                if rule.required:
                    self._tell(f"{target}.{name}", f"the source has nothing for {missing}")
        return block.model_copy(update={"each": path, "money": money, "fields": fields})

    def _money(self, money: LineMoney, each: str) -> LineMoney:
        changed: dict[str, Any] = {"charges": tuple(c for old in money.charges if (c := self._charge(old, each)))}
        changed["more_quantity"] = tuple(
            path for old in money.more_quantity if (path := self._try_amount_path(old, each)) is not None
        )
        for name, value in money.__dict__.items():
            if not isinstance(value, Path):
                continue
            if name in MONEY_ROW_MEMBERS:
                rows = money.discounts if name == "discount_amount" else money.taxes or money.order_taxes
                inner = rows.source_path(each if rows.root == "item" else "") if rows is not None else ""
                member = self._try_path(value, inner)
                # Members of such a row stand in the row itself; anything else is another list's.
                changed[name] = member if member and member.root == "item" and not member.many else value
            elif name in _MONEY_NEEDS:
                changed[name] = self._amount_path(value, each)
            else:
                changed[name] = self._try_amount_path(value, each)
        return money.model_copy(update=changed)

    def _charge(self, charge: ChargeRule, each: str) -> ChargeRule | None:
        amount = self._try_amount_path(charge.amount, each)
        if amount is None:
            return None
        rows = self._try_path(charge.rows, each)
        inner = charge.rows.source_path() if charge.rows is not None else ""
        members = {
            name: self._try_amount_path(getattr(charge, name), inner) if rows is not None else None
            for name in ("row_title", "row_amount", "row_tax")
        }
        if members["row_amount"] is None:
            rows = None
        return charge.model_copy(
            update={"amount": amount, "tax": self._try_amount_path(charge.tax, each), "rows": rows, **members}
        )

    # --- record checks ---

    def _assertion(self, rule: Assertion) -> Assertion | None:
        each = rule.each.text if rule.each else ""
        try:
            changed: dict[str, Any] = {}
            if rule.each is not None:
                changed["each"] = self._path(rule.each, "")
            if rule.when is not None:
                truth = self._truth(rule.when, each)
                if truth is False:
                    raise Missing("its condition")
                changed["when"] = truth if isinstance(truth, Condition) else None
            for name in ("equal", "at_most"):
                pair = getattr(rule, name)
                if pair is not None:
                    changed[name] = tuple(self._expression(side, each) for side in pair)
            for name in ("same_text", "required_together"):
                paths = getattr(rule, name)
                if paths is not None:
                    changed[name] = tuple(self._path(path, each) for path in paths)
            for name in ("not_empty", "unique"):
                path = getattr(rule, name)
                if path is not None:
                    changed[name] = self._of_list(path, each)
            if rule.one_of_present is not None:
                left = tuple(p for old in rule.one_of_present if (p := self._try_path(old, each)) is not None)
                if not left:
                    raise Missing(" / ".join(path.text for path in rule.one_of_present))
                changed["one_of_present"] = left
            if rule.predicted_total is not None:
                total = self._amount_path(rule.predicted_total.total, each)
                currency = self._path(rule.predicted_total.currency, each)
                changed["predicted_total"] = rule.predicted_total.model_copy(
                    update={"total": total, "currency": currency}
                )
            return rule.model_copy(update=changed)
        except Missing as missing:
            self._tell("flow", f"the check {rule.id} is left out: the source has nothing for {missing}")
            return None

    def _of_list(self, path: Path, each: str) -> Path:
        found = self._path(path, each)
        if not found.many:
            raise Missing(path.text)
        return found

    def _expression(self, node: ExpressionNode, each: str) -> ExpressionNode:
        if node.path is not None:
            rows = split_at_list(node.path)[0].source_path()
            where = self._truth(node.where, rows) if node.where is not None else True
            if not isinstance(where, Condition) and node.where is not None:
                raise Missing(node.path.text)
            kept = where if isinstance(where, Condition) else None
            path = self._path(node.path, each)
            if kept is not None and not any(many for _, many in path.segments[:-1]):
                raise Missing(node.path.text)  # `where` looks at the elements of the last list on the path
            return ExpressionNode(path=path, where=kept)
        if node.sum is not None:
            return ExpressionNode(sum=tuple(self._expression(part, each) for part in node.sum))
        if node.abs is not None:
            return ExpressionNode(abs=self._expression(node.abs, each))
        return ExpressionNode(negate=self._expression(node.negate, each)) if node.negate else node


def _supplied(step: ops.Operation) -> ops.Operation:
    """A default without anything before it: the fixed text, or the setting."""
    value = step.value if isinstance(step, ops.Default) else ""
    return ops.Setting(key=value[9:]) if value.startswith("settings.") else ops.Const(value=value)


def _without_unused(spec: MappingSpec) -> MappingSpec:
    """A copy without the tables and settings that nothing reads any more."""
    used = {name for name, _ in tables_of(spec)}
    spec = spec.model_copy(update={"tables": {name: table for name, table in spec.tables.items() if name in used}})
    read = {name for name, _ in settings_of(spec)}
    return spec.model_copy(update={"settings": {name: text for name, text in spec.settings.items() if name in read}})


def _lists(found: Mapping[str, str]) -> dict[str, str]:
    """Which list stands for which: the one that most of its members come from."""
    votes: dict[str, Counter[str]] = {}
    for old, new in found.items():
        for prefix in _prefixes(old):
            inner, depth = _prefixes(new), len(_prefixes(prefix))
            if len(inner) >= depth:
                votes.setdefault(prefix, Counter())[inner[depth - 1]] += 1
    return {old: min(count.items(), key=lambda item: (-item[1], item[0]))[0] for old, count in votes.items()}


def _prefixes(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[: position + 1]) for position, part in enumerate(parts) if part.endswith("[]")]
