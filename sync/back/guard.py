"""What a mapping of the way back may do: update what is there, in the shop that is connected, by safe members only."""

from __future__ import annotations

from typing import Any

from connectors.clarity_writes import refusal
from connectors.profiles import SystemProfile
from mapspec import SpecError
from sync.back.pairs import ENTITIES, PREFIX
from sync.errors import SettingsError
from sync.settings import Settings
from sync.specs import ApprovedSpec


def unsafe(approved: ApprovedSpec, profile: SystemProfile) -> str | None:
    """Why a mapping may not write what it wants to, in one line; None when it may."""
    spec = approved.compiled.spec
    if any(step.do != "update" for step in spec.flow):
        return "the way back changes what is there and creates nothing: every flow step is 'do: update'"
    for target, reference in spec.targets.items():
        system, _, entity = reference.partition("/")
        if system.partition("@")[0] != profile.system:
            return f"writes to {system}, and the shop here is {profile.system}"
        if ENTITIES.get(PREFIX + spec.source.entity) != entity:
            return f"a {spec.source.entity} of FreshBooks was made from no {entity}"
        members = [part.removeprefix(f"{target}.") for part in spec.fields if part.startswith(f"{target}.")]
        why = refusal(profile, entity, members)
        if why is not None:
            return why
    return None


def require_usable(mappings: Any, settings: Settings) -> None:
    """Refuse to start with a way back that could do nothing, or would do what is not safe.

    Raises:
        SettingsError: It is on and has no mapping.
        SpecError: A mapping wants to write what no safe route takes.
    """
    own = {entity: spec for entity, spec in mappings.by_entity.items() if entity.startswith(PREFIX)}
    waiting = getattr(mappings.current, "waiting", {})
    if not own and not any(entity.startswith(PREFIX) for entity in waiting):
        raise SettingsError(
            "the way back is on (setting A43.enabled) and has no mapping: name their folder in mapper.toml,"
            ' [way_back] mappings = "mappings/freshbooks-clarity"'
        )
    for approved in own.values():
        why = unsafe(approved, settings.profile)
        if why is not None:
            raise SpecError(why, where=approved.compiled.spec.spec)
