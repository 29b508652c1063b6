"""Specs and records by chance: every operation, check, rule and block, and records that fit, nearly fit or are hostile.

What is drawn is a spec that compiles nearly always; whether it makes sense does not matter here.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

from pydantic import ValidationError

from mapspec.engine import CompiledSpec, compile_spec
from mapspec.errors import SpecError
from mapspec.model import MappingSpec
from mapspec.ops import CATALOGUE

EXAMPLES = [(name, one) for name, kind in CATALOGUE.items() for one in kind.examples if name != "lookup_remote"]
TABLES = {table: {"rows": dict(rows), "missing": "absent"} for _, one in EXAMPLES for table, rows in one.tables.items()}
TABLES |= {
    "approved": {"rows": {"VAT": "20", "": "10", "GST": "5"}},
    "both": {"rows": {"GST + QST + PST": "Sales tax", "A + B + C": " "}},
}
SETTINGS = {"text": "WEB-", "blank": " ", "empty": "", "number": "5", "zone": "Asia/Tokyo", "long": "y" * 99_998}
ROOTS = ["a", "b", "c", "n", "day", "at", "currency", "d.e", "d.f", "id", "$.a", "attributes.po", "status", "html"]
LISTS = ["items[]", "tags[]", "payments[]", "items", "d", "d.rows[]", "$.items[]", "values.v1"]
MANY = ["items[].sku", "items[].n", "tags[]", "payments[].amount", "items[].rows[].k"]
INNER = [".sku", ".n", ".a", ".at", ".d.e", ".", ".rows[].k", ".currency"]
OTHERS = ["values.v0", "values.v1", "values.v2", "values.currency", "values.none", "settings.text", "settings.blank",
          "settings.empty", "settings.number", "settings.none", "$", "none"]  # fmt: skip
WORDS: list[Any] = [
    "tea", " Tea ", "Green tea", "12.50", "3", "0", "1007", "2026-03-01T10:15:00-05:00", "2026-03-01", "USD", "jpy",
    "ana@example.com", "<p>Fine <b>tea</b> &amp; more</p>", "true", "US", "paid", "A-1", "Austin", "x" * 60, "Net 30",
]  # fmt: skip
NUMBERS: list[Any] = ["0", "1", "2.50", "-3", "1.005", 4, Decimal("9.99"), Decimal("1"), Decimal("1.0"), "0.000", 12]
ODD: list[Any] = [
    None, "", " ", "\t\n", True, False, 0, -1, 10**18, 10**60, 1.5, float("nan"), float("inf"), Decimal("-0.00"), "-0",
    "+5", "1e5", ".", "5.", "NaN", Decimal("NaN"), Decimal("sNaN"), Decimal("1e999999"), Decimal("0E-40"),
    Decimal("0E+15"), Decimal("1E-13"), [], {}, [""], ["", " ", "y"], ["x"], [None], [[]], [{}], {"k": "v"},
    [{"key": "po", "value": "7"}, {"name": "e", "value": " e "}], [{"key": "e"}], "Nu\u0301n\u0303ez \U0001f375", "ß",
    "\ud800", "\u2028", "\x00", "a\x07b", "&#65", "&nbsp;", "<", "²", "١٢", "none", "9999-12-31T23:59:59-14:00", "\x1f",
]  # fmt: skip
LONG: list[Any] = ["x" * 99_999, "x" * 100_001, "ß" * 60_000, "x" * 60_000, " " * 100_001, "9" * 100_001, "İ" * 99_999]
GIVEN = [one.value for _, one in EXAMPLES if isinstance(one.value, str | int | list | dict | Decimal)]
CHECKS: list[dict[str, Any]] = [
    *({"format": name} for name in ("email", "currency", "date", "instant", "url", "country", "phone", "sku")),
    {"min_length": "2"}, {"max_length": "20"}, {"between": ["0", "99"]}, {"at_least": "0"}, {"at_most": "50"},
    {"integer": ""}, {"integer": {"from": "1"}}, {"enum": ["tea", "paid", "USD", "0"]}, {"regex": "[A-Za-z0-9 .-]*"},
    {"money": "positive"}, {"money": "not_negative"}, {"unique_in_list": ""}, {"unique_in_list": "exact"},
    {"date_window": {"from": "2020-01-01", "to": {"path": "at", "days": "30"}}}, {"date_window": {"to": ".at"}},
]  # fmt: skip
PARTS = ["quantity", "unit_cost", "name", "note", "tax_name_1", "tax_percent_1", "tax_name_2", "tax_percent_2",
         "compound"]  # fmt: skip


class Maker:
    """Draws specs and records from one source of chance.

    Most are mild: small, with what is usual nearly everywhere. With something odd in every part nothing is left that
    the quick function answers.
    """

    def __init__(self, random: Random) -> None:
        self.random = random
        self.pick = random.choice
        self.mild = self.chance(75)

    def chance(self, of_hundred: int) -> bool:
        return self.random.randrange(100) < of_hundred

    def some(self, make: Callable[[], Any], most: int, least: int = 0) -> list[Any]:
        return [make() for _ in range(self.random.randint(least, most))]

    # --- specs

    def spec(self) -> dict[str, Any]:
        """A spec as its data."""
        targets = [name for name in ("client", "invoice", "payment") if self.chance(60)] or ["invoice"]
        fields: dict[str, Any] = {}
        for target in targets:
            names = ["a", "b", "c.d", "c.e", "f", "g"]
            for name in self.random.sample(names, self.random.randint(0, 1 if self.mild else 4)):
                fields[f"{target}.{name}"] = self.rule()
            for name in ("lines[]", "more[]") if target == "invoice" else ("rows[]",):
                if self.chance(45 if target == "invoice" else 5):
                    fields[f"{target}.{name}"] = self.block()
        if fields and self.chance(25):  # several fields of the same steps
            steps = self.chain()
            for target in targets:
                fields[f"{target}.same"] = {"steps": steps}
        made: dict[str, Any] = {
            "spec": "shop/flow",
            "source": {"system": "shop", "entity": "order"},
            "targets": {name: f"freshbooks/{name}" for name in targets},
            "settings": SETTINGS,
            "tables": TABLES,
            "gate": [
                {"id": f"g{i}", "do": self.pick(["go", "skip", "wait", "hold"]), "when": self.condition(2),
                 "reason": self.template()}
                for i in range(self.random.choice([0, 0, 0, 1] if self.mild else [0, 1, 2]))
            ],
            "values": {name: self.rule() for name in ("v0", "v1", "v2") if self.chance(25 if self.mild else 60)},
            "fields": fields,
            "flow": self.flow(targets),
            "assertions": [self.assertion(i) for i in range(self.random.choice([0, 0, 0, 1, 2]))],
        }  # fmt: skip
        if self.chance(85):
            made["values"]["currency"] = {"steps": [{"path": "currency"}, *self.some(self.text_step, 1)]}
        if self.chance(60):
            made["source"] |= {"number": self.path(), "updated": self.path()}
        return made

    def flow(self, targets: list[str]) -> list[dict[str, Any]]:
        steps: list[dict[str, Any]] = []
        for target in targets:
            if self.chance(70):
                step: dict[str, Any] = {"id": target, "target": target}
                step |= self.pick([{"do": "create_once"}, {"do": "upsert", "match": ["email"]}])
                step["key"] = [self.template() for _ in range(self.random.randint(1, 2))]
                if self.chance(60):
                    step["key"].append("{id}-{#}")
                if target != "invoice" and self.chance(50):
                    step["each"] = self.pick(LISTS)
                steps.append(self.with_condition(step))
        if self.chance(20):
            steps.append({"id": "found", "do": "find", "entity": "client", "key": [self.template(), "{id}"]})
        if self.chance(20):
            look: dict[str, Any] = {"id": "look", "do": "lookup", "entity": "item", "match": ["sku"]}
            look |= {"value": self.path(), **({"each": self.pick(LISTS)} if self.chance(60) else {})}
            steps.append(self.with_condition(look))
        return steps

    def with_condition(self, step: dict[str, Any]) -> dict[str, Any]:
        if self.chance(30):
            step["when"] = self.condition(2)
            if self.chance(50):
                step["otherwise"] = self.template()
        return step

    def rule(self, *, priced: bool = False) -> dict[str, Any]:
        rule: dict[str, Any] = {"steps": self.chain(priced=priced)}
        if self.chance(3 if self.mild else 15):
            rule["required"] = True
        if self.chance(40):
            rule["on_fail"] = "warn"
        if self.chance(10):
            rule["only_on_create"] = True
        if self.chance(10 if self.mild else 20):
            rule["check"] = self.some(self.check, 2, 1)
        return rule

    def check(self) -> dict[str, Any]:
        check: dict[str, Any] = dict(self.pick(CHECKS))
        if self.chance(30) and "money" not in check:
            check["on_fail"] = self.pick(["warn", "hold"])
        return check

    def path(self) -> str:
        kind = self.random.randrange(100)
        if kind < (75 if self.mild else 50):
            return str(self.pick(ROOTS))
        return str(self.pick(INNER if kind < 80 else MANY if kind < 85 else OTHERS))

    def chain(self, depth: int = 2, *, priced: bool = False) -> list[dict[str, Any]]:
        if priced and self.chance(50):
            return [{"line_price": self.pick(PARTS)}, *self.some(lambda: self.step(depth), 1)]
        usual: list[list[dict[str, Any]]] = [
            [{"path": self.pick(["at", ".at", "day", "values.v0"])}, {"parse_instant": None}, {"to_date": None}],
            [{"path": self.pick(["n", ".n", "d.f"])}, {"round": "2"}, {"money": self.pick(["currency", ".currency"])}],
            [{"path": self.pick(["n", ".n"])}, {"decimal": None}],
            [{"path": self.pick(["n", ".n"])}, {"int": None}],
            [{"path": "at"}, {"parse_instant": None}],
        ]
        if self.chance(20):
            return [*self.pick(usual), *self.some(lambda: self.step(depth), 1)]
        if self.chance(60 if self.mild else 30):
            return [self.source(depth), *self.some(self.text_step, 3)]
        return [self.source(depth), *self.some(lambda: self.step(depth), 3)]

    def template(self) -> str:
        parts = [self.pick(["{" + self.path() + "}", "{#}", "-", " ", "x", "{settings.text}"]) for _ in range(3)]
        return "".join(parts)

    def source(self, depth: int) -> dict[str, Any]:
        kind = self.random.randrange(100)
        if kind < 45:
            return {"path": self.path()}
        if kind < 60:
            return {"coalesce": self.some(self.path, 3, 1)}
        if kind < 72:
            return {"template": self.template()}
        if kind < 78:
            fixed = self.pick([*WORDS, *NUMBERS[:5], " ", ""])
            return self.pick([{"const": fixed}, {"setting": self.pick([*SETTINGS])}])
        if kind < 80:
            return {"step_output": "client.id"}
        return self.nested(depth)

    def nested(self, depth: int) -> dict[str, Any]:
        if depth <= 0:
            return {"path": self.path()}
        if self.chance(40):
            parts = self.some(lambda: self.chain(depth - 1), 3)
            return {"join": {"parts": parts, "with": self.pick([" ", ", ", "", "x" * 50_000])}}
        chains = [self.pick([self.chain(depth - 1), self.some(self.text_step, 2), []]) for _ in range(2)]
        return {"when": {"if": self.condition(1), "then": chains[0], "else": chains[1]}}

    def text_step(self) -> dict[str, Any]:
        return dict(self.pick([
            {"trim": None}, {"collapse_space": None}, {"clean_text": "keep"}, {"clean_text": "remove"},
            {"strip_html": None}, {"case": "lower"}, {"case": "upper"}, {"max_length": "9"},
            {"max_length": {"n": "4", "over": "truncate"}}, {"max_length": {"n": "150000"}},
        ]))  # fmt: skip

    def step(self, depth: int) -> dict[str, Any]:
        kind = self.random.randrange(100)
        if kind < 25:
            return self.text_step()
        if kind < 45:
            return {"default": self.pick(["tea", "0", " ", "", "2026-03-01", "settings.blank", "settings.text", "5"])}
        if kind < 60:
            return dict(self.pick([
                {"decimal": None}, {"decimal": {"places": "1"}}, {"int": None}, {"round": "2"}, {"round": "0"},
                {"round": {"places": "2", "rounding": "down"}}, {"money": self.path()}, {"money": "currency"},
                {"parse_instant": None}, {"to_date": None}, {"to_date": "settings.zone"}, {"bool": None},
            ]))  # fmt: skip
        if kind < 70:
            return self.nested(depth)
        if kind < 75:
            return self.source(0)
        name, example = self.pick(EXAMPLES)
        return {name: example.argument}

    def condition(self, depth: int) -> dict[str, Any]:
        if depth and self.chance(30):
            inner = self.some(lambda: self.condition(depth - 1), 2)
            return self.pick([{"all": inner}, {"any": inner}, {"not": self.condition(depth - 1)}])
        literal = self.pick(["tea", "paid", "0", "1", "true", "usd", "", " ", "none", "9.99"])
        path = self.path()
        return self.pick([
            {"present": path}, {"absent": path}, {"equal": [path, literal]}, {"not_equal": [path, literal]},
            {"in": [path, [literal, "Tea "]]}, {self.pick(["gt", "gte", "lt", "lte"]): [path, "2.50"]},
        ])  # fmt: skip

    def expression(self, depth: int = 2) -> Any:
        kind = self.random.randrange(100)
        if depth and kind < 20:
            return {"sum": self.some(lambda: self.expression(depth - 1), 3)}
        if depth and kind < 40:
            return {self.pick(["abs", "negate"]): self.expression(depth - 1)}
        if kind < 60:
            path = self.pick(["payments[].amount", "items[].n", ".rows[].k", "d.rows[].n"])
            return {"path": path, "where": self.condition(1)}
        return self.pick(["n", ".n", "total", "tax", "payments[].amount", "values.v0", self.path()])

    def assertion(self, number: int) -> dict[str, Any]:
        rule: dict[str, Any] = self.pick([
            {"equal": [self.expression(), self.expression()]}, {"at_most": [self.expression(), self.expression()]},
            {"same_text": [self.path(), self.path()]}, {"required_together": [self.path(), self.path()]},
            {"one_of_present": [self.path()]}, {"not_empty": self.pick(MANY)}, {"unique": self.pick(MANY)},
            {"predicted_total": {"lines": "invoice.lines[]", "total": "total", "currency": "currency"}, "within": "5"},
        ])  # fmt: skip
        rule = {"id": f"r{number}", "message": "differs", **rule}
        if self.chance(40):
            rule["on_fail"] = "warn"
        if self.chance(30):
            rule["when"] = self.condition(1)
        if self.chance(30) and "predicted_total" not in rule:
            rule["each"] = self.pick(LISTS)
        return rule

    def block(self) -> dict[str, Any]:
        priced = self.chance(60)
        names = self.random.sample(["qty", "unit_cost", "name", "x.y", "x.z", "taxName1"], self.random.randint(0, 4))
        block: dict[str, Any] = {"each": "items[]" if priced else self.pick(LISTS)}
        block["fields"] = {name: self.rule(priced=priced) for name in names}
        if priced:
            if self.chance(30):
                cost = {"steps": [{"line_price": "unit_cost"}], "check": [{"money": "not_negative"}]}
                block["fields"]["unit_cost"] = cost
            if self.chance(50):
                block["fields"]["qty"] = {"steps": [{"line_price": "quantity"}]}
            block["money"] = self.money()
        return block

    def money(self) -> dict[str, Any]:
        made: dict[str, Any] = {"quantity": ".q", "unit_price": ".p", "total": "total"}
        made["currency"] = self.pick(["currency", "currency", "currency", "values.currency"])
        usual = {"line_total": ".t", "discount": ".discount", "tax": ".tax", "taxes": ".taxes[]", "kind": ".kind",
                 "subtotal": "subtotal", "order_discount": "discount", "order_tax": "tax", "order_taxes": "taxes",
                 "prices_include_tax": "gross"}  # fmt: skip
        made |= {name: path for name, path in usual.items() if self.chance(75)}
        if self.chance(3 if self.mild else 10):
            made[self.pick([*made])] = self.path()
        made["discount_kinds"] = self.pick([[], ["discount"], ["none", ""]])
        made["rate_factor"] = self.pick(["100", "100", "100", "1"])
        made["unit_cost_places"] = self.pick(["2", "4", "settings.number"])
        made["negative_lines"] = self.pick(["false", "true"])
        made |= self.pick([{}, {"rates": "approved", "combined_taxes": "both"}])
        charge: dict[str, Any] = {"name": self.pick(["Shipping", " "]), "amount": "shipping"}
        charge |= {"tax": "shippingTax"} if self.chance(60) else {}
        rows = {"rows": "fees[]", "row_amount": ".amount", "row_title": ".title", "row_tax": ".tax"}
        made["charges"] = [charge, {"name": "Fee", "amount": "feeTotal", **(rows if self.chance(80) else {})}]
        return made

    # --- records

    def value(self) -> Any:
        kind = self.random.randrange(200)
        if kind < (150 if self.mild else 90):
            return self.pick(WORDS)
        if kind < (180 if self.mild else 130):
            return self.pick(NUMBERS)
        if kind < (186 if self.mild else 150):
            return copy.deepcopy(self.pick(GIVEN))
        return copy.deepcopy(self.pick(ODD)) if kind < 197 else self.pick(LONG)

    def record(self) -> Any:
        """An order whose sums agree mostly, with other members beside them, and a few odd ones put in."""
        made = self.order()
        made |= {name: self.value() for name in ("a", "b", "c", "status", "html") if self.chance(75)}
        made |= {"id": self.pick(["7", 7, "A-7"]), "n": self.pick(NUMBERS), "day": "2026-03-01"}
        made["at"] = self.pick(WORDS[7:9])
        made["d"] = {"e": self.value(), "f": self.pick(NUMBERS), "rows": [{"n": self.value()}, {"n": "1"}]}
        made["tags"] = [self.value() for _ in range(self.random.randint(0, 2))]
        made["attributes"] = self.pick([{"po": "PO 7"}, [{"key": "po", "value": self.value()}]])
        made["payments"] = [{"amount": self.pick(NUMBERS), "a": self.pick(WORDS), "n": "1", "at": "2026-03-01",
                             "currency": "USD"} for _ in range(self.random.randint(0, 2))]  # fmt: skip
        if self.chance(15):
            made |= copy.deepcopy(dict(self.pick(EXAMPLES)[1].record))
        for _ in range(self.random.choice([0, 0, 1] if self.mild else [0, 1, 1, 2, 3])):
            self.spoil(made)
        return made

    def spoil(self, made: Any) -> None:
        """Put another value at one place of a record, or take one away."""
        here = made
        while True:
            places = [*here] if isinstance(here, dict) else [*range(len(here))]
            if not places:
                return
            place = self.pick(places)
            if isinstance(here[place], dict | list) and here[place] and self.chance(75):
                here = here[place]
            elif self.chance(20):
                del here[place]
                return
            else:
                here[place] = self.value()
                return

    def order(self) -> dict[str, Any]:
        currency = self.pick(["USD", "USD", "usd ", "JPY", "KWD", "XXX"])
        unit = {"JPY": Decimal(1), "KWD": Decimal("0.001")}.get(currency, Decimal("0.01"))
        rates = self.pick([[], [("VAT", "0.2")], [("TX", "0.0825")], [("GST", "0.05"), ("QST", "0.09975")],
                           [("A", "0.05"), ("B", "0.02"), ("C", "0.01")]])  # fmt: skip
        gross = self.chance(15)
        subtotal = discounts = taxed = Decimal(0)
        items = []
        for position in range(self.random.choice([0, *[1, 1, 2, 3] * 5])):
            odd = self.chance(10)
            quantity = Decimal(self.pick(["1", "2", "3", "0.5", "1.0", "0", "-1"] if odd else ["1", "2", "1.0"]))
            price = Decimal(self.random.randint(0, 5000)) * unit / self.pick([1, 1, 1, 10])
            total = (quantity * price).quantize(unit)
            discount = (total / 10).quantize(unit) if self.chance(20) else Decimal(0)
            amounts = [((total - discount) * Decimal(rate)).quantize(unit) for _, rate in rates]
            own = sum(amounts, Decimal(0))
            subtotal, discounts, taxed = subtotal + total, discounts + discount, taxed + own
            item: dict[str, Any] = {"q": quantity, "p": price, "sku": self.pick(["A-1", f"B-{position}"]),
                                    "n": self.pick(NUMBERS), "a": self.value(), "at": self.pick(WORDS[7:9]),
                                    "currency": currency, "d": {"e": self.value()},
                                    "rows": [{"k": self.value()}]}  # fmt: skip
            stated = {"t": total, "discount": discount, "tax": own}
            item |= {name: value for name, value in stated.items() if self.chance(85)}
            if self.chance(50):
                item["taxes"] = [{"name": name, "rate": rate, "amount": amount}
                                 for (name, rate), amount in zip(rates, amounts, strict=True)]  # fmt: skip
            if self.chance(5):
                item["kind"] = self.pick(["discount", "", None, {}])
            items.append(item)
        made: dict[str, Any] = {"currency": currency, "items": items, "subtotal": subtotal, "tax": taxed}
        made["discount"] = discounts
        total = subtotal - discounts + taxed
        if self.chance(30):
            made["shipping"] = Decimal(self.random.randint(0, 900)) * unit
            total += made["shipping"]
            if rates and self.chance(50):
                made["shippingTax"] = (made["shipping"] * Decimal(rates[0][1])).quantize(unit)
                made["tax"] += made["shippingTax"]
                total += made["shippingTax"]
        if self.chance(20):
            other = {"amount": unit * self.pick([1, 0, -1]), "tax": "0"}
            made["fees"] = [{"amount": 2 * unit, "title": self.value()}, other]
            made["feeTotal"] = sum((fee["amount"] for fee in made["fees"]), Decimal(0))
            total += made["feeTotal"]
        made["total"] = total if self.chance(90) else total + unit
        made["taxes"] = [{"name": name, "rate": rate} for name, rate in rates]
        if gross:
            made["gross"] = True
        return dict(_written(str if self.chance(70) else lambda number: number, made))


def _written(write: Callable[[Decimal], Any], value: Any) -> Any:
    """The record with its decimals written another way."""
    if isinstance(value, dict):
        return {name: _written(write, inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_written(write, inner) for inner in value]
    return write(value) if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < 20 else value


def random_spec(random: Random) -> CompiledSpec | None:
    """A compiled spec; None where what was drawn is none."""
    try:
        return compile_spec(MappingSpec.model_validate(Maker(random).spec()))
    except (ValidationError, SpecError):
        return None
