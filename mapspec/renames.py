"""Names inside a spec that changed while what they stand for did not: values, settings, tables, steps, assertions.

Such a name is known only within the spec, so that a new one means the same. The names of target fields are
FreshBooks' own; another one is another field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mapspec.fingerprint import plain_part
from mapspec.model import MappingSpec

# Members beside the meaning of what they stand at.
BESIDE: Final = ("approval", "origin", "note")
_TABLE_KEYS: Final = ("lookup_table", "table", "rates", "combined_taxes")
_STEP_KEYS: Final = ("needs", "of", "after")
_OUTPUT_KEYS: Final = ("step_output", "lookup_remote", "output")
_ROUNDS: Final = 8  # values that read renamed values that read renamed values


@dataclass(frozen=True)
class Renames:
    """Old name -> new name, by kind."""

    values: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)
    steps: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.values or self.settings or self.tables or self.steps)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """(old, new) as they are written in words: `values.a`, `step send`."""
        for kind, names in (("values.", self.values), ("settings.", self.settings), ("table ", self.tables)):
            yield from ((f"{kind}{old}", f"{kind}{new}") for old, new in names.items())
        yield from ((f"step {old}", f"step {new}") for old, new in self.steps.items())


def find_renames(old: MappingSpec, new: MappingSpec) -> Renames:
    """What got another name on the way from one spec to the other and is otherwise the same."""
    found = Renames()
    for _ in range(_ROUNDS):
        more = Renames(
            values=_paired(old.values, new.values, found),
            settings=_paired(old.settings, new.settings, found),
            tables=_paired(old.tables, new.tables, found),
            steps=_paired(
                {step.id: step for step in old.flow}, {step.id: step for step in new.flow}, found, leave=("id",)
            ),
        )
        if more == found:
            break
        found = more
    return found


def old_names(spec: MappingSpec, renames: Renames) -> MappingSpec:
    """The old spec with the new names in it.

    Returns:
        The spec itself where nothing was renamed.
    """
    if not renames:
        return spec
    data = rewritten(plain_part(spec), renames)
    for kind in ("values", "settings", "tables"):
        names: Mapping[str, str] = getattr(renames, kind)
        data[kind] = {names.get(name, name): value for name, value in data.get(kind, {}).items()}
    for step in data.get("flow", []):
        step["id"] = renames.steps.get(step["id"], step["id"])
    return MappingSpec.model_validate(data)


def rewritten(data: Any, renames: Renames) -> Any:
    """Plain data of a spec with the new names wherever an old one is referred to."""
    change = _changer(renames)

    def walk(value: Any, key: str) -> Any:
        if isinstance(value, dict):
            return {name: walk(part, name) for name, part in value.items()}
        if isinstance(value, list):
            return [walk(part, key) for part in value]
        if not isinstance(value, str) or key == "const":
            return value
        if key in _TABLE_KEYS:
            return renames.tables.get(value, value)
        if key in _STEP_KEYS:
            return renames.steps.get(value, value)
        if key in _OUTPUT_KEYS:
            step, dot, member = value.partition(".")
            return renames.steps.get(step, step) + dot + member
        return change(value)

    return walk(data, "")


def meaning_of(part: Any, leave: tuple[str, ...] = ()) -> Any:
    """A part as plain data without what stands beside its meaning."""
    data = plain_part(part)
    if not isinstance(data, dict):
        return data
    return {name: value for name, value in data.items() if name not in (*BESIDE, *leave)}


def _changer(renames: Renames) -> Callable[[str], str]:
    texts = {f"values.{old}": f"values.{new}" for old, new in renames.values.items()}
    texts |= {f"settings.{old}": f"settings.{new}" for old, new in renames.settings.items()}
    if not texts:
        return lambda text: text
    # Longest first; a longer name must not be taken for a shorter one, nor `$.values.x` for a named value.
    names = "|".join(re.escape(name) for name in sorted(texts, key=lambda name: (-len(name), name)))
    pattern = re.compile(rf"(?<![\w.])(?:{names})(?![\w-])")
    return lambda text: pattern.sub(lambda match: texts[match[0]], text)


def _paired(
    old: Mapping[str, Any], new: Mapping[str, Any], known: Renames, leave: tuple[str, ...] = ()
) -> dict[str, str]:
    gone = [name for name in old if name not in new]
    came = {name: meaning_of(new[name], leave) for name in new if name not in old}
    found: dict[str, str] = {}
    for name in gone:
        content = rewritten(meaning_of(old[name], leave), known)
        twin = next((other for other, text in came.items() if text == content), None)
        if twin is not None:
            found[name] = twin
            del came[twin]
    return found
