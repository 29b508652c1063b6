"""What the parts of a spec are about: money, tax, currency, keys. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from mapspec.check_reads import settings_of, tables_of
from mapspec.model import FieldRule, LineMoney, MappingSpec, operations_of
from mapspec.ops import Allocate, LinePrice, Operation, PercentOf, Round, Scale, ToMoney, placeholders
from mapspec.paths import Path

Topic = Literal["tax", "currency", "key", "money", ""]
_GRAVITY: Final[tuple[Topic, ...]] = ("key", "tax", "currency", "money")
_MONEY_MEMBERS: Final = frozenset(
    {"amount", "unit_cost", "qty", "quantity", "price", "total", "rate", "discount_value", "inventory", "paid"}
)
_TAX_WORDS: Final = ("taxname", "taxamount", "taxrate", "taxpercent", "tax_name", "tax_amount", "tax_rate", "compound")
# The members in which records are found again (rules 12): (entity, member).
_MARKERS: Final = frozenset({("invoice", "invoice_number"), ("payment", "note"), ("client", "email"), ("item", "sku")})


class Topics:
    """What the parts of a spec are about."""

    def __init__(self, spec: MappingSpec) -> None:
        self._spec = spec
        self._keys = _values_behind(spec, _key_paths(spec))
        self._currencies = _values_behind(spec, _currency_paths(spec))
        self._matched = {(step.target, name) for step in spec.flow for name in step.match if step.target}
        self._tables: dict[str, set[str]] = {}
        for name, part in tables_of(spec):
            self._tables.setdefault(name, set()).add(part)
        self._settings: dict[str, set[str]] = {}
        for name, part in settings_of(spec):
            self._settings.setdefault(name, set()).add(part)

    def of(self, part: str) -> Topic:
        """The topic of a field or named value."""
        if part.startswith("values."):
            name = part[7:]
            if name in self._keys:
                return "key"
            if name in self._currencies or "currency" in name.lower():
                return "currency"
            rule = self._spec.values.get(name)
            return self._by_content(name, rule)
        target, _, member = part.partition(".")
        entity = self._spec.entity_of(target) if target in self._spec.targets else target
        last = member.rsplit(".", 1)[-1]
        if (target, member) in self._matched or (entity, member) in _MARKERS:
            return "key"
        return self._by_content(last, self._spec.rules().get(part))

    def required(self, part: str) -> bool:
        """Whether records are held when the part stays empty."""
        rule = self._spec.rules().get(part)
        return rule is not None and rule.required

    def _by_content(self, name: str, rule: FieldRule | None) -> Topic:
        small = name.lower()
        if any(word in small for word in _TAX_WORDS) or small == "tax":
            return "tax"
        if "currency" in small:
            return "currency"
        if small in _MONEY_MEMBERS or (rule is not None and _makes_money(rule.steps)):
            return "money"
        return ""

    def of_table(self, name: str) -> Topic:
        """What the values of a table are used for."""
        topics: set[str] = set()
        for part in self._tables.get(name, ()):
            block = self._spec.blocks().get(part)
            topics.add("tax" if block is not None else self.of(part))
        return gravest(topics)

    def of_setting(self, name: str) -> Topic | Literal["gate"]:
        """What a setting is used for."""
        topics: set[str] = set()
        for part in self._settings.get(name, ()):
            if part == "flow":
                return "gate"
            if part.startswith("tables."):
                topics.add(self.of_table(part[7:]))
            elif part in self._spec.blocks():
                topics.add("money")
            else:
                topics.add(self.of(part))
        return gravest(topics)


def _makes_money(chain: tuple[Operation, ...]) -> bool:
    kinds = (ToMoney, Round, Scale, PercentOf, Allocate)
    ops = operations_of(chain)
    prices = any(isinstance(op, LinePrice) and op.part in ("quantity", "unit_cost") for op in ops)
    return prices or any(isinstance(op, kinds) for op in ops)


def _key_paths(spec: MappingSpec) -> list[Path]:
    return [path for step in spec.flow for text in (*step.key, *step.identity) for path in placeholders(text)]


def _currency_paths(spec: MappingSpec) -> list[Path]:
    monies: list[LineMoney] = [block.money for block in spec.blocks().values() if block.money is not None]
    found = [money.currency for money in monies]
    for rule in spec.rules().values():
        found += [path for op in operations_of(rule.steps) if isinstance(op, ToMoney) for path in op.paths()]
    return found


def _values_behind(spec: MappingSpec, paths: Iterable[Path]) -> set[str]:
    """Named values that the paths read, and those that they read in turn."""
    found: set[str] = set()
    todo = list(paths)
    while todo:
        path = todo.pop()
        if path.root != "values" or (name := path.segments[0][0]) in found:
            continue
        found.add(name)
        rule = spec.values.get(name)
        if rule is not None:
            todo += [inner for op in operations_of(rule.steps) for inner in (*op.paths(), *op.element_paths())]
    return found


def gravest(topics: Iterable[str]) -> Topic:
    """The topic that counts where there are several; "" where there is none."""
    found = set(topics)
    return next((topic for topic in _GRAVITY if topic in found), "")
