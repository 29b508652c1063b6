"""What the commands share: the store that has to be there, and answers for people and for machines."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sync.settings import Settings
    from sync.store import Store


@contextmanager
def existing_store(settings: Settings, *, read_only: bool = False) -> Iterator[Store]:
    """The store of the settings, which must be there: asking creates none.

    Raises:
        StoreError: There is no store, or it cannot be used.
    """
    from sync.store import open_store

    if not read_only:
        open_store(settings.store_url, read_only=True).close()
    store = open_store(settings.store_url, read_only=read_only)
    try:
        yield store
    finally:
        store.close()


def printer(arguments: argparse.Namespace) -> Callable[[Any, str], None]:
    """Prints JSON with --json, the text otherwise."""

    def show(value: Any, text: str) -> None:
        if arguments.json:
            print_json(value)
        else:
            print(text)

    return show


def print_json(value: Any) -> None:
    """For machines: one line, amounts as text."""
    from connectors.http import dumps

    print(dumps(value))
