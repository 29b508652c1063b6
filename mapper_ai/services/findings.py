"""What is wrong with a spec, or not yet decided: the checks of `mapspec.checks` and the parts without approval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from connectors.profiles import ContractField
from connectors.registry import has_entity, load_system
from mapspec import MappingSpec, unapproved
from mapspec.checks import check_spec
from mapspec.yamltext import Loc

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
    """

    id: str
    level: Level
    part: str
    message: str
    line: int | None = None


def spec_findings(spec: MappingSpec, lines: Mapping[Loc, int] | None = None) -> list[Finding]:
    """What the checks find in a spec that compiles, then what waits for approval; errors first.

    Args:
        spec: The spec.
        lines: Line of each member where the spec was read from a text.
    """
    contracts = {ref: fields for ref in spec.targets.values() if (fields := _fields(ref)) is not None}
    source = _fields(f"{spec.source.system}/{spec.source.entity}")
    paths = None if source is None else [field.path for field in source]
    found = [
        Finding(row.id, _LEVELS[row.severity], row.part, f"{row.part}: {row.message}; {row.mend}", row.line)
        for row in check_spec(spec, lines=lines or {}, contracts=contracts, source_fields=paths)
        # A target that is a file of samples has no contract, and needs none to be looked at.
        if row.id != "unknown-contract" or "/" in row.message
    ]
    found += [Finding("unapproved", "note", row.part, f"{row.part} {row.why}") for row in unapproved(spec)]
    return by_level(found)


def by_level(findings: list[Finding]) -> list[Finding]:
    """Errors first; the order within a level stays."""
    return sorted(findings, key=lambda row: _RANK[row.level])


def _fields(reference: str) -> list[ContractField] | None:
    system, _, entity = reference.split("@", 1)[0].partition("/")
    if not has_entity(system, entity):
        return None
    return load_system(system).fields(entity)
