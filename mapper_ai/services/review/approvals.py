"""Approval problems that a change brings with it. What was wrong before is counted, and not told again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from mapper_ai.services.review.policy import Policy, same_person
from mapspec import MappingSpec, SpecError, approval_of, digests, load_spec
from mapspec.fingerprint import FLOW
from mapspec.model import Approval

# (commit's author names, text of the mapping in it or None), oldest first, the base's text first of all.
History = Sequence[tuple[tuple[str, ...], str | None]]


def approval_problems(
    old: MappingSpec | None,
    new: MappingSpec,
    policy: Policy,
    history: Callable[[], History],
    before: Mapping[str, str],
    after: Mapping[str, str],
) -> Iterator[tuple[str, str, str]]:
    """(rule, part, message) for every part whose content or approval is not what it was at the base.

    Args:
        old: The mapping at the base, None for a new one.
        new: The mapping at the head.
        policy: What approvals must fulfil.
        history: Called only where it matters who changed a part.
        before: Digests of the parts at the base.
        after: Digests of the parts at the head.
    """
    authors: Mapping[str, set[str]] | None = None
    for part, digest in after.items():
        approval = approval_of(new, part)
        given = None if old is None or part not in before else approval_of(old, part)
        if before.get(part) == digest and _same(given, approval):
            continue
        if approval.state != "approved":
            said = "is rejected" if approval.state == "rejected" else "is not approved"
            yield "not-approved", part, f"{said}; the runner refuses the mapping until it is"
            continue
        if approval.digest != digest:
            yield "digest-mismatch", part, "was changed after its approval; it has to be approved again"
            continue
        if not (approval.by or "").strip():
            yield "approval-without-name", part, "the approval names nobody"
            continue
        by = str(approval.by)
        owners = policy.owners_of(part)
        if owners is not None and by.strip().casefold() not in map(str.casefold, owners):
            yield "approver-not-owner", part, f"approved by {by}, who is none of {', '.join(owners) or 'its owners'}"
        if policy.four_eyes:
            if authors is None:
                authors = _authors(history())
            if any(same_person(by, name) for name in authors.get(part, ())):
                yield "self-approval", part, f"changed and approved by {by}; another person has to approve it"


def approved_by(spec: MappingSpec, part: str, current: Mapping[str, str]) -> str:
    """Who approved a part and when; NO with the reason where nobody did. "" for what is no part."""
    if part not in current:
        part = FLOW if part.startswith("settings.") else ""
    if not part:
        return ""
    approval = approval_of(spec, part)
    if approval.state != "approved":
        return f"NO ({approval.state})"
    if approval.digest != current[part]:
        return "NO (changed since)"
    return " ".join(filter(None, (approval.by or "?", (approval.at or "")[:10])))


def _same(one: Approval | None, other: Approval) -> bool:
    return one is not None and (one.state, one.by, one.digest) == (other.state, other.by, other.digest)


def _authors(history: History) -> dict[str, set[str]]:
    """Who changed the meaning of each part on the way; a text that is no mapping tells nothing."""
    found: dict[str, set[str]] = {}
    known: dict[str, str] = {}
    for names, text in history:
        try:
            current = {} if text is None else digests(load_spec(text))
        except SpecError:
            continue
        if names:
            for part in current:
                if current[part] != known.get(part):
                    found.setdefault(part, set()).update(names)
        known = current
    return found
