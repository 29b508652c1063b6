"""Approving parts of a spec, and finding the parts that are not approved or were changed since."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from mapspec.fingerprint import FLOW, digests
from mapspec.model import Approval, FieldRule, ListBlock, MappingSpec


@dataclass(frozen=True)
class Unapproved:
    """A part that may not run. `why`: unapproved, rejected, or changed since the approval."""

    part: str
    why: str


def approval_of(spec: MappingSpec, part: str) -> Approval:
    """The approval written at a part.

    Raises:
        KeyError: The spec has no such part.
    """
    if part == FLOW:
        return spec.approval
    if part in spec.fields:
        return spec.fields[part].approval
    return spec.rules()[part].approval


def unapproved(spec: MappingSpec, current: Mapping[str, str] | None = None) -> list[Unapproved]:
    """Every part that is not approved as it stands, in spec order; empty means the runner may execute it.

    `current` are the spec's digests, where they are known already.
    """
    found = []
    for part, digest in (digests(spec) if current is None else current).items():
        approval = approval_of(spec, part)
        if approval.state != "approved":
            found.append(Unapproved(part, "is rejected" if approval.state == "rejected" else "is not approved"))
        elif approval.digest != digest:
            found.append(Unapproved(part, "was changed after its approval"))
    return found


def approve(spec: MappingSpec, parts: Iterable[str] | None, *, by: str, at: str) -> MappingSpec:
    """A copy in which the parts (all when None) are approved as they stand. `at` is an ISO instant.

    Raises:
        KeyError: The spec has no such part.
    """
    current = digests(spec)
    chosen = list(current) if parts is None else list(parts)
    for part in chosen:
        if part not in current:
            raise KeyError(part)
    wanted = {part: current[part] for part in chosen}

    def approved(part: str, approval: Approval) -> Approval:
        if part not in wanted:
            return approval
        if approval.state == "approved" and approval.digest == wanted[part]:
            return approval
        return Approval(state="approved", by=by, at=at, digest=wanted[part], comment=approval.comment)

    return with_approvals(spec, approved)


def reset_changed(spec: MappingSpec) -> MappingSpec:
    """A copy in which every part that was changed after its approval is proposed again."""
    current = digests(spec)

    def checked(part: str, approval: Approval) -> Approval:
        if approval.state == "approved" and approval.digest != current[part]:
            return Approval(comment=approval.comment)
        return approval

    return with_approvals(spec, checked)


def with_approvals(spec: MappingSpec, change: Callable[[str, Approval], Approval]) -> MappingSpec:
    """A copy with `change(part, approval)` at every part."""

    def rule(part: str, old: FieldRule) -> FieldRule:
        return old.model_copy(update={"approval": change(part, old.approval)})

    fields: dict[str, FieldRule | ListBlock] = {}
    for target, entry in spec.fields.items():
        if isinstance(entry, FieldRule):
            fields[target] = rule(target, entry)
        else:
            inner = {name: rule(f"{target}.{name}", old) for name, old in entry.fields.items()}
            fields[target] = entry.model_copy(update={"fields": inner, "approval": change(target, entry.approval)})
    values = {name: rule(f"values.{name}", old) for name, old in spec.values.items()}
    return spec.model_copy(update={"approval": change(FLOW, spec.approval), "values": values, "fields": fields})
