"""What the browser tests share: a running demo, and a page that remembers what went wrong in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page


@dataclass(frozen=True)
class Demo:
    """A running demo."""

    app: str
    sandbox: str
    folder: Path


@dataclass
class Watched:
    """A page, and what went wrong in it."""

    page: Page
    console: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def check(self) -> None:
        assert not self.foreign, f"requests that leave this machine: {self.foreign}"
        assert not self.errors, self.errors
        assert not self.console, self.console
