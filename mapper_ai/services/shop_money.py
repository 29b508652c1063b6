"""How another shop states an order's money, found by what its samples' own totals prove. Pure.

Shops agree on the names of amounts and not on their meaning: a line's total before or after its discount, prices with
or without tax, rates as fractions or percents. So the ways in which shops are known to state amounts are tried on the
samples, the likeliest by the fields' names first, and the first that explains the most totals to the cent is proposed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import product
from typing import Any, Final

from mapper_ai.services.proof import failures
from mapper_ai.services.sources import read_at
from mapspec import MappingSpec
from mapspec.errors import TransformError
from mapspec.model import ChargeRule, FieldRule, LineMoney, ListBlock, TableRule
from mapspec.numbers import plain, to_decimal
from mapspec.ops import Join
from mapspec.paths import Path, parse_path

Record = Mapping[str, Any]
Change = Mapping[str, Any]
Told = list[tuple[str, str]]

_LINES: Final = "invoice.lines[]"
_MOST: Final = 40
_TITLES: Final = ("method_title", "title", "label", "name", "description")
_AMOUNTS: Final = ("discounted_price", "total", "amount", "price", "tax_total", "value")
_TAXES: Final = ("total_tax", "tax_total", "tax_amount", "tax")
_RATES: Final = re.compile(r"(?i)(^|_)(rate|percent|rate_percent|percentage)$")
_CHARGES: Final = (
    ("Shipping", re.compile(r"(?i)^shipping_?(lines|methods|charges)?$")),
    ("Fee", re.compile(r"(?i)^(additional_?)?(fee|surcharge)s?(_?(lines|items))?$")),
)
_SUMS: Final = (("Tip", re.compile(r"(?i)^(total_)?(tip|gratuity)s?(_(received|amount|total))?$")),)
_LISTED: Final = re.compile(r"(?i)line_?items?(_?(price|total|sum))?s?$")


@dataclass(frozen=True)
class _Shop:
    """The lines of the samples, and what stands in them."""

    records: Sequence[Record]
    each: str

    @property
    def rows(self) -> list[Record]:
        return _rows(self.records, self.each)

    def scalars(self, path: str = "") -> list[str]:
        """Members that hold numbers wherever they hold anything: of the record, or of a list's rows."""
        rows = _rows(self.records, path) if path else list(self.records)
        names = dict.fromkeys(name for row in rows for name in row)
        return [name for name in names if _numeric([row.get(name) for row in rows])]

    def members(self, path: str) -> list[str]:
        return list(dict.fromkeys(name for row in _rows(self.records, path) for name in row))

    def lists(self, path: str, word: str) -> list[str]:
        """Lists of objects named after a word, of the record ("") or of a list's rows."""
        rows = _rows(self.records, path) if path else list(self.records)
        names = dict.fromkeys(name for row in rows for name, value in row.items() if isinstance(value, list))
        return [name for name in names if word in name.lower()]


def with_proved_money(spec: MappingSpec, records: Sequence[Record]) -> tuple[MappingSpec, Told]:
    """The spec with the reading of the amounts that explains the most samples; and what a person must know."""
    block = spec.fields.get(_LINES)
    if not isinstance(block, ListBlock) or block.money is None or not records:
        return spec, []
    shop = _Shop(records[:_MOST], block.each.source_path())
    if not shop.rows:
        return spec, []
    spec, told = _with_rates(spec, block.money, shop)
    best, most = block, -1
    for change in _ways(block.money, shop):
        tried = _changed(block, change)
        explained = _explained(spec, tried, shop.records)
        if explained > most:
            best, most = tried, explained
        if most == len(shop.records):
            break
    told.append((_LINES, f"{most} of {len(shop.records)} samples come to their own total with the amounts read so"))
    told += _untried(best.money or block.money, shop)
    return spec.model_copy(update={"fields": {**spec.fields, _LINES: best}}), told


def _explained(spec: MappingSpec, block: ListBlock, records: Sequence[Record]) -> int:
    """How many samples' totals the block explains."""
    alone = spec.model_copy(update={"fields": {_LINES: block}, "flow": ()})
    wanting = failures(alone, records)
    return 0 if "" in wanting else len(records) - max((row.count for row in wanting.values()), default=0)


def _changed(block: ListBlock, change: Change) -> ListBlock:
    money = (block.money or LineMoney.model_validate({})).model_copy(update=_parsed(change))
    fields = dict(block.fields)
    if "before" in change and "description" in fields:
        fields["description"] = _with_list_price(fields["description"], *change["before"])
    return block.model_copy(update={"money": money, "fields": fields})


def _parsed(change: Change) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in change.items():
        if name != "before":
            out[name] = parse_path(value) if isinstance(value, str) else value
    return out


def _with_list_price(rule: FieldRule, before: str, discounts: str) -> FieldRule:
    """A line's description that says the amount before the discount, which its price no longer shows (rule 4)."""
    join = rule.steps[0] if rule.steps else None
    if not isinstance(join, Join):
        return rule
    shown = {"if": {"present": discounts}, "then": [{"template": f"{{{before}}} before discounts"}], "else": []}
    extra = FieldRule.model_validate({"steps": [{"when": shown}]}).steps
    return rule.model_copy(update={"steps": (join.model_copy(update={"parts": (*join.parts, extra)}), *rule.steps[1:])})


def _ways(money: LineMoney, shop: _Shop) -> Iterator[Change]:
    """Readings of the amounts, the likeliest first; every one of them a change of the money block."""
    for quantity, lines, taxes, charges, gross, within in product(
        _quantities(shop),
        _line_readings(money, shop),
        _tax_readings(money, shop),
        _charge_readings(money, shop),
        _gross_readings(money),
        (Decimal("0.01"), Decimal("0.05")),
    ):
        yield {**quantity, **lines, **taxes, **charges, **gross, "totals_within": within}


def _quantities(shop: _Shop) -> list[Change]:
    exact = [name for name in shop.scalars(shop.each) if name.lower() in ("quantity", "qty", "qty_ordered")]
    return [{"quantity": f".{exact[0]}"}] if exact else [{}]


def _line_readings(money: LineMoney, shop: _Shop) -> list[Change]:
    names = set(shop.scalars(shop.each))
    ways: list[Change] = []
    if {"subtotal", "total"} <= names:  # before and after the line's share of all discounts
        done = {"line_total": ".total", "discount": None, "order_discount": None, "subtotal": None}
        told = next((f"$.{name}[]" for word in ("coupon", "discount") for name in shop.lists("", word)), None)
        ways.append({**done, "before": (".subtotal", told)} if told else done)
    listed = next((f"$.{name}" for name in shop.scalars() if _LISTED.search(name)), None)
    for name in shop.lists(shop.each, "discount"):
        amounts = shop.scalars(f"{shop.each}.{name}[]")
        amount = next((a for a in _AMOUNTS if a in amounts), "amount")
        shares = {"discount": f".{name}[].{amount}", "line_total": None, "order_discount": None}
        ways += (
            [{**shares, "subtotal": listed}, {**shares, "subtotal": None}] if listed else [{**shares, "subtotal": None}]
        )
    ways += [{}, {"line_total": None}, {"subtotal": listed}, {"subtotal": None}, {"order_discount": None}]
    ways += [{"line_total": None, "subtotal": None}, {"line_total": None, "subtotal": None, "order_discount": None}]
    return ways


def _tax_readings(money: LineMoney, shop: _Shop) -> list[Change]:
    rows = {name: f"{shop.each}.{name}[]" for name in shop.lists(shop.each, "tax")}
    tops = shop.lists("", "tax")
    scalar = next((name for name in _TAXES if name in shop.scalars(shop.each)), None)
    ways: list[Change] = []
    for name, path in rows.items():  # every line with its own taxes, as rates
        if rate := _rate(shop, path):
            top = {"order_taxes": f"$.{tops[0]}[]"} if tops else {"order_taxes": None}
            ways.append({"taxes": f".{name}[]", "tax": None, **top, **_tax_members(shop, path, rate)})
    for name in tops:  # every line with its tax as an amount, the rates once for the order
        path = f"{name}[]"
        members = _tax_members(shop, path, _rate(shop, path))
        ways.append({"taxes": None, "tax": scalar and f".{scalar}", "order_taxes": f"$.{path}", **members})
    return [*ways, {}]


def _rate(shop: _Shop, path: str) -> str | None:
    return next((name for name in shop.scalars(path) if _RATES.search(name)), None)


def _tax_members(shop: _Shop, path: str, rate: str | None) -> dict[str, Any]:
    """Name, rate and amount of a tax row, and whether its rate is a fraction."""
    members, numbers = shop.members(path), shop.scalars(path)
    made: dict[str, Any] = {}
    if title := next((name for name in ("label", "title", "name", "rate_code", "code") if name in members), None):
        made["tax_name"] = f".{title}"
    if amount := next((name for name in ("tax_total", "price", "amount", "total") if name in numbers), None):
        made["tax_amount"] = f".{amount}"
    if rate:
        made["tax_rate"] = f".{rate}"
        rates = [_number(row.get(rate)) for row in _rows(shop.records, path)]
        made["rate_factor"] = Decimal(100 if all(r is None or r < 1 for r in rates) else 1)
    return made


def _charge_readings(money: LineMoney, shop: _Shop) -> list[Change]:
    charges: list[ChargeRule] = []
    for label, pattern in _CHARGES:
        name = next((n for n in _object_lists(shop.records) if pattern.match(n)), None)
        if name is not None and (made := _charge(label, name, shop)) is not None:
            charges.append(made)
    charges += [
        ChargeRule(name=label, amount=parse_path(f"$.{name}"))
        for label, pattern in _SUMS
        for name in shop.scalars()
        if pattern.match(name)
    ]
    return [{"charges": tuple(charges)}, {}] if charges else [{}]


def _charge(label: str, name: str, shop: _Shop) -> ChargeRule | None:
    """A list of charges, each a line of the invoice; their sum is what the order says it is."""
    path = f"{name}[]"
    members, numbers = shop.members(path), shop.scalars(path)
    if not members:  # no sample has one: what the trade calls its members
        members, numbers = ["name", "total", "total_tax"], ["total", "total_tax"]
    amount = next((n for n in _AMOUNTS if n in numbers), None)
    if amount is None:
        return None
    title = next((n for n in _TITLES if n in members), None)
    tax: str | None = next((f".{n}" for n in _TAXES if n in numbers), None)
    if tax is None and (inner := shop.lists(path, "tax")):
        below = shop.scalars(f"{path}.{inner[0]}[]")
        part = next((n for n in _AMOUNTS if n in below), "amount" if not below else None)
        tax = f".{inner[0]}[].{_like_lines(shop, part)}" if part else None
    return ChargeRule(
        name=label,
        amount=parse_path(f"$.{path}.{amount}"),
        rows=parse_path(f"$.{path}"),
        row_title=parse_path(f".{title}") if title else None,
        row_amount=parse_path(f".{amount}"),
        row_tax=parse_path(tax) if tax else None,
    )


def _like_lines(shop: _Shop, part: str) -> str:
    """The amount of a tax row is called the same below charges and lines."""
    for name in shop.lists(shop.each, "tax"):
        numbers = shop.scalars(f"{shop.each}.{name}[]")
        if part not in numbers and (found := next((n for n in _AMOUNTS if n in numbers), None)):
            return found
    return part


def _gross_readings(money: LineMoney) -> list[Change]:
    return [{}, {"prices_include_tax": None}] if money.prices_include_tax is not None else [{}]


# --- rates of shops that state tax as amounts only ---


def _with_rates(spec: MappingSpec, money: LineMoney, shop: _Shop) -> tuple[MappingSpec, Told]:
    """A table of rates for approval (rule 6), where no tax row of the samples has a rate of its own."""
    lists = [f"{name}[]" for name in shop.lists("", "tax")]
    inner = [f"{shop.each}.{name}[]" for name in shop.lists(shop.each, "tax")]
    scalar = next((name for name in _TAXES if name in shop.scalars(shop.each)), None)
    rated = any(_rate(shop, path) for path in (*lists, *inner))
    if rated or scalar is None or money.rates is None or not lists:
        return spec, []
    rows: dict[str, str] = {}
    for label, ends in sorted(_ranges(lists[0], scalar, shop).items()):
        percent = _simplest(max(low for low, _ in ends), min(high for _, high in ends))
        if percent is not None:
            rows[label] = plain(percent)
    if not rows:
        return spec, []
    tables = {**spec.tables, money.rates: TableRule(rows=rows)}
    shown = ", ".join(f"{label} {percent} %" for label, percent in rows.items())
    told = [(_LINES, f"the shop states tax as amounts only; rates that make them, for approval: {shown}")]
    return spec.model_copy(update={"tables": tables}), told


def _ranges(path: str, scalar: str, shop: _Shop) -> dict[str, list[tuple[Decimal, Decimal]]]:
    """By name of the tax: between which percents it must lie to make every line's amount; orders with one tax only."""
    found: dict[str, list[tuple[Decimal, Decimal]]] = {}
    half = Decimal("0.005")
    for record in shop.records:
        taxes = _rows([record], path)
        if len(taxes) != 1:
            continue
        label = str(next((taxes[0][n] for n in ("label", "title", "name", "rate_code") if taxes[0].get(n)), "Tax"))
        for row in _rows([record], shop.each):
            net, tax = _number(row.get("total", row.get("amount"))), _number(row.get(scalar))
            if net and tax and net > 0:
                found.setdefault(label, []).append(((tax - half) / net * 100, (tax + half) / net * 100))
    return found


def _simplest(low: Decimal, high: Decimal) -> Decimal | None:
    """The percent with the fewest digits between two ends, None when not one: the amounts have several rates."""
    for places in range(4):
        unit = Decimal(1).scaleb(-places)
        first, last = low.quantize(unit, ROUND_CEILING), high.quantize(unit, ROUND_FLOOR)
        if first <= last:
            return (
                first
                if first == last or places == 0
                else (first + last) / 2
                if (first + last) % (2 * unit) == 0
                else first
            )
    return None


# --- what the samples do not show ---


def _untried(money: LineMoney, shop: _Shop) -> Told:
    """What no sample has, and what therefore nothing proves."""
    missing = []
    if money.prices_include_tax is not None:
        path = money.prices_include_tax.source_path()
        if not any(str(read_at(record, path)).lower() == "true" for record in shop.records):
            missing.append(f"prices with tax inside ({path})")
    discounts = [name for name in shop.scalars() if "discount" in name.lower() and "tax" not in name.lower()]
    if discounts and not any(_number(record.get(name)) for record in shop.records for name in discounts):
        missing.append("a discount")
    missing += [
        f"a {charge.name.lower()}"
        for charge in money.charges
        if not any(_sum(record, charge.amount) for record in shop.records)
    ]
    if not missing:
        return []
    return [(_LINES, f"no sample has {', '.join(missing)}: such an order is held if the amounts mean something else")]


def _sum(record: Record, path: Path) -> Decimal:
    value = read_at(record, path.source_path())
    values = value if isinstance(value, list) else [value]
    return sum((abs(_number(part) or Decimal(0)) for part in values), Decimal(0))


def _rows(records: Sequence[Record], path: str) -> list[Record]:
    found: list[Any] = []
    for record in records:
        held = read_at(record, path)
        while isinstance(held, list) and any(isinstance(part, list) for part in held):
            held = [row for part in held for row in (part if isinstance(part, list) else [part])]
        found += held if isinstance(held, list) else [held]
    return [row for row in found if isinstance(row, Mapping)]


def _object_lists(records: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(name for record in records for name, value in record.items() if isinstance(value, list)))


def _numeric(values: Sequence[Any]) -> bool:
    held = [value for value in values if value not in (None, "")]
    return bool(held) and all(_number(value) is not None for value in held)


def _number(value: Any) -> Decimal | None:
    if value is None or isinstance(value, bool | list | Mapping) or value == "":
        return None
    try:
        return to_decimal(value, "")
    except TransformError:
        return Decimal(value) if isinstance(value, Decimal) and value.is_finite() else None
