"""Approved specs from a folder: read, compile and vet each file; nothing unapproved gets past here."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from mapspec import CompiledSpec, MappingSpec, SpecError, compile_spec, dump_spec, fingerprint, load_spec, unapproved

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ApprovedSpec:
    """A compiled spec whose every part is approved as it stands."""

    compiled: CompiledSpec
    fingerprint: str
    text: str


@dataclass(frozen=True)
class Mappings:
    """The approved specs by source entity.

    Attributes:
        waiting: Why nothing is done about an entity for now; its events wait.
        corrections: By source entity those that propose corrections of what the others have posted.
    """

    by_entity: Mapping[str, ApprovedSpec]
    waiting: Mapping[str, str] = field(default_factory=dict)
    corrections: Mapping[str, tuple[ApprovedSpec, ...]] = field(default_factory=dict)

    @property
    def current(self) -> Mappings:
        """Themselves; of mappings that follow their folder, those of the moment."""
        return self


def place_of(spec: MappingSpec) -> str:
    """What only one spec of a folder may be: that of its entity, or of a kind of correction by its name."""
    entity = taken_by(spec)
    return f"{entity}+{spec.name}" if spec.corrects else entity


def mappings_of(chosen: Mapping[str, ApprovedSpec], waiting: Mapping[str, str] | None = None) -> Mappings:
    """The specs of a folder by what they do; `chosen` by `place_of`."""
    corrections: dict[str, tuple[ApprovedSpec, ...]] = {}
    for place in sorted(chosen):
        entity, plus, _ = place.partition("+")
        if plus:
            corrections[entity] = (*corrections.get(entity, ()), chosen[place])
    by_entity = {place: spec for place, spec in chosen.items() if "+" not in place}
    left = {
        entity: why for entity, why in (waiting or {}).items() if entity not in by_entity and entity not in corrections
    }
    return Mappings(by_entity, left, corrections)


def spec_files(folder: Path) -> list[Path]:
    """The files of a folder of mappings.

    Raises:
        SpecError: There are none.
    """
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise SpecError("there are no mapping files (*.yaml) here", where=str(folder))
    return files


def load_mappings(folder: Path) -> Mappings:
    """Read, compile and vet every spec of a folder.

    Raises:
        SpecError: No specs, a malformed one, an unapproved or changed part, or two specs for one entity; the message
            names file and part.
    """
    found: dict[str, ApprovedSpec] = {}
    for path in spec_files(folder):
        spec = read_file(path).vet(path)
        place = place_of(spec.compiled.spec)
        if place in found:
            raise second_for(taken_by(spec.compiled.spec), path)
        found[place] = spec
    for setting, said in sorted(differing_settings(found.values()).items()):
        log.warning("mappings of one folder differ in a setting", extra={"setting": setting, "said": said})
    return mappings_of(found)


def differing_settings(specs: Iterable[ApprovedSpec]) -> dict[str, dict[str, str]]:
    """Settings of one name that say different things in specs of one source: the value by spec.

    A payment comes inside its order and by itself; read in two time zones it may fall on two days.
    """
    said: dict[tuple[str, str], dict[str, str]] = {}
    for approved in specs:
        spec = approved.compiled.spec
        for name, value in spec.settings.items():
            said.setdefault((spec.source.system, name), {})[spec.spec] = str(value)
    return {name: values for (_, name), values in said.items() if len(set(values.values())) > 1}


def taken_by(spec: MappingSpec) -> str:
    """The entity under which the events of a spec are filed; those of the way back come as FreshBooks' callbacks."""
    source = spec.source
    return f"freshbooks-{source.entity}" if source.system.partition("@")[0] == "freshbooks" else source.entity


class SpecFile:
    """The spec of a text; what is made of it is made once."""

    def __init__(self, text: str) -> None:
        """Read the text. Raises SpecError when it is malformed."""
        self.spec = load_spec(text)

    def vet(self, path: Path) -> ApprovedSpec:
        """Compile it when it is approved in every part.

        Raises:
            SpecError: As `vet`.
        """
        try:
            return self._approved
        except SpecError:
            return vet(self.spec, path)  # which names the file

    @cached_property
    def _approved(self) -> ApprovedSpec:
        return vet(self.spec, Path())


# By text: a start and every look at the folder want the same files again.
_of_text = lru_cache(maxsize=64)(SpecFile)


def read_file(path: Path) -> SpecFile:
    """A spec as it stands in its file, whatever its approvals; the same object while the text stays the same.

    Raises:
        SpecError: Unreadable or malformed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"cannot be read: {type(error).__name__}", where=str(path)) from None
    try:
        return _of_text(text)
    except SpecError:
        load_spec(text, where=str(path))  # says the same, and names the file
        raise


def read_spec(path: Path) -> MappingSpec:
    """As `read_file`, the spec alone."""
    return read_file(path).spec


def vet(spec: MappingSpec, path: Path) -> ApprovedSpec:
    """Compile a spec that is approved in every part.

    Raises:
        SpecError: It is not, or cannot be compiled.
    """
    missing = unapproved(spec)
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise SpecError(
            f"'{missing[0].part}' {missing[0].why}{more}: the runner executes approved mappings only; "
            f"review it and run 'mapper approve {path.name}'",
            where=str(path),
        )
    return ApprovedSpec(compile_spec(spec), fingerprint(spec), dump_spec(spec))


def second_for(entity: str, path: Path) -> SpecError:
    """Two files want the same records."""
    return SpecError(f"a second mapping for '{entity}': keep one", where=str(path))
