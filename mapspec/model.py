"""The spec: one YAML file that says how a source record becomes target records, and who approved which part.

Parts that carry meaning are approved one by one: every field, every list block's head, every named value, and the
flow (gate, steps, assertions and settings together). `mapspec.fingerprint` says what counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PrivateAttr,
    SerializeAsAny,
    Tag,
    field_validator,
    model_validator,
)

from mapspec.conditions import Condition, PathField
from mapspec.expressions import Expression
from mapspec.ops import Chain, Operation, placeholders
from mapspec.paths import Path, parse_path
from mapspec.validations import Check, OnFail, parse_check

FORMAT: Final = 1
MAX_MINOR_UNITS: Final = 1000  # that a predicted total may lie off; more is no rounding


class Part(BaseModel):
    """Base of all spec parts: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, populate_by_name=True)


class Origin(Part):
    """Who proposed a rule, how sure it was, and the share of each signal."""

    by: Literal["fuzzy", "learned", "llm", "history", "person", "rule"]
    confidence: Decimal | None = Field(default=None, ge=0, le=1)
    why: dict[str, str] = {}


class Approval(Part):
    """The state of a part. `digest` binds an approval to the content that was approved."""

    state: Literal["proposed", "approved", "rejected"] = "proposed"
    by: str | None = None
    at: str | None = None
    digest: str | None = None
    comment: str | None = None


class FieldRule(Part):
    """How one target field gets its value. `only_on_create` leaves the field alone when a record is updated."""

    steps: Chain
    required: bool = False
    only_on_create: bool = False
    check: tuple[Annotated[SerializeAsAny[Check], BeforeValidator(parse_check)], ...] = ()
    on_fail: OnFail = "hold"
    note: str | None = None
    origin: Origin | None = None
    approval: Approval = Approval()


class ChargeRule(Part):
    """A sum of the order beside its lines (shipping, handling, fees) that becomes lines of its own."""

    name: str
    amount: PathField
    tax: PathField | None = None
    rows: PathField | None = None
    row_title: PathField | None = None
    row_amount: PathField | None = None
    row_tax: PathField | None = None


MONEY_ROW_MEMBERS: Final = frozenset({"tax_name", "tax_rate", "tax_amount", "discount_amount"})
"""Members of a money block that stand in a row of another of its members."""


class LineMoney(Part):
    """Where the money of an order stands in the source; the arithmetic is fixed (rules 3-6, `mapspec.lines`).

    Paths starting with a dot are members of the order line. `more_quantity` adds to `quantity` what stands in members
    of its own; `unit_price_else` stands in where a line has no `unit_price`. `discounts` are rows of the line, each
    with its `discount_amount`, subtracted whatever its sign. Rows of `rates` named `PLACE/NAME` count only where
    `rates_place` gives that place or one inside it (`CA/GST` for `CA-ON`). `rate_factor` turns the source's rate into
    percent (100 for fractions such as 0.0825); `totals_within` is how far the order's total may be from the sum of
    its parts (clarity A39) before the order is held.
    """

    currency: PathField
    quantity: PathField
    unit_price: PathField
    total: PathField
    more_quantity: tuple[PathField, ...] = ()
    unit_price_else: PathField | None = None
    line_total: PathField | None = None
    discount: PathField | None = None
    discounts: PathField | None = None
    discount_amount: PathField = parse_path(".amount")
    tax: PathField | None = None
    taxes: PathField | None = None
    kind: PathField | None = None
    discount_kinds: tuple[str, ...] = ()
    prices_include_tax: PathField | None = None
    subtotal: PathField | None = None
    order_discount: PathField | None = None
    order_tax: PathField | None = None
    order_taxes: PathField | None = None
    tax_name: PathField = parse_path(".name")
    tax_rate: PathField = parse_path(".rate")
    tax_amount: PathField = parse_path(".amount")
    rate_factor: Decimal = Field(default=Decimal(100), max_digits=28, decimal_places=12)
    charges: tuple[ChargeRule, ...] = ()
    unit_cost_places: str = "2"
    negative_lines: str = "false"
    totals_within: Decimal = Field(default=Decimal("0.01"), ge=0, le=Decimal("0.05"))
    rates: str | None = None
    rates_place: PathField | None = None
    combined_taxes: str | None = None

    def paths(self) -> list[Path]:
        """Every path the block reads, members of tax and discount rows left out."""
        own = [v for k, v in self.__dict__.items() if isinstance(v, Path) and k not in MONEY_ROW_MEMBERS]
        return [*own, *self.more_quantity] + [
            v for charge in self.charges for v in charge.__dict__.values() if isinstance(v, Path)
        ]


class ListBlock(Part):
    """A target list, one element per source element. With `money` the charges are appended and fields may read
    `line_price`."""

    each: PathField
    money: LineMoney | None = None
    fields: dict[str, FieldRule]
    note: str | None = None
    origin: Origin | None = None
    approval: Approval = Approval()


def _rule_or_block(value: Any) -> str:
    return "block" if isinstance(value, ListBlock) or (isinstance(value, dict) and "each" in value) else "rule"


TargetRule = Annotated[
    Annotated[FieldRule, Tag("rule")] | Annotated[ListBlock, Tag("block")], Discriminator(_rule_or_block)
]


class Source(Part):
    """Where records come from. `system` is a profile name or a file of samples."""

    system: str
    entity: str
    events: tuple[str, ...] = ()
    id: PathField = parse_path("id")
    number: PathField | None = None
    updated: PathField | None = None


class TableRule(Part):
    """A value table. `missing`: hold (default), default, keep the key, or absent."""

    rows: dict[str, str] = {}
    missing: Literal["hold", "default", "keep", "absent"] = "hold"
    default: str | None = None

    @model_validator(mode="after")
    def _default_goes_with_missing(self) -> TableRule:
        if (self.missing == "default") != (self.default is not None):
            raise ValueError("'default' goes with 'missing: default'")
        return self


class GateRule(Part):
    """The first rule whose condition holds decides: go, skip, wait or hold; without any the record goes."""

    id: str
    do: Literal["go", "skip", "wait", "hold"]
    when: Condition
    reason: str

    @field_validator("reason")
    @classmethod
    def _paths_are_paths(cls, reason: str) -> str:
        placeholders(reason)
        return reason


class FlowStep(Part):
    """One step of what the runner does with a record; a fixed catalogue.

    create_if_missing: look by key and `match`, create when nothing is found, never change what is there.
    create_once: create exactly once per key; upsert: create, or update what changed; find: what another flow made,
    else wait; lookup: read-only search by `match` for the value at `value`, before anything is mapped: fields take
    what it found with `lookup_remote`, what is missing is noted; mark_as_sent: of an agreed invoice.
    """

    id: str
    do: Literal["create_if_missing", "create_once", "upsert", "find", "lookup", "mark_as_sent"]
    entity: Literal["client", "invoice", "payment", "item", "tax"] | None = None
    target: str | None = None
    of: str | None = None
    key: tuple[str, ...] = ()
    match: tuple[str, ...] = ()
    value: PathField | None = None
    each: PathField | None = None
    when: Condition | None = None
    otherwise: str | None = None
    needs: tuple[str, ...] = ()
    after: str | None = None

    @model_validator(mode="after")
    def _members_fit_the_step(self) -> FlowStep:
        for text in (*self.key, self.otherwise or ""):
            placeholders(text)
        for name in STEP_NEEDS[self.do]:
            if not getattr(self, name):
                raise ValueError(f"step '{self.id}' ({self.do}) needs '{name}'")
        return self


# Members that each kind of flow step cannot do without.
STEP_NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "create_if_missing": ("target", "key", "match"),
    "create_once": ("target", "key"),
    "upsert": ("target", "key", "match"),
    "find": ("entity", "key"),
    "lookup": ("entity", "match", "value"),
    "mark_as_sent": ("of",),
}


# By what a lookup can search: exactly these searches prove what they find.
LOOKUPS: Final[dict[str, tuple[str, ...]]] = {"item": ("sku",), "client": ("email",), "tax": ("name",)}


class PredictedTotal(Part):
    """What FreshBooks will make of an invoice's lines, beside an amount of the record (`mapspec.assertions`).

    lines: the target list, such as `invoice.lines[]`. rounding: `any` holds when one of the plausible rounding rules
    comes to the total, `every` only when all of them do.
    """

    lines: str = Field(pattern=r"^[^.\[\]]+\.[^.\[\]]+\[\]$")
    total: PathField
    currency: PathField
    rounding: Literal["any", "every"] = "any"


class Assertion(Part):
    """A rule over the whole record, checked in preview, review and before every write.

    equal, at_most: two numbers, at most `within` apart. same_text: two texts; an absent one agrees with any.
    required_together: all of the paths have a value, or none. one_of_present: at least one has. not_empty: the list
    has an element. unique: no two elements read the same. predicted_total: `within` is in minor units.
    """

    id: str
    equal: tuple[Expression, Expression] | None = None
    at_most: tuple[Expression, Expression] | None = None
    same_text: tuple[PathField, PathField] | None = None
    required_together: tuple[PathField, ...] | None = Field(default=None, min_length=2)
    one_of_present: tuple[PathField, ...] | None = Field(default=None, min_length=1)
    not_empty: PathField | None = None
    unique: PathField | None = None
    predicted_total: PredictedTotal | None = None
    each: PathField | None = None
    when: Condition | None = None
    within: Decimal = Field(default=Decimal(0), max_digits=28, decimal_places=12)
    on_fail: OnFail = "hold"
    message: str

    @model_validator(mode="after")
    def _one_comparison(self) -> Assertion:
        if sum(getattr(self, name) is not None for name in RECORD_RULES) != 1:
            raise ValueError(f"assertion '{self.id}' needs exactly one of {', '.join(RECORD_RULES)}")
        for name in ("not_empty", "unique"):
            path = getattr(self, name)
            if path is not None and not path.many:
                raise ValueError(f"assertion '{self.id}': {name} needs a path through a list, such as lineItems[].sku")
        if self.predicted_total is not None:
            if self.each is not None:
                raise ValueError(f"assertion '{self.id}': predicted_total looks at the whole invoice: remove 'each'")
            if not 0 <= self.within <= MAX_MINOR_UNITS or self.within != self.within.to_integral_value():
                raise ValueError(f"assertion '{self.id}': 'within' is a whole number of minor units, 0 to 1000")
        return self

    def paths(self) -> list[Path]:
        """The paths that the rule names by itself, outside expressions and conditions."""
        found = [*(self.same_text or ()), *(self.required_together or ()), *(self.one_of_present or ())]
        found += [path for path in (self.not_empty, self.unique) if path is not None]
        predicted = self.predicted_total
        return found + ([predicted.total, predicted.currency] if predicted is not None else [])


# What an assertion can say; each is a member of it, and exactly one is set.
RECORD_RULES: Final = (
    "equal",
    "at_most",
    "same_text",
    "required_together",
    "one_of_present",
    "not_empty",
    "unique",
    "predicted_total",
)


class Ignored(Part):
    """A source field that is left out on purpose."""

    source: str
    reason: str


class Suppression(Part):
    """A finding of the review that was looked at and is left out for a time.

    `id` is the rule, `part` the part it is about (all parts when absent), `until` the last day it counts.
    """

    id: str
    part: str | None = None
    reason: str
    until: str

    @model_validator(mode="after")
    def _has_reason_and_end(self) -> Suppression:
        if not self.reason.strip():
            raise ValueError(f"suppression of '{self.id}' needs a reason")
        try:
            date.fromisoformat(self.until)
        except ValueError:
            raise ValueError(f"suppression of '{self.id}': 'until' is a day such as 2027-01-31") from None
        return self


class MappingSpec(Part):
    """One flow: a source event and what it becomes."""

    spec: str = Field(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")
    format: Literal[1] = 1
    version: int = Field(default=1, ge=1)
    description: str | None = None
    source: Source
    targets: dict[str, str]
    settings: dict[str, str] = {}
    tables: dict[str, TableRule] = {}
    gate: tuple[GateRule, ...] = ()
    flow: tuple[FlowStep, ...] = ()
    approval: Approval = Approval()
    values: dict[str, FieldRule] = {}
    fields: dict[str, TargetRule] = {}
    assertions: tuple[Assertion, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    suppressed: tuple[Suppression, ...] = ()
    # What the text says to editors; no part of the spec, and so of no digest.
    _schema_reference: str | None = PrivateAttr(default=None)

    @field_validator("format", mode="before")
    @classmethod
    def _format_is_known(cls, value: Any) -> Any:
        if str(value) != str(FORMAT):
            raise ValueError(f"format {value} is not known to this version, which reads format {FORMAT}")
        return FORMAT

    @model_validator(mode="after")
    def _names_are_known(self) -> MappingSpec:
        steps = [step.id for step in self.flow]
        if len(set(steps)) != len(steps):
            raise ValueError("two flow steps have the same id")
        earlier: set[str] = set()
        for step in self.flow:
            for name in (*step.needs, *([step.of] if step.of else [])):
                if name not in earlier:
                    raise ValueError(f"step '{step.id}' needs '{name}', which is no earlier step")
            earlier.add(step.id)
            if step.target is not None and step.target not in self.targets:
                raise ValueError(f"step '{step.id}': '{step.target}' is not among the targets")
        for target in self.fields:
            if target.split(".", 1)[0] not in self.targets or "." not in target:
                known = ", ".join(self.targets)
                raise ValueError(f"field '{target}' must start with a target name and a dot; targets: {known}")
        return self

    @property
    def schema_reference(self) -> str | None:
        """Where editors find the JSON Schema: a relative path or URN in the text's first line, None without one."""
        return self._schema_reference

    def with_schema_reference(self, reference: str | None) -> MappingSpec:
        """A copy with another one (`codec.with_schema` checks it)."""
        made = self.model_copy()
        made._schema_reference = reference
        return made

    @property
    def name(self) -> str:
        """The last part of the spec's id, which is also its file name."""
        return self.spec.rsplit("/", 1)[1]

    def entity_of(self, target: str) -> str:
        """The entity of a target name: 'invoice' for `invoice: freshbooks/invoice`."""
        return self.targets[target].rsplit("/", 1)[-1].split("@", 1)[0]

    def rules(self) -> dict[str, FieldRule]:
        """Every field rule by its full target path, values as `values.NAME`, list members as `invoice.lines[].qty`."""
        found: dict[str, FieldRule] = {f"values.{name}": rule for name, rule in self.values.items()}
        for target, rule in self.fields.items():
            if isinstance(rule, FieldRule):
                found[target] = rule
            else:
                found.update({f"{target}.{name}": inner for name, inner in rule.fields.items()})
        return found

    def written_twice(self) -> Iterator[tuple[str, str]]:
        """(part, other part) where two rules write one place: an object and its member, a list and what it is not."""
        yield from _doubled("", self.fields)
        for target, block in self.blocks().items():
            yield from _doubled(f"{target}.", block.fields)

    def blocks(self) -> dict[str, ListBlock]:
        """List blocks by target path."""
        return {target: rule for target, rule in self.fields.items() if isinstance(rule, ListBlock)}


def _doubled(prefix: str, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    known = {name.replace("[]", ""): name for name in names}
    for name in names:
        parts = name.replace("[]", "").split(".")
        others = (known.get(".".join(parts[:end])) for end in range(1, len(parts) + 1))
        other = next((other for other in others if other is not None and other != name), None)
        if other is not None:
            yield prefix + name, prefix + other


def operations_of(chain: tuple[Operation, ...]) -> list[Operation]:
    """Every operation of a chain, nested ones included."""
    found: list[Operation] = []
    for step in chain:
        found.append(step)
        for inner in step.nested():
            found.extend(operations_of(inner))
    return found
