"""Specs between two systems that no blueprint knows: every accepted suggestion with steps by rule, no flow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from mapper_ai.core.profile import Profile
from mapper_ai.core.suggest import Ranker, suggest
from mapper_ai.services.goals import Goal
from mapper_ai.services.propose import Proposal, complete
from mapper_ai.services.targets import Recall, Record, TargetGoals
from mapspec import MappingSpec

_ID: Final = re.compile(r"(^|[._])(id|uuid|key|number|no|code)$|Id$|Key$|Number$")


def propose_plain(
    source: Profile,
    records: Sequence[Record],
    goals: Sequence[Goal],
    *,
    source_name: str,
    target_name: str,
    target: Profile | None = None,
    recall: Recall | None = None,
    rank: Ranker = suggest,
) -> Proposal:
    """Propose a spec from one kind of record to another.

    Args:
        source: What is known of the source.
        records: Samples; may be empty.
        goals: Fields of the target.
        source_name: Such as `shopify/order` or the stem of a file.
        target_name: The same for the target; a `SYSTEM/ENTITY` with a profile is kept as it is.
        target: What samples of the target show beside the goals.
        recall: Earlier decisions.
        rank: Ranks sources for targets.
    """
    entity = slug(target_name.rpartition("/")[2])
    spec = MappingSpec.model_validate(
        {
            "spec": f"{slug(source_name)}-{slug(target_name)}/{slug(source_name.rpartition('/')[2])}-to-{entity}",
            "source": {
                "system": source_name.partition("/")[0],
                "entity": source_name.rpartition("/")[2],
                "id": _identifier(source),
            },
            "targets": {entity: target_name},
        }
    )
    return complete(spec, records, [TargetGoals(entity, tuple(goals), known=target)], source, recall, rank)


def slug(text: str) -> str:
    """Small letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "samples"


def _identifier(source: Profile) -> str:
    """The field that tells records apart: `id`, else one that is named like one, at the top first."""
    paths = [entry.path for entry in source.fields if entry.addressable and "[]" not in entry.path]
    if "id" in paths:
        return "id"
    named = [path for path in paths if _ID.search(path)]
    return min(named, key=lambda path: (path.count("."), len(path), path), default="id")
