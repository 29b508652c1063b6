"""Which parts of a mapping a change reaches, so that what samples show stands beside its cause."""

from __future__ import annotations

from mapspec import MappingSpec
from mapspec.check_reads import reads_of, settings_of, tables_of
from mapspec.fingerprint import FLOW


class Reach:
    """Who reads what in two versions of a mapping."""

    def __init__(self, *specs: MappingSpec) -> None:
        self._readers: dict[str, set[str]] = {}
        self._parts: dict[str, None] = {}
        for spec in specs:
            self._parts |= dict.fromkeys([*spec.rules(), *spec.blocks()])
            for read in reads_of(spec):
                if read.path.root == "values":
                    self._add(f"values.{read.path.segments[0][0]}", read.part)
            for name, part in settings_of(spec):
                self._add(f"settings.{name}", part)
            for name, part in tables_of(spec):
                self._add(f"tables.{name}", part)
            for target, block in spec.blocks().items():
                for name in block.fields:
                    self._add(target, f"{target}.{name}")

    def of(self, part: str) -> set[str]:
        """The part and everything that is made from it; the flow reaches all, because it says what is written."""
        if part in (FLOW, "spec"):
            return set(self._parts)
        found: set[str] = set()
        todo = [part]
        while todo:
            one = todo.pop()
            if one in found:
                continue
            found.add(one)
            if one == FLOW:
                return set(self._parts) | found
            todo += self._readers.get(one, ())
        return found

    def _add(self, source: str, part: str) -> None:
        self._readers.setdefault(source, set()).add(part)
