"""Every record that a test maps is mapped both ways: by the quick function where it answers, and step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from mapspec.drafts import Draft
from mapspec.engine import CompiledSpec
from mapspec.numbers import exactly
from mapspec.paths import Found


def both_ways(compiled: CompiledSpec, record: Mapping[str, Any]) -> tuple[Draft | None, Draft]:
    """The quick draft, None where there is none, and the thorough one."""
    if compiled._quick is None:
        compiled.warm_up()
    with exactly():
        return compiled.quick(record), compiled.thorough(record)


def assert_same(quick: Draft | None, thorough: Draft) -> None:
    """The quick draft, if any, is the thorough one to the last digit."""
    assert quick is None or repr(quick) == repr(thorough)


@pytest.fixture(autouse=True, scope="session")
def mapped_both_ways() -> Iterator[None]:
    """Import this into a conftest: `apply` then compares, in all tests below it."""
    with pytest.MonkeyPatch.context() as patch:

        def apply(self: CompiledSpec, record: Mapping[str, Any], found: Found | None = None) -> Draft:
            if self not in warmed:
                warmed.add(self)
                self.warm_up()
            with exactly():
                quick, thorough = self.quick(record), self.thorough(record, found)
            assert_same(quick, thorough)
            return thorough

        warmed: set[CompiledSpec] = set()
        patch.setattr(CompiledSpec, "apply", apply)
        yield
