"""How much of its targets a mapping fills, and how much of it is approved."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.registry import has_entity, load_system
from mapper_ai.services.review.report import Coverage
from mapspec import MappingSpec, unapproved


def coverage_of(spec: MappingSpec, passed: int, current: Mapping[str, str]) -> Coverage:
    """The coverage; `passed` samples are not held, `current` are the digests of the parts."""
    required = covered = 0
    mapped = set(spec.fields) | set(spec.rules())
    written = {step.target for step in spec.flow if step.target}
    for target, reference in spec.targets.items():
        if target not in written:
            continue
        for path in _required(reference):
            full = f"{target}.{path}"
            # What stands in a list is required only where the list is mapped.
            head = full.partition("[]")[0] + "[]"
            if "[]" in full and head not in mapped:
                continue
            required += 1
            covered += any(full == part or full.startswith(part + ".") for part in mapped)
    waiting = len(unapproved(spec, current))
    return Coverage(
        fields=len(spec.rules()),
        required=required,
        covered=covered,
        approved=len(current) - waiting,
        parts=len(current),
        passed=passed,
    )


def _required(reference: str) -> list[str]:
    system, _, entity = reference.split("@", 1)[0].partition("/")
    if not has_entity(system, entity):
        return []
    return [row.path for row in load_system(system).fields(entity) if row.required and not row.read_only]
