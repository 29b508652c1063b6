"""What a spec means, as digests: the thing an approval signs.

A rule's digest covers its target and the target's contract, steps, checks, `required`, `only_on_create`, `on_fail`, the
rows of the tables it uses and, in a list, the list's source. A list head's covers its source, its money block and the
tables that it names. The flow's covers source, targets, settings, gate (what and when), steps and assertions without
their messages. The spec's fingerprint covers its name, its format and all digests. Nothing else counts: notes, reasons
and messages, origins, approvals, `version`, `description`, `ignored`, `suppressed`, and the order of what has
none.

docs/spec.md lists every member and where it counts; a test compares that list with this module.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Any, Final

from mapspec.model import FieldRule, ListBlock, MappingSpec, Part, operations_of
from mapspec.ops import LookupTable, Operation, write_step
from mapspec.paths import Path
from mapspec.validations import Check, ExpressionNode

FLOW: Final = "flow"
DIGEST_LENGTH: Final = 16


def digests(spec: MappingSpec) -> dict[str, str]:
    """Digest of every approvable part: `flow`, each field and named value, each list block's head."""
    found = {FLOW: _digest(_flow_meaning(spec))}
    for name, rule in spec.values.items():
        found[f"values.{name}"] = _digest(_rule_meaning(spec, f"values.{name}", rule))
    for target, entry in spec.fields.items():
        contract = spec.targets[target.split(".", 1)[0]]
        if isinstance(entry, FieldRule):
            found[target] = _digest([contract, _rule_meaning(spec, target, entry)])
            continue
        found[target] = _digest([contract, _block_meaning(spec, target, entry)])
        for name, rule in entry.fields.items():
            inner = f"{target}.{name}"
            found[inner] = _digest([contract, entry.each.text, _rule_meaning(spec, inner, rule)])
    return found


def fingerprint(spec: MappingSpec) -> str:
    """One hex text of 32 characters for the meaning of the whole spec."""
    return _digest([spec.spec, spec.format, sorted(digests(spec).items())], length=32)


def plain_part(value: Any) -> Any:
    """Any part of a spec as plain YAML data, defaults left out."""
    if isinstance(value, Path):
        return value.text
    if isinstance(value, Operation):
        return write_step(value)
    if isinstance(value, Check | ExpressionNode):
        return value.plain()
    if isinstance(value, Part):
        return {
            name: plain_part(part)
            for key, name, usual in _members(type(value))
            if (part := getattr(value, key)) is not usual and part != usual
        }
    if hasattr(value, "plain"):
        return value.plain()
    if isinstance(value, dict):
        return {key: plain_part(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain_part(part) for part in value]
    return value if value is None or isinstance(value, bool | int | str) else str(value)


# What no member of a part is or equals.
_NONE: Final = object()


@cache
def _members(kind: type[Part]) -> tuple[tuple[str, str, Any], ...]:
    """Name, name in the text, and default of every member; pydantic would copy each default for each part anew."""
    return tuple(
        (key, info.alias or key, _NONE if info.is_required() else info.get_default(call_default_factory=True))
        for key, info in kind.model_fields.items()
    )


def _flow_meaning(spec: MappingSpec) -> Any:
    return plain_part(
        {
            "source": spec.source.model_copy(update={"events": tuple(sorted(spec.source.events))}),
            "targets": dict(sorted(spec.targets.items())),
            "settings": dict(sorted(spec.settings.items())),
            "gate": [{"do": rule.do, "when": rule.when, **({"ends": True} if rule.ends else {})} for rule in spec.gate],
            "flow": spec.flow,
            "assertions": sorted(
                json.dumps(plain_part(a.model_copy(update={"message": ""})), sort_keys=True) for a in spec.assertions
            ),
        }
    )


def _rule_meaning(spec: MappingSpec, target: str, rule: FieldRule) -> Any:
    tables = {op.table for op in operations_of(rule.steps) if isinstance(op, LookupTable)}
    return {
        "target": target,
        "steps": [write_step(step) for step in rule.steps],
        "required": rule.required,
        "only_on_create": rule.only_on_create,
        "check": [check.plain() for check in rule.check],
        "on_fail": rule.on_fail,
        "tables": _tables(spec, tables),
    }


def _block_meaning(spec: MappingSpec, target: str, block: ListBlock) -> Any:
    tables = {block.money.rates, block.money.combined_taxes} - {None} if block.money else set()
    return {
        "target": target,
        "each": block.each.text,
        "money": plain_part(block.money) if block.money else None,
        "tables": _tables(spec, {name for name in tables if name}),
    }


def _tables(spec: MappingSpec, names: set[str]) -> Any:
    return {name: plain_part(spec.tables[name]) for name in sorted(names) if name in spec.tables}


def _digest(meaning: Any, length: int = DIGEST_LENGTH) -> str:
    text = json.dumps(meaning, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]
