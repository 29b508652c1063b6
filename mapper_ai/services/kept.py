"""What was worked out and is still true, so that a decision does not work out a whole mapping anew.

A decision changes approvals, not what a mapping means. Everything that depends on the meaning alone is kept under the
text in which that meaning was first seen; `same_meaning` says that a later text has it too.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Final, Generic, TypeVar

V = TypeVar("V")
Stamp = tuple[str, int, int, int]


class Kept(Generic[V]):
    """The values last asked for, by key. Safe between threads; two that ask at once may both work it out."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rows: OrderedDict[Hashable, V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value kept under a key, made when there is none; an error of `make` is not kept."""
        with self._lock:
            if key in self._rows:
                self._rows.move_to_end(key)
                return self._rows[key]
        value = make()
        self.put(key, value)
        return value

    def put(self, key: Hashable, value: V) -> None:
        """Keep a value."""
        with self._lock:
            self._rows[key] = value
            self._rows.move_to_end(key)
            while len(self._rows) > self._most:
                self._rows.popitem(last=False)


_FIRST_SEEN: Final[Kept[str]] = Kept(256)


def meaning(text: str) -> str:
    """The text in which the meaning of a draft was first seen: a key for what depends on meaning alone."""
    return _FIRST_SEEN.get(text, lambda: text)


def same_meaning(text: str, earlier: str) -> None:
    """Say that a draft differs from an earlier one in approvals only."""
    _FIRST_SEEN.put(text, meaning(earlier))


def stamp(path: Path) -> Stamp | None:
    """What tells one content of a file from the next; files here are replaced whole. None when there is no file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return str(path), found.st_ino, found.st_mtime_ns, found.st_size
