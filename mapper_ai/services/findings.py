"""What is wrong with a spec, or not yet decided: the checks of `mapspec.checks` and the parts without approval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from connectors.profiles import ContractField
from connectors.registry import has_entity, load_system
from mapspec import MappingSpec, part_line, unapproved
from mapspec.checks import check_spec
from mapspec.yamltext import Loc, column_of

Level = Literal["error", "warning", "note"]
_LEVELS: Final[Mapping[str, Level]] = {"error": "error", "warning": "warning", "info": "note"}
_RANK: Final[Mapping[str, int]] = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True)
class Finding:
    """Something to mend.

    Attributes:
        id: Kebab-case name of the rule that found it.
        level: Errors stop a run.
        part: "" when the whole flow is meant.
        message: What is wrong and what to do about it, one line.
        line: 1-based line in the spec's text, None when it has none.
        column: 1-based, as the line.
    """

    id: str
    level: Level
    part: str
    message: str
    line: int | None = None
    column: int | None = None


def spec_findings(spec: MappingSpec, lines: Mapping[Loc, int] | None = None) -> list[Finding]:
    """What the checks find in a spec that compiles, then what waits for approval; errors first.

    Args:
        spec: The spec.
        lines: Line of each member where the spec was read from a text.
    """
    return by_level([*checked(spec, lines), *waiting(spec, lines=lines)])


def checked(spec: MappingSpec, lines: Mapping[Loc, int] | None = None) -> list[Finding]:
    """What the checks find; approvals do not matter."""
    systems = {ref.rpartition("/")[0] for ref in spec.targets.values()}
    looked_up = {f"{system}/{step.entity}" for system in systems for step in spec.flow if step.do == "lookup"}
    wanted = {*spec.targets.values(), *looked_up}
    contracts = {ref: fields for ref in wanted if (fields := _fields(ref)) is not None}
    source = _fields(f"{spec.source.system}/{spec.source.entity}")
    paths = None if source is None else [field.path for field in source]
    return [
        Finding(row.id, _LEVELS[row.severity], row.part, f"{row.part}: {row.message}; {row.mend}", row.line, row.column)
        for row in check_spec(spec, lines=lines or {}, contracts=contracts, source_fields=paths)
        # A target that is a file of samples has no contract, and needs none to be looked at.
        if row.id != "unknown-contract" or "/" in row.message
    ]


def waiting(
    spec: MappingSpec, current: Mapping[str, str] | None = None, *, lines: Mapping[Loc, int] | None = None
) -> list[Finding]:
    """What waits for approval; `current` are the digests where they are known."""
    found = []
    for row in unapproved(spec, current):
        line = part_line(dict(lines), row.part) if lines else None
        found.append(Finding("unapproved", "note", row.part, f"{row.part} {row.why}", line, column_of(line)))
    return found


def by_level(findings: list[Finding]) -> list[Finding]:
    """Errors first; the order within a level stays."""
    return sorted(findings, key=lambda row: _RANK[row.level])


def _fields(reference: str) -> list[ContractField] | None:
    system, _, entity = reference.split("@", 1)[0].partition("/")
    if not has_entity(system, entity):
        return None
    return load_system(system).fields(entity)
