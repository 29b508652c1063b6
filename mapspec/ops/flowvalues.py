"""Operations whose value comes from the flow or from the priced order, not from the record itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import field_validator

from mapspec.conditions import fold, is_present
from mapspec.errors import TransformError
from mapspec.ops.base import CompileContext, Example, Operation, SourceStep, Step
from mapspec.paths import Scope, compile_path, get_at

# Reason of a value that only the other system knows, where it was not asked.
NOT_LOOKED_UP: Final = "not-looked-up"


@dataclass(frozen=True)
class Output:
    """Stands in a draft for a value that an earlier step's answer will bring."""

    step: str
    member: str


class StepOutput(Operation):
    """What an earlier flow step made; filled in by the runner."""

    name = "step_output"
    main = "of"
    gives = "any"
    source = True
    examples = (Example("client.id", gives=Output("client", "id")),)
    of: str

    @field_validator("of")
    @classmethod
    def _step_and_member(cls, of: str) -> str:
        if of.count(".") != 1 or of.startswith(".") or of.endswith("."):
            raise ValueError("write STEP.MEMBER, such as client.id")
        return of

    def bind(self, context: CompileContext) -> Step:
        step_id, member = self.of.split(".")
        placeholder = Output(step_id, member)
        return SourceStep(lambda scope: placeholder, never_fails=True)


class LookupRemote(Operation):
    """A member of the record that a `lookup` step of the flow found in the other system; absent where it found none.

    The runner looks up before it maps; several hits hold the record. A preview without a connection or a table of such
    records shows the place where the value will stand. A step with `each` finds one record for each element, and is
    read where the same list is gone through.
    """

    name = "lookup_remote"
    main = "of"
    gives = "any"
    source = True
    examples = (
        Example(
            "items.name",
            record={"lines": [{"sku": "A-1"}]},
            each="lines",
            lookups={"items": ".sku"},
            found={"A-1": {"name": "Green tea"}},
            gives="Green tea",
        ),
        Example("terms.note", record={"email": "ana@example.com"}, lookups={"terms": "email"}, found={}, gives=None),
        Example("terms.note", record={"email": "ana@example.com"}, lookups={"terms": "email"}, refused=NOT_LOOKED_UP),
    )
    of: str

    @field_validator("of")
    @classmethod
    def _step_and_member(cls, of: str) -> str:
        if "." not in of or not all(of.split(".")):
            raise ValueError("write STEP.MEMBER of a lookup step, such as items.name")
        return of

    @property
    def step(self) -> str:
        """The id of the lookup step."""
        return self.of.partition(".")[0]

    @property
    def member(self) -> str:
        """The member of what was found, dotted."""
        return self.of.partition(".")[2]

    def bind(self, context: CompileContext) -> Step:
        step, member = self.step, self.member
        path = context.lookups.get(step)
        read = None if path is None else compile_path(path)

        def answer(scope: Scope) -> Any:
            if read is None:
                raise TransformError(f"there is no lookup step '{step}'", reason="unknown-lookup")
            value = read(scope)
            if not is_present(value) or isinstance(value, list | dict):
                return None
            if scope.found is None:
                message = f"{member} of the record that the step '{step}' looks up is known only with a connection"
                raise TransformError(message, reason=NOT_LOOKED_UP)
            row = scope.found.get((step, fold(value)))
            return None if row is None else get_at(row, member)

        return SourceStep(answer)


class LinePrice(Operation):
    """A part of the priced order line, known only inside a list block with a money block (`mapspec.lines`)."""

    name = "line_price"
    main = "part"
    gives = "any"
    source = True
    examples = (Example("quantity", gives=None),)
    part: Literal[
        "quantity",
        "unit_cost",
        "name",
        "note",
        "tax_name_1",
        "tax_percent_1",
        "tax_name_2",
        "tax_percent_2",
        "compound",
    ]

    def bind(self, context: CompileContext) -> Step:
        key = "line." + self.part
        return SourceStep(lambda scope: scope.extras.get(key), never_fails=True)
