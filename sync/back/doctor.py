"""What the doctor says of the way back: whether it is on, what it may write, and whether its mappings can run."""

from __future__ import annotations

from connectors.clarity_writes import writable
from mapspec import SpecError
from sync.back.guard import unsafe
from sync.back.pairs import ENTITIES
from sync.doctor.finding import Finding
from sync.settings import Settings
from sync.specs import load_mappings

PROBE = "way back (A43)"


def way_back(settings: Settings) -> Finding:
    """One finding; it reads files and settings only."""
    profile, folder = settings.profile, settings.way_back.mappings
    if not settings.reading.back:
        return Finding(PROBE, "off: nothing is written to Clarity")
    members = [f"{entity}.{name}" for entity in ENTITIES.values() for name in writable(profile, entity)]
    told = f"on: may write {', '.join(members) or 'nothing'}"
    if folder is None:
        return Finding(PROBE, f"{told}; no mappings: set [way_back] mappings in mapper.toml")
    try:
        approved = load_mappings(folder).by_entity
    except SpecError as error:
        return Finding(PROBE, f"{told}; its mappings may not run: {' '.join(str(error).split())}")
    problems = [f"{entity}: {why}" for entity, spec in approved.items() if (why := unsafe(spec, profile)) is not None]
    if problems:
        return Finding(PROBE, f"{told}; {'; '.join(problems)}")
    return Finding(PROBE, f"{told}; {len(approved)} mappings are approved", evidence=len(approved))
