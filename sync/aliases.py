"""Other names for what is known: SKUs of items and names of payment methods (rule 19). Never money, tax or keys.

An alias stands in for the value that is looked up, nowhere else: the document keeps the shop's own name, and natural
keys stay as they are. What an approved mapping says itself goes first. Aliases are kept in the store, audited, and
outside the fingerprint.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from connectors.freshbooks import normalised
from mapspec import CompiledSpec, MappingSpec, SpecError, compile_spec, load_spec
from mapspec.conditions import fold
from mapspec.model import ListBlock, operations_of
from mapspec.ops.codes import LookupTable
from sync import audit, inbox
from sync.errors import InputError
from sync.prepared import Prepared
from sync.store import Store
from sync.store import alias as alias_table
from sync.store import spec as spec_table
from sync.times import iso

KINDS: Final = ("sku", "method")
WAITING_FOR_A_NAME: Final = ("not-in-table", "missing-required")
"""Reasons of records that an alias may free."""


@dataclass(frozen=True)
class Alias:
    """One other name: looking for ``name`` means looking for ``target``."""

    kind: str
    name: str
    target: str
    who: str
    at: float

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"kind": self.kind, "name": self.name, "target": self.target, "by": self.who, "at": iso(self.at)}


_ALL = Prepared(sa.select(alias_table))


class Aliases:
    """The aliases of a store as a worker uses them; safe to share between threads."""

    def __init__(self, store: Store) -> None:
        """Read nothing yet."""
        self._store = store
        self._known: Mapping[str, Mapping[str, str]] = {}
        self._widened: dict[tuple[int, tuple[tuple[str, str], ...]], tuple[CompiledSpec, CompiledSpec]] = {}

    def refresh(self) -> None:
        """Read them anew; once an event, so that a change counts from the next one on."""
        found: dict[str, dict[str, str]] = {kind: {} for kind in KINDS}
        for row in self._store.rows(_ALL, {}):
            found.setdefault(row.kind, {})[row.folded] = row.target
        self._known = found

    def sku(self, value: str) -> str:
        """The SKU to look for."""
        return self._known.get("sku", {}).get(normalised(value), value)

    def widened(self, compiled: CompiledSpec) -> CompiledSpec:
        """The spec with the payment methods' other names in the tables that name payment types."""
        methods = self._known.get("method", {})
        if not methods:
            return compiled
        key = (id(compiled), tuple(sorted(methods.items())))
        known = self._widened.get(key)
        if known is None:
            spec = with_methods(compiled.spec, methods)
            known = (compiled, compiled if spec is compiled.spec else compile_spec(spec))
            if len(self._widened) > 50:
                self._widened = {}
            self._widened[key] = known  # holds the original too, so that its id is given to no other
        return known[1]


def with_methods(spec: MappingSpec, methods: Mapping[str, str]) -> MappingSpec:
    """A spec whose payment tables have a row more for each alias that leads to a row of theirs. Pure."""
    tables = dict(spec.tables)
    for name in method_tables(spec):
        rows = {fold(key): value for key, value in tables[name].rows.items()}
        more = {
            alias: rows[fold(target)] for alias, target in methods.items() if fold(target) in rows and alias not in rows
        }
        if more:
            tables[name] = tables[name].model_copy(update={"rows": {**tables[name].rows, **more}})
    return spec if tables == spec.tables else spec.model_copy(update={"tables": tables})


def method_tables(spec: MappingSpec) -> list[str]:
    """Tables that only the types of payments are read from; one that anything else reads may mean money or tax."""
    of_types: set[str] = set()
    others: set[str] = set()
    for target, rule in spec.rules().items():
        base, _, member = target.partition(".")
        is_type = base != "values" and spec.entity_of(base) == "payment" and member == "type"
        tables = {step.table for step in operations_of(rule.steps) if isinstance(step, LookupTable)}
        (of_types if is_type else others).update(tables)
    # Other parts of a spec, such as an order's money, name tables in their own ways: any mention counts.
    rest: list[Any] = [spec.model_dump(exclude={"fields", "tables", "values"})]
    rest += [block.model_dump(exclude={"fields"}) for block in spec.fields.values() if isinstance(block, ListBlock)]
    return sorted((of_types - others - _words(rest)) & set(spec.tables))


def _words(value: Any) -> set[str]:
    if isinstance(value, str):
        return {value}
    if isinstance(value, Mapping):
        return {word for item in value.values() for word in _words(item)}
    return {word for item in value for word in _words(item)} if isinstance(value, list | tuple) else set()


def list_aliases(store: Store) -> list[Alias]:
    """All aliases, by kind and name."""
    statement = sa.select(alias_table).order_by(alias_table.c.kind, alias_table.c.folded)
    with store.read() as conn:
        return [Alias(row.kind, row.name, row.target, row.who, row.at) for row in conn.execute(statement)]


def set_alias(store: Store, kind: str, name: str, target: str, *, who: str, now: float) -> Alias:
    """Set one; an earlier one of the same name is replaced.

    Raises:
        InputError: Not a kind, an empty name, a name for itself or for another alias, or no mapping that ran here
            knows the payment method.
    """
    if kind not in KINDS:
        raise InputError(
            f"alias kind {kind!r}: expected one of {', '.join(KINDS)}; money, tax and keys have no aliases"
        )
    name, target = name.strip(), target.strip()
    folded = normalised(name) if kind == "sku" else fold(name)
    aimed = normalised(target) if kind == "sku" else fold(target)
    if not name or not target or folded == aimed:
        raise InputError("an alias needs a name and another one that it stands for")
    if kind == "method":
        _require_method(store, target)
    values = {"name": name, "target": target, "who": who, "at": now}
    statement = store.insert(alias_table).values(kind=kind, folded=folded, **values)
    with store.write() as conn:
        chained = sa.select(alias_table.c.name).where(alias_table.c.kind == kind, alias_table.c.folded == aimed)
        if conn.scalar(chained) is not None:
            raise InputError(f"{target!r} is an alias itself: name what it stands for")
        conn.execute(statement.on_conflict_do_update(index_elements=["kind", "folded"], set_=values))
        audit.add_in(conn, who=who, what="alias", subject=f"{kind}:{name}", detail=f"stands for {target}", now=now)
    return Alias(kind, name, target, who, now)


def remove_alias(store: Store, kind: str, name: str, *, who: str, now: float) -> None:
    """Take one back.

    Raises:
        InputError: There is none.
    """
    folded = normalised(name) if kind == "sku" else fold(name)
    with store.write() as conn:
        chosen = sa.delete(alias_table).where(alias_table.c.kind == kind, alias_table.c.folded == folded)
        if conn.execute(chosen).rowcount != 1:
            raise InputError(f"there is no {kind} alias {name!r}; 'mapper-sync alias list' shows them")
        audit.add_in(conn, who=who, what="alias", subject=f"{kind}:{name.strip()}", detail="removed", now=now)


def redrive_waiting(store: Store, *, who: str, now: float) -> list[str]:
    """Try again what is held because a name was not known; the record keys."""
    found = [key for reason in WAITING_FOR_A_NAME for key in inbox.redrive(store, None, reason=reason, now=now)]
    if found:
        audit.add(store, who=who, what="replay", subject="unknown names", detail=f"{len(found)} records", now=now)
    return found


def change_alias(
    store: Store, do: str, wanted: Mapping[str, Any], *, who: str, now: float
) -> tuple[dict[str, Any], str]:
    """Set or remove an alias; what to tell machines and people."""
    kind, name = str(wanted["kind"]), str(wanted["name"])
    if do == "remove":
        remove_alias(store, kind, name, who=who, now=now)
        return {"removed": {"kind": kind, "name": name}}, f"The {kind} alias {name!r} is gone."
    made = set_alias(store, kind, name, str(wanted["target"]), who=who, now=now)
    again = redrive_waiting(store, who=who, now=now)
    text = f"{made.name!r} is looked up as {made.target!r}; {len(again)} held records are tried again"
    return {"set": made.as_dict(), "replayed": again}, text


def _require_method(store: Store, target: str) -> None:
    known = sorted(_known_methods(store))
    if known and fold(target) not in {fold(name) for name in known}:
        raise InputError(f"no approved mapping knows the payment method {target!r}; known: {', '.join(known)}")


def _known_methods(store: Store) -> Iterable[str]:
    with store.read() as conn:
        texts = conn.scalars(sa.select(spec_table.c.text)).all()
    found: set[str] = set()
    for text in texts:
        try:
            spec = load_spec(text)
        except SpecError:  # of a newer version of this program
            continue
        found |= {key for name in method_tables(spec) for key in spec.tables[name].rows}
    return found
