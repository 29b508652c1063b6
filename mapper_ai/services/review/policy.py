"""Who may approve what: the section `[review]` of mapper.toml.

```toml
[review]
four_eyes = true                                   # who changed a part does not approve it
[review.owners]                                    # the last pattern that fits counts; * stands for anything
"*" = ["ana@example.com", "ben@example.com"]
"invoice.lines*" = ["controller@example.com"]
```

It is read from the base, so that a change cannot loosen the rules it is judged by.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mapper_ai.errors import InputError

CONFIG: Final = "mapper.toml"
_KEYS: Final = ("four_eyes", "owners")


@dataclass(frozen=True)
class Policy:
    """What approvals must fulfil; by default nothing but that they are there and fit."""

    four_eyes: bool = False
    owners: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def owners_of(self, part: str) -> tuple[str, ...] | None:
        """Who may approve a part; None when nobody is named, so that everybody may."""
        found = None
        for pattern, names in self.owners.items():
            if re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), part):
                found = names
        return found


def read_policy(text: str, where: str) -> Policy:
    """The policy in the text of a mapper.toml.

    Raises:
        InputError: It is no TOML, or the section does not fit.
    """
    try:
        section = tomllib.loads(text).get("review", {})
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where}: not valid TOML: {error}") from None
    if not isinstance(section, dict):
        raise InputError(f"{where}: review: expected a section [review]")
    unknown = sorted(section.keys() - set(_KEYS))
    if unknown:
        raise InputError(f"{where}: review.{unknown[0]}: unknown key; known here: {', '.join(_KEYS)}")
    four_eyes = section.get("four_eyes", False)
    if not isinstance(four_eyes, bool):
        raise InputError(f"{where}: review.four_eyes: expected true or false")
    return Policy(four_eyes, _owners(section.get("owners", {}), where))


def same_person(one: str, other: str) -> bool:
    """Whether two names may be of one person: equal without case, an address also by what stands before its @.

    Meant for suspicion; who is an owner is told by the whole name.
    """
    left, right = ({name.strip().casefold(), name.strip().casefold().partition("@")[0]} for name in (one, other))
    return bool((left & right) - {""})


def _owners(value: Any, where: str) -> dict[str, tuple[str, ...]]:
    table = {"*": value} if isinstance(value, list) else value
    if not isinstance(table, dict):
        raise InputError(f"{where}: review.owners: expected a list of names, or a table of patterns with such lists")
    found = {}
    for pattern, names in table.items():
        if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
            raise InputError(f'{where}: review.owners."{pattern}": expected a list of names')
        found[pattern] = tuple(name.strip() for name in names)
    return found
