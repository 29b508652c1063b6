"""Python source under construction.

Nothing of a spec or a record ever becomes part of the source: texts, tables and functions are objects that the
source names (`k1`, `k2`, ...). Only the shape of a spec shows in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Code:
    """The body of one function of one argument, and the objects its names stand for."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self._known: dict[tuple[type, Any], str] = {}
        self._lines: list[str] = []
        self._depth = 1
        self._locals = 0

    def name(self, value: Any) -> str:
        """The name that stands for an object; equal texts and the same object share one."""
        key = (type(value), value if type(value) is str else id(value))
        if key not in self._known:
            self._known[key] = f"k{len(self.names)}"
            self.names[self._known[key]] = value
        return self._known[key]

    def local(self) -> str:
        """A new local variable."""
        self._locals += 1
        return f"v{self._locals}"

    def put(self, *lines: str) -> None:
        """Write lines at the present depth."""
        self._lines += ["    " * self._depth + line for line in lines]

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Write what belongs under `head`; nothing is a `pass`."""
        self.put(head)
        self._depth += 1
        before = len(self._lines)
        yield
        if len(self._lines) == before:
            self.put("pass")
        self._depth -= 1

    def begin_with(self, head: Code) -> None:
        """Put what another function under construction does before what this one does."""
        self._lines = head._lines + self._lines

    def source(self) -> str:
        """The function as text."""
        return "\n".join(["def quick(record):", *self._lines, ""])

    def function(self) -> Callable[[dict[str, Any]], Any]:
        """The function itself."""
        namespace = dict(self.names)
        exec(compile(self.source(), "<spec>", "exec"), namespace)  # noqa: S102 - made of this package's lines alone
        made: Callable[[dict[str, Any]], Any] = namespace["quick"]
        return made
