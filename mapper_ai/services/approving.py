"""Who may approve which part: the owners and the second pair of eyes that mapper.toml asks for. Pure."""

from __future__ import annotations

from mapper_ai.errors import InputError
from mapper_ai.services.review.policy import Policy, same_person


class NotAllowedError(InputError):
    """This person may not approve this part."""


def why_not(policy: Policy, part: str, by: str, changed_by: str) -> str:
    """Why a person may not approve a part; "" where nothing stands against it.

    Args:
        policy: What approvals must fulfil.
        part: The part.
        by: Who would approve it.
        changed_by: Who made it what it is; "" when nobody did by hand.
    """
    owners = policy.owners_of(part)
    if owners is not None and by.strip().casefold() not in map(str.casefold, owners):
        return f"{part} is approved by {', '.join(owners) or 'its owners'}"
    if policy.four_eyes and changed_by and same_person(by, changed_by):
        return f"{part} was changed by {changed_by}: another person has to approve it"
    return ""
