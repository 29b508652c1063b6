"""Which OAuth scopes the approved mappings need, and which of them a consent does not give."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from connectors.profiles import load_profile
from mapspec import SpecError, load_spec
from sync.connections import clarity_scopes
from sync.settings import Settings

_ALWAYS = "user:profile:read"
_OBJECTS = {
    "client": "clients",
    "invoice": "invoices",
    "payment": "payments",
    "item": "billable_items",
    "tax": "taxes",
    "credit_note": "credit_notes",
    "other_income": "other_income",
}
# An invoice's SKUs are looked up among the items.
_READ_TOO = {"invoice": ("user:billable_items:read",)}
_CLARITY_LISTS = {"order": "orders", "customer": "customers", "payment": "payments", "product": "products"}


def needed_scopes(system: str, mappings: Path | None, settings: Settings) -> tuple[str, ...]:
    """Scopes of a system that the mappings of a folder need, sorted.

    Args:
        mappings: None, or a folder without mappings: what the system's profile lists.
        settings: Tell which scopes Clarity has (A4).

    Raises:
        SpecError: A mapping cannot be read.
    """
    specs = []
    for path in sorted(mappings.glob("*.yaml")) if mappings is not None else ():
        try:
            specs.append(load_spec(path.read_text("utf-8"), where=str(path)))
        except (OSError, UnicodeDecodeError) as error:
            raise SpecError(f"cannot be read: {type(error).__name__}", where=str(path)) from None
    found = set()
    if system == "clarity":
        lists = {_CLARITY_LISTS[spec.source.entity] for spec in specs if spec.source.entity in _CLARITY_LISTS}
        # Orders name customers and payments name orders; both are fetched by id.
        if lists:
            found = _of_clarity({f"{name}:read" for name in {*lists, "orders", "customers"}}, settings)
    else:
        targets = {target for spec in specs for target in spec.targets.values()}
        entities = {target.partition("/")[2] for target in targets if target.startswith("freshbooks/")}
        for entity in entities & _OBJECTS.keys():
            found |= {f"user:{_OBJECTS[entity]}:{right}" for right in ("read", "write")}
            found |= set(_READ_TOO.get(entity, ()))
        if found:
            found.add(_ALWAYS)
    return tuple(sorted(found or _listed(system, settings)))


def missing_scopes(needed: Iterable[str], granted: Iterable[str]) -> tuple[str, ...]:
    """The needed scopes that were not granted; none when the server did not say what it granted."""
    have = set(granted)
    return tuple(sorted(set(needed) - have)) if have else ()


def _listed(system: str, settings: Settings) -> list[str]:
    if system == "freshbooks":
        return [str(scope) for scope in load_profile("freshbooks").auth["scopes"]]
    return list(clarity_scopes(settings.profile))


def _of_clarity(wanted: set[str], settings: Settings) -> set[str]:
    """The scopes of the wanted lists, and the right to write where it is asked for; all where the store's differ."""
    offered = clarity_scopes(settings.profile)
    if not wanted.issubset(offered):
        return set(offered)
    return {scope for scope in offered if scope in wanted or not scope.endswith(":read")}
