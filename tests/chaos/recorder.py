"""The books' own history: every change that FreshBooks made, in its order, as the judge reads it."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal, cast

from connectors.sandbox.state import SandboxState
from tests.chaos.judge import Books, Effect

_SEEN = ("client", "invoice", "payment", "item")


@dataclass(frozen=True)
class Snapshot:
    """A state of the books and how it came about."""

    tables: Any
    next_ids: Any
    last_number: str | None
    effects: tuple[Effect, ...]


class Recorder:
    """Writes down what a sandbox's books do; requests that change nothing leave no trace.

    Attributes:
        effects: Oldest first; appended under the state's lock.
    """

    def __init__(self, state: SandboxState) -> None:
        """Begin.

        Args:
            state: Of a sandbox in this process.
        """
        self._state = state
        self.effects: list[Effect] = []
        self.on_effect: Callable[[Effect], None] = lambda _effect: None
        books = cast(Any, state.freshbooks)
        create, update = books.create, books.update

        def recorded(verb: Literal["create", "update"], original: Callable[..., Any]) -> Callable[..., Any]:
            def write(resource: Any, *arguments: Any) -> Any:
                row = original(resource, *arguments)
                self._record(verb, resource, row)
                return row

            return write

        books.create, books.update = recorded("create", create), recorded("update", update)

    def _record(self, verb: Literal["create", "update"], resource: Any, row: Any) -> None:
        if resource.name not in _SEEN:
            return
        effect = Effect(verb, resource.name, int(row[resource.id_field]), deepcopy(dict(row)))
        self.effects.append(effect)
        self.on_effect(effect)

    def books(self) -> Books:
        """Everything as it is now."""
        with self._state.lock:
            clients, invoices, payments, items = (
                [deepcopy(dict(row)) for row in self._state.freshbooks.tables[name].values()] for name in _SEEN
            )
            return Books(clients, invoices, payments, items, tuple(self.effects))

    def snapshot(self) -> Snapshot:
        """The books as they are, to come back to."""
        with self._state.lock:
            books = cast(Any, self._state.freshbooks)
            return Snapshot(*deepcopy((books.tables, books._next_ids, books.last_number)), tuple(self.effects))

    def restore(self, snapshot: Snapshot) -> None:
        """Bring the books back; what was recorded since the beginning is forgotten."""
        with self._state.lock:
            books = cast(Any, self._state.freshbooks)
            books.tables, books._next_ids, books.last_number = deepcopy(
                (snapshot.tables, snapshot.next_ids, snapshot.last_number)
            )
            self._state.history.clear()
            self.effects.clear()
