"""Settings of a source that a mapping carries: where an approved spec says the same, and whether it does.

What decides money stands in the spec and is approved there; a corrected setting does not change an approved spec
behind anybody's back. So new proposals take the corrected values, and a spec that says otherwise is pointed out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from connectors.profiles import Setting, SystemProfile
from mapper_ai.services.sources import part_sources
from mapspec import MappingSpec
from mapspec.conditions import Condition
from mapspec.model import FieldRule, LineMoney

AS_WRITTEN: Final = "as_written"
"""The spec's time zone that leaves every date as its own offset has it; it contradicts no uncorrected zone."""


@dataclass(frozen=True)
class Carried:
    """Where a spec carries a setting.

    Attributes:
        number: "A21".
        spec: Name of the spec.
        where: Part or member of it: `settings.timezone`.
        says: What it says, in words.
        agrees: Whether that is what the setting says.
    """

    number: str
    spec: str
    where: str
    says: str
    agrees: bool


_Found = Iterator[tuple[str, str, bool]]


def carried_by(spec: MappingSpec, profile: SystemProfile) -> list[Carried]:
    """Where a spec of this source carries the profile's settings; empty for another source, and for corrections."""
    if spec.source.system != profile.system or spec.corrects:
        return []
    found = []
    for number, setting in profile.settings.items():
        for kind, look in _LOOKS.items():
            if kind in setting.carried:
                found += [Carried(number, spec.spec, *row) for row in look(spec, setting, setting.carried[kind])]
    return found


def with_corrections(spec: MappingSpec, profile: SystemProfile) -> MappingSpec:
    """A proposed spec with what somebody corrected in the profile: its settings, and how exact totals must be."""
    if spec.source.system != profile.system:
        return spec
    settings, fields = dict(spec.settings), dict(spec.fields)
    for setting in profile.settings.values():
        if setting.origin == "profile":
            continue
        name = setting.carried.get("setting")
        if name in settings and setting.value is not None:
            settings[name] = str(setting.value)
        if setting.carried.get("money") == "totals_within":
            for target, block in spec.blocks().items():
                if block.money is not None:
                    money = block.money.model_copy(update={"totals_within": setting.value})
                    fields[target] = block.model_copy(update={"money": money})
    return spec.model_copy(update={"settings": settings, "fields": fields})


def _setting(spec: MappingSpec, setting: Setting, name: Any) -> _Found:
    if name not in spec.settings:
        return
    says, wanted = spec.settings[name], setting.value
    unsaid = wanted is None or (setting.origin == "profile" and says == AS_WRITTEN)
    yield f"settings.{name}", says, unsaid or says.strip().casefold() == str(wanted).casefold()


def _source(spec: MappingSpec, setting: Setting, name: Any) -> _Found:
    path = getattr(spec.source, name)
    if path is not None and (name != "number" or spec.source.entity == "order"):
        yield f"source.{name}", path.source_path(), path.source_path() == _of(setting)


def _money(spec: MappingSpec, setting: Setting, wanted: Any) -> _Found:
    names = wanted if isinstance(wanted, Mapping) else {"": wanted}
    for target, money in _moneys(spec):
        for member, name in names.items():
            expected = setting.value[member] if member else setting.value
            found = getattr(money, name)
            if isinstance(found, tuple):
                missing = {str(word).casefold() for word in expected} - {word.casefold() for word in found}
                yield f"{target} money.{name}", ", ".join(found), not missing
            else:
                says = found.source_path().lstrip(".") if hasattr(found, "source_path") else str(found)
                yield f"{target} money.{name}", says, found == expected or says == str(expected)


def _charge(spec: MappingSpec, setting: Setting, _wanted: Any) -> _Found:
    expected = setting.value.values() if isinstance(setting.value, dict) else [setting.value]
    for target, money in _moneys(spec):
        amounts = [charge.amount.source_path().lstrip(".") for charge in money.charges]
        yield f"{target} money.charges", ", ".join(amounts), set(expected) <= set(amounts)


def _reads(spec: MappingSpec, setting: Setting, member: Any) -> _Found:
    if spec.source.entity == "order":
        name = setting.value[member]
        reads = any(path.split(".", 1)[0] == name for path in _all_sources(spec))
        yield "fields", f"{'reads' if reads else 'does not read'} {name}", reads


def _gate(spec: MappingSpec, setting: Setting, path: Any) -> _Found:
    if spec.source.entity != "order":
        return
    action = setting.carried.get("do")
    known = {word for rule in spec.gate if action is None or rule.do == action for word in _words(rule.when, str(path))}
    missing = [word for word in _of(setting) if word.casefold() not in known]
    says = f"no gate knows {', '.join(missing)}" if missing else f"every {path} has its gate"
    yield f"gate on {path}", says, not missing


def _gate_reads(spec: MappingSpec, setting: Setting, member: Any) -> _Found:
    if spec.source.entity == "order" and setting.value["skip"]:
        name = setting.value[member]
        reads = any(p.source_path().rpartition(".")[2] == name for rule in spec.gate for p in rule.when.paths())
        yield "gate", f"{'reads' if reads else 'does not read'} {name}", reads


def _payments(spec: MappingSpec, setting: Setting, member: Any) -> _Found:
    wanted = {word.casefold() for word in setting.value[member]}
    for step in spec.flow:
        if step.target == "payment" and step.when is not None and spec.source.entity == "order":
            found = set(_words(step.when, ".status"))
            yield f"flow step {step.id}", f"posts {', '.join(sorted(found))}", found == wanted


def _table(spec: MappingSpec, setting: Setting, name: Any) -> _Found:
    if name in spec.tables:
        missing = [word for word in setting.value if word not in spec.tables[name].rows]
        says = f"has no row for {', '.join(missing)}" if missing else "has a row for each"
        yield f"tables.{name}", says, not missing


def _price(spec: MappingSpec, setting: Setting, member: Any) -> _Found:
    rule = spec.rules().get("item.unit_cost")
    if rule is not None and spec.source.entity == "product":
        found = part_sources(spec, "item.unit_cost")
        agrees = setting.value[member] in found and setting.value["meaning"] == "net"
        yield "item.unit_cost", f"takes {', '.join(found)} as a net price", agrees


def _fee(spec: MappingSpec, setting: Setting, member: Any) -> _Found:
    if isinstance(spec.fields.get("payment.amount"), FieldRule):
        reads = any(path.endswith(str(member)) for path in part_sources(spec, "payment.amount"))
        says = f"{'reads' if reads else 'leaves out'} {member}"
        yield "payment.amount", says, reads == (setting.value == "deducted")


_LOOKS: Final[Mapping[str, Callable[[MappingSpec, Setting, Any], _Found]]] = {
    "setting": _setting,
    "source": _source,
    "money": _money,
    "charge": _charge,
    "reads": _reads,
    "gate": _gate,
    "gate_reads": _gate_reads,
    "payments": _payments,
    "table": _table,
    "price": _price,
    "fee": _fee,
}


def _of(setting: Setting) -> Any:
    member = setting.carried.get("of")
    return setting.value[member] if member else setting.value


def _moneys(spec: MappingSpec) -> Iterator[tuple[str, LineMoney]]:
    for target, block in spec.blocks().items():
        if block.money is not None:
            yield target, block.money


def _all_sources(spec: MappingSpec) -> Iterator[str]:
    for part in (*spec.rules(), *spec.blocks()):
        yield from part_sources(spec, part)


def _words(condition: Condition, path: str) -> Iterator[str]:
    """Literals that a condition compares a path with, in small letters."""
    for pair in (condition.equal, condition.in_):
        if pair is not None and pair[0].text == path:
            words = (pair[1],) if isinstance(pair[1], str) else pair[1]
            yield from (word.casefold() for word in words)
    for inner in (*(condition.all or ()), *(condition.any or ())):
        yield from _words(inner, path)
