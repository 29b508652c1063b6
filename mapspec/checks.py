"""Rules over a spec and the contracts of its two ends, each with a kebab-case id.

`mapper validate` prints what they find. A spec may run with warnings; with an error something could never work.
A source contract is often incomplete (extra members are usual), so an unknown source path is an error only where
the record could not be mapped without it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, Literal, Protocol

from mapspec.chains import CURE, FITS, ChainError, chain_type, literals
from mapspec.check_conditions import unreachable
from mapspec.check_losses import doubles, losses
from mapspec.check_reads import Read, reads_of, settings_of, tables_of
from mapspec.checks_validations import remarks
from mapspec.codec import part_line
from mapspec.conditions import fold
from mapspec.errors import TransformError
from mapspec.model import LOOKUPS, FieldRule, FlowStep, ListBlock, MappingSpec, operations_of
from mapspec.numbers import decimals_of, to_decimal
from mapspec.ops import LinePrice, LookupRemote, MaxLength, Operation, StepOutput
from mapspec.validations import EnumCheck, LengthCheck, MinLengthCheck
from mapspec.yamltext import Line, Loc, column_of

Severity = Literal["error", "warning", "info"]
_MANY: Final = 1000  # names to compare with, and names that are compared
_RANK: Final = {"error": 0, "warning": 1, "info": 2}
# Members whose names are the store's own (clarity A38).
_CUSTOM: Final = {"customAttributes", "SerializableAttributes", "custom_attributes", "customFields", "custom_fields"}


class ContractField(Protocol):
    """One leaf of a target's contract; `connectors.profiles` has them."""

    @property
    def path(self) -> str:
        """Dotted, `[]` after a list: lines[].unit_cost.amount."""

    @property
    def type(self) -> str:
        """text, int, decimal, bool, date, instant, object or list."""

    @property
    def required(self) -> bool:
        """Must be there on create."""

    @property
    def read_only(self) -> bool:
        """Computed by the system."""

    @property
    def enum(self) -> Sequence[str | int]:
        """Allowed values, empty when none are known."""

    @property
    def max_length(self) -> int | None:
        """Characters."""


@dataclass(frozen=True)
class Finding:
    """One thing a rule found.

    Attributes:
        part: The approvable part, or `tables.NAME`, `settings.NAME`.
        message: What is wrong.
        mend: What to do about it.
        line: 1-based line in the spec's text, None when it was not read from text.
        column: 1-based, as the line.
    """

    id: str
    severity: Severity
    part: str
    message: str
    mend: str
    line: int | None
    column: int | None = None


def check_spec(
    spec: MappingSpec,
    *,
    lines: Mapping[Loc, int],
    contracts: Mapping[str, Sequence[ContractField]],
    source_fields: Sequence[str] | None,
) -> list[Finding]:
    """Every finding, errors first, then by line.

    Args:
        spec: The spec.
        lines: Line of each member, from `load_with_lines`; empty when the spec has no text.
        contracts: Fields of each target entity by its reference ("freshbooks/invoice").
        source_fields: Paths of the source record; None when nothing is known of it.

    Returns:
        Empty when there is nothing to say.
    """
    check = _Checker(spec, lines, contracts)
    for target, reference in spec.targets.items():
        fields = contracts.get(reference, contracts.get(reference.split("@", 1)[0]))
        if fields is None:
            near = check.near(reference, contracts)
            check.add("unknown-contract", "error", "flow", f"there is no contract '{reference}'", near)
            continue
        check.target(target, {field.path: field for field in fields})
    check.flow()
    check.rules()
    check.validations()
    check.tables_and_settings()
    check.reads(None if source_fields is None else _with_parents(source_fields))
    order = sorted(check.found, key=lambda f: (_RANK[f.severity], f.line or 0, f.column or 0, f.part, f.id))
    return list(dict.fromkeys(order))


def _with_parents(paths: Iterable[str]) -> dict[str, None]:
    """The paths and all their parents, lists also without their brackets."""
    known: dict[str, None] = {}
    for path in paths:
        parts = path.split(".")
        for end in range(len(parts), 0, -1):
            parent = ".".join(parts[:end])
            known.setdefault(parent)
            known.setdefault(parent.removesuffix("[]"))
    return known


class _Checker:
    """Collects findings about one spec."""

    def __init__(
        self, spec: MappingSpec, lines: Mapping[Loc, int], contracts: Mapping[str, Sequence[ContractField]]
    ) -> None:
        self.spec = spec
        self._contracts = contracts
        self.found: list[Finding] = []
        self._lines = dict(lines)
        self._comparisons = _MANY
        self._places = {step.id: position for position, step in enumerate(spec.flow)}
        self._step_of: dict[str, FlowStep] = {}
        for step in spec.flow:
            if step.target is not None:
                self._step_of.setdefault(step.target, step)

    def add(self, rule: str, severity: Severity, part: str, message: str, mend: str, at: Loc = ()) -> None:
        """One finding; `at` is a more exact place than the part."""
        while at and at not in self._lines:
            at = at[:-1]
        line = self._lines.get(at) if len(at) > 1 else None
        if line is None and self._lines:
            name, _, rest = part.partition(".")
            line = self._lines.get((name, rest)) if rest else None
            line = line or part_line(self._lines, part) or Line(1, 1)
        self.found.append(Finding(rule, severity, part, message, mend, line, column_of(line)))

    def near(self, text: str, known: Iterable[str], otherwise: str = "correct the name") -> str:
        """A mend that names the nearest of the known names; comparing takes long, so only the first ones get it."""
        self._comparisons -= 1
        names = list(known)
        if self._comparisons < 0 or len(names) > _MANY:
            return otherwise
        near = difflib.get_close_matches(text, names, n=1, cutoff=0.7)
        return f"did you mean '{near[0]}'?" if near else otherwise

    # --- targets -------------------------------------------------------------------------------------------------

    def target(self, target: str, contract: Mapping[str, ContractField]) -> None:
        """The fields of one target against its contract."""
        prefix = target + "."
        mapped: dict[str, FieldRule | None] = {}
        for part, entry in self.spec.fields.items():
            if not part.startswith(prefix):
                continue
            member = part.removeprefix(prefix)
            if isinstance(entry, ListBlock):
                mapped[member] = None
                if not any(path.startswith(member + ".") for path in contract):
                    self._unknown(part, member, {path.split("[]")[0] + "[]" for path in contract if "[]" in path})
                    continue
                for name, rule in entry.fields.items():
                    mapped[f"{member}.{name}"] = rule
                    self._field(f"{part}.{name}", f"{member}.{name}", rule, contract)
            else:
                mapped[member] = entry
                self._field(part, member, entry, contract)
        step = self._step_of.get(target)
        if step is None or not mapped or step.do == "update":  # what is only changed has its required members
            return
        for path, field in contract.items():
            # what stands in a list is required only where the list holds something
            if not field.required or field.read_only or ("[]" in path and f"{path.split('[]')[0]}[]" not in mapped):
                continue
            own = next((name for name in _self_and_parents(path) if name in mapped), None)
            owner = None if own is None else mapped[own]
            if own is None:
                text = f"'{prefix}{path}' is required and has no rule"
                self.add("missing-required-target", "error", "flow", text, "add a rule for it", ("fields",))
            elif owner is not None and not owner.required:
                text = f"'{prefix}{own}' may stay empty, but its contract requires it"
                self.add("required-not-enforced", "warning", prefix + own, text, "add required: true")

    def _unknown(self, part: str, member: str, known: Iterable[str]) -> None:
        target = part.split(".", 1)[0]
        mend = self.near(member, known, f"see the contract of {self.spec.targets[target]}")
        self.add("unknown-target-path", "error", part, f"{self.spec.targets[target]} has no field '{member}'", mend)

    def _field(self, part: str, member: str, rule: FieldRule, contract: Mapping[str, ContractField]) -> None:
        field = contract.get(member)
        below = [other for path, other in contract.items() if path.startswith(member + ".")]
        custom, _, own_name = member.partition(".")
        if field is None and not below and custom in _CUSTOM and custom in contract and own_name:
            return  # an attribute of the store's own
        if field is None and not below:
            self._unknown(part, member, (*contract, *(path.rsplit(".", 1)[0] for path in contract if "." in path)))
            return
        if all(other.read_only for other in ([field] if field else below)):
            self.add("read-only-target", "error", part, f"'{member}' is read-only", "remove the rule")
            return
        kind = field.type if field else "money" if {b.path for b in below} >= _money(member) else "object"
        try:
            given = chain_type(rule.steps)
        except ChainError:
            given = "any"  # told by `rules`
        if given not in ("any", "nothing") and kind in FITS and given not in FITS[kind]:
            mend = f"add {CURE[kind]}" if kind in CURE else "choose another source or other steps"
            self.add("type-mismatch", "error", part, f"the steps give {given}, '{member}' takes {kind}", mend)
        elif kind == "object" and given not in ("any", "nothing"):
            self.add(
                "type-mismatch", "error", part, f"'{member}' is an object", f"map its members, such as {below[0].path}"
            )
        if field is not None:
            self._limits(part, member, rule, field)

    def _limits(self, part: str, member: str, rule: FieldRule, field: ContractField) -> None:
        fixed = literals(self.spec, rule.steps)
        allowed = [str(value) for value in field.enum]
        wanted = {value for check in rule.check if isinstance(check, EnumCheck) for value in check.enum}
        for text in sorted(fixed | wanted) if allowed else []:
            if text not in allowed:
                mend = self.near(text, allowed, f"known: {', '.join(allowed)}")
                self.add("enum-conflict", "error", part, f"'{text}' is none of the values of '{member}'", mend)
        if field.max_length is None:
            return
        for text in sorted(fixed):
            if len(text) > field.max_length:
                message = f"'{text}' is longer than the {field.max_length} characters of '{member}'"
                self.add("max-length-conflict", "error", part, message, "shorten it")
        longest = max((check.min_length for check in rule.check if isinstance(check, MinLengthCheck)), default=0)
        if longest > field.max_length:
            message = f"asks for {longest} characters, '{member}' takes {field.max_length}"
            self.add("max-length-conflict", "error", part, message, f"lower min_length to {field.max_length} or less")
        limits = [check.max_length for check in rule.check if isinstance(check, LengthCheck)]
        if rule.steps and isinstance(rule.steps[-1], MaxLength):
            limits.append(rule.steps[-1].n)
        if limits and min(limits) > field.max_length:
            message = f"lets {min(limits)} characters through, '{member}' takes {field.max_length}"
            self.add("max-length-conflict", "error", part, message, f"lower the limit to {field.max_length}")

    # --- flow ----------------------------------------------------------------------------------------------------

    def flow(self) -> None:
        """Steps, their targets, matches and the outputs that fields take from them."""
        by_target = {
            target: [part for part in self.spec.fields if part.startswith(target + ".")] for target in self.spec.targets
        }
        for position, step in enumerate(self.spec.flow):
            at: Loc = ("flow", position)
            if step.do == "lookup":
                self._lookup(step, at)
            if step.do == "propose":
                self._propose(step, at)
            if step.target is None:
                continue
            parts = by_target[step.target]
            if not parts:
                message = f"step '{step.id}' writes '{step.target}', which has no fields"
                self.add("target-without-fields", "error", "flow", message, f"add fields {step.target}.…", at)
                continue
            unmapped = [name for name in step.match if f"{step.target}.{name}" not in parts]
            if step.match and len(unmapped) == len(step.match):
                message = f"step '{step.id}' matches by {', '.join(step.match)}, and none of them has a rule"
                self.add("no-key-match", "error", "flow", message, "add a rule, or match by a mapped field", at)
            else:
                for name in unmapped:
                    message = f"step '{step.id}' matches by '{name}', which has no rule"
                    mend = self.near(f"{step.target}.{name}", parts, "add a rule for it")
                    self.add("match-field-unmapped", "warning", "flow", message, mend, at)
        for target, parts in by_target.items():
            if target not in self._step_of and parts:
                message = f"no flow step writes the target '{target}'"
                self.add("target-without-step", "warning", "flow", message, "add a step, or remove the target")

    def _lookup(self, step: FlowStep, at: Loc) -> None:
        possible = LOOKUPS.get(step.entity or "", ())
        if len(step.match) != 1 or step.match[0] not in possible:
            asked = f"{step.entity} by {', '.join(step.match)}"
            known = ", ".join(f"{entity} by {field}" for entity, fields in LOOKUPS.items() for field in fields)
            message = f"step '{step.id}' looks up {asked}, which cannot be searched for certain"
            self.add("lookup-not-possible", "error", "flow", message, f"known: {known}", at)

    def _propose(self, step: FlowStep, at: Loc) -> None:
        if not self.spec.corrects:
            message = f"step '{step.id}' proposes a correction in a flow that writes by itself"
            mend = "give corrections a mapping of their own, of find and propose steps"
            self.add("propose-beside-writes", "error", "flow", message, mend, at)
        if step.target is not None and self.spec.entity_of(step.target) != "credit_note":
            message = f"step '{step.id}' proposes '{step.target}', which is no credit note"
            self.add("propose-needs-credit-note", "error", "flow", message, "let the target be a credit_note", at)
        made = [part for part in self.spec.fields if part.startswith(f"{step.target}.lines")]
        if made:
            message = f"'{made[0]}': the lines of a correction are worked out from the invoice's own"
            self.add("lines-of-correction", "error", made[0], message, "remove the rule")
        found = [name for name in self._needs(step) if self._finds_invoice(name)]
        if not found:
            message = f"step '{step.id}' corrects an invoice that no step before it finds"
            mend = "add a find step of the invoice, and name it in needs"
            self.add("propose-without-invoice", "error", "flow", message, mend, at)

    def _finds_invoice(self, name: str) -> bool:
        step = self.spec.flow[self._places[name]]
        return step.do == "find" and step.entity == "invoice"

    def _lookup_remote(self, part: str, op: LookupRemote, at: Loc) -> None:
        place = self._places.get(op.step)
        step = None if place is None else self.spec.flow[place]
        if step is None:
            lookups = [step.id for step in self.spec.flow if step.do == "lookup"]
            mend = self.near(op.step, lookups, "add a lookup step to flow")
            self.add("unknown-step", "error", part, f"there is no flow step '{op.step}'", mend, at)
            return
        if step.do != "lookup":
            mend = f"write {{step_output: {op.of}}}, or name a lookup step"
            self.add("not-a-lookup", "error", part, f"flow step '{op.step}' is no lookup", mend, at)
            return
        if part.startswith("values."):
            message = "a value may decide what is looked up at all, so it cannot be made of it"
            self.add("later-step", "error", part, message, "read the lookup in a field", at)
        elif step.each is not None and self._list_of(part) != step.each.source_path():
            message = f"step '{step.id}' finds one {step.entity} for each of {step.each.text}, which is another list"
            self.add("lookup-of-another-list", "error", part, message, "read it in a field of that list", at)
        member = op.member.split(".")[0]
        known = {path.split(".")[0].removesuffix("[]") for path in self._contract_of(step.entity or "")}
        if known and member not in known:
            mend = self.near(member, known, f"see the contract of {step.entity}")
            message = f"{step.entity} has no field '{member}'"
            self.add("unknown-lookup-member", "error", part, message, mend, at)

    def _contract_of(self, entity: str) -> list[str]:
        """Fields of an entity of the system that the spec writes to; none when its contract is not known."""
        for reference in self.spec.targets.values():
            system = reference.rpartition("/")[0]
            fields = self._contracts.get(f"{system}/{entity}")
            if fields is not None:
                return [field.path for field in fields]
        return []

    def _list_of(self, part: str) -> str:
        """Source path of the list whose elements a part is made for; "" for none."""
        step = self._step_of.get(part.split(".", 1)[0])
        outer = step.each.source_path() if step is not None and step.each is not None else ""
        block = self.spec.blocks().get(part.rpartition(".")[0])
        return outer if block is None else block.each.source_path(outer)

    def _step_output(self, part: str, op: StepOutput, at: Loc) -> None:
        wanted, _, member = op.of.partition(".")
        ids = self._places
        owner = self._step_of.get(part.split(".", 1)[0])
        if wanted not in ids:
            self.add("unknown-step", "error", part, f"there is no flow step '{wanted}'", self.near(wanted, ids), at)
            return
        step = self.spec.flow[ids[wanted]]
        given = _gives(step, self.spec)
        if member not in given:
            message = f"flow step '{wanted}' ({step.do}) gives {' and '.join(given) or 'nothing'}, not '{member}'"
            mend = (
                f"write {{lookup_remote: {op.of}}}" if step.do == "lookup" else self.near(member, given, "take its id")
            )
            self.add("unknown-step-output", "error", part, message, mend, at)
        elif part.startswith("values."):
            message = "a value is computed before any flow step runs"
            self.add("later-step", "error", part, message, "read the step's output in a field", at)
        elif owner is not None and ids[wanted] >= ids[owner.id]:
            message = f"step '{wanted}' runs no earlier than '{owner.id}', which needs its output"
            self.add("later-step", "error", part, message, f"move step '{wanted}' up", at)
        elif owner is not None and wanted not in self._needs(owner):
            message = f"step '{owner.id}' takes the output of '{wanted}' but does not need it"
            self.add("step-not-needed", "warning", "flow", message, f"add needs: [{wanted}] to step '{owner.id}'")

    def _needs(self, step: FlowStep) -> set[str]:
        found: set[str] = set()
        open_ids = [*step.needs, *([step.of] if step.of else [])]
        while open_ids:
            name = open_ids.pop()
            if name not in found:
                found.add(name)
                earlier = self.spec.flow[self._places[name]]
                open_ids += [*earlier.needs, *([earlier.of] if earlier.of else [])]
        return found

    # --- rules ---------------------------------------------------------------------------------------------------

    def rules(self) -> None:
        """Every chain by itself: order and types of its steps, and what only some places allow."""
        priced = {part for part, block in self.spec.blocks().items() if block.money is not None}
        for part, rule in self.spec.rules().items():
            base = _steps_loc(self.spec, part)
            if not rule.steps:
                self.add("no-steps", "error", part, "the rule has no steps", "add a step such as {path: …}")
            try:
                chain_type(rule.steps)
            except ChainError as misfit:
                at = (*base, misfit.position)
                self.add("type-mismatch", "error", part, misfit.message, "change or reorder the steps", at)
            for position, top in enumerate(rule.steps):
                for op in operations_of((top,)):
                    self._of_flow(part, op, (*base, position), in_money=part.rpartition(".")[0] in priced)
            step = self._step_of.get(part.split(".", 1)[0])
            if rule.conflict is not None and (step is None or step.do != "update" or "[]" in part):
                message = "'conflict' is for a field of its own that an update step writes back"
                self.add(
                    "conflict-without-update", "error", part, message, "remove 'conflict'", (*base[:-1], "conflict")
                )
        for part, block in self.spec.blocks().items():
            if not block.each.many:
                mend = f"write {block.each.text}[]"
                self.add("each-is-no-list", "error", part, f"'{block.each.text}' is no list path", mend)
            if not part.endswith("[]"):
                self.add("block-is-no-list", "error", part, "a list block's target ends in []", f"write {part}[]")

    def _of_flow(self, part: str, op: Operation, at: Loc, *, in_money: bool) -> None:
        """A step whose value does not come from the record."""
        if isinstance(op, StepOutput):
            self._step_output(part, op, at)
        elif isinstance(op, LookupRemote):
            self._lookup_remote(part, op, at)
        elif isinstance(op, LinePrice) and not in_money:
            message = "line_price is known only inside a list block with a money block"
            self.add("line-price-outside-money", "error", part, message, "read the source field by path", at)

    def validations(self) -> None:
        """Checks of values, assertions over the record, and what the rules say by themselves."""
        spec = self.spec
        for remark in chain(remarks(spec), doubles(spec), losses(spec), unreachable(spec)):
            self.add(remark.id, remark.severity, remark.part, remark.message, remark.mend, remark.at)

    # --- names ---------------------------------------------------------------------------------------------------

    def tables_and_settings(self) -> None:
        """Tables and settings that are missing, unused or contradict themselves."""
        used = tables_of(self.spec)
        used_names = {name for name, _ in used}
        for name, part in used:
            if name not in self.spec.tables:
                self.add(
                    "unknown-table", "error", part, f"there is no table '{name}'", self.near(name, self.spec.tables)
                )
        for name, table in self.spec.tables.items():
            if name not in used_names:
                self.add("unused-table", "warning", f"tables.{name}", f"table '{name}' is not used", "remove it")
            seen: dict[str, str] = {}
            for key in table.rows:
                first = seen.setdefault(fold(key), key)
                if first != key:
                    message = f"table '{name}': '{first}' and '{key}' are the same key; case does not count"
                    at: Loc = ("tables", name, "rows", key)
                    self.add("table-key-twice", "error", f"tables.{name}", message, "keep one", at)
        for block in self.spec.blocks().values():
            if block.money is not None and block.money.rates in self.spec.tables:
                self._rates(str(block.money.rates))
        named = settings_of(self.spec)
        for name, part in named:
            if name not in self.spec.settings:
                mend = self.near(name, self.spec.settings, "add it to settings")
                self.add("unknown-setting", "error", part, f"there is no setting '{name}'", mend)
        named_names = {name for name, _ in named}
        for name in self.spec.settings:
            if name not in named_names:
                self.add("unused-setting", "warning", f"settings.{name}", f"setting '{name}' is not used", "remove it")

    def _rates(self, name: str) -> None:
        for key, text in self.spec.tables[name].rows.items():
            try:
                percent = to_decimal(text, key)
                fits = 0 < percent <= 100 and decimals_of(percent) <= 3
            except TransformError:
                fits = False
            if not fits:
                message = f"table '{name}': '{key}' is no percent from 0 to 100 with at most three decimals"
                at: Loc = ("tables", name, "rows", key)
                self.add("bad-rate", "error", f"tables.{name}", message, "write a percent such as 8.25", at)

    # --- reads ---------------------------------------------------------------------------------------------------

    def reads(self, known: Mapping[str, None] | None) -> None:
        """Every path that the spec reads: named values, list items, and members of the source record."""
        used: set[str] = set()
        for read in reads_of(self.spec):
            if read.path.root == "values":
                name = read.path.segments[0][0]
                used.add(name)
                if name not in self.spec.values:
                    mend = self.near(name, self.spec.values, "add it to values")
                    self.add("unknown-value", "error", read.part, f"there is no value '{name}'", mend, read.loc)
            elif read.path.root == "item" and read.each is None:
                message = f"'{read.path.text}' is a member of a list element, and there is no list here"
                self.add(
                    "item-path-outside-list", "error", read.part, message, "write the path without the dot", read.loc
                )
            elif read.path.root != "settings" and known is not None and not _is_known(read, known):
                self._unknown_source(read, known)
        for name in self.spec.values:
            if name not in used and name != "currency":  # the engine itself reads `currency`
                self.add("unused-value", "warning", f"values.{name}", f"value '{name}' is not used", "remove it")

    def _unknown_source(self, read: Read, known: Mapping[str, None]) -> None:
        severity: Severity = "error" if read.grave else "warning"
        if any(_is_known(Read(path, read.part, read.loc, read.each), known) for path in read.instead):
            severity = "info"
        path = read.path.source_path(read.each or "")
        message = f"the source contract of {self.spec.source.entity} has no field '{path}'"
        last = path.rsplit(".", 1)[-1]
        namesakes = [name for name in known if name.rsplit(".", 1)[-1] == last]
        mend = self.near(path, namesakes or known, "correct the path, or add the field to the profile")
        self.add("unknown-source-path", severity, read.part, message, mend, read.loc)


def _is_known(read: Read, known: Mapping[str, None]) -> bool:
    if read.path.root in ("values", "settings"):
        return True
    path = read.path.source_path(read.each or "")
    if not path or path in known:
        return True
    return path.split(".", 1)[0].removesuffix("[]") in _CUSTOM or any(
        part.removesuffix("[]") in _CUSTOM for part in path.split(".")[:-1]
    )


def _gives(step: FlowStep, spec: MappingSpec) -> tuple[str, ...]:
    """What an earlier step is sure to bring, also where its record is known from an earlier run."""
    if step.do in ("lookup", "mark_as_sent", "propose", "update"):
        return ()
    entity = step.entity if step.target is None else spec.entity_of(step.target)
    if entity == "invoice":
        return ("id", "total", "currency", *(("client",) if step.do == "find" and spec.corrects else ()))
    return ("id",)


def _money(member: str) -> set[str]:
    return {f"{member}.amount", f"{member}.code"}


def _self_and_parents(path: str) -> Iterator[str]:
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        yield ".".join(parts[:end])


def _steps_loc(spec: MappingSpec, part: str) -> Loc:
    if part.startswith("values."):
        return ("values", part[7:], "steps")
    if part in spec.fields:
        return ("fields", part, "steps")
    block, _, name = part.rpartition(".")
    return ("fields", block, "fields", name, "steps")
