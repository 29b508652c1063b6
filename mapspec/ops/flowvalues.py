"""Operations whose value comes from the flow or from the priced order, not from the record itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import field_validator

from mapspec.ops.base import CompileContext, Example, Operation, SourceStep, Step


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


class LookupRemote(StepOutput):
    """What a `lookup` step of the flow found in the other system; filled in by the runner."""

    name = "lookup_remote"
    examples = (Example("items.name", gives=Output("items", "name")),)


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
