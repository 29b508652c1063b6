"""Older formats of a spec: a chain of pure functions on plain data, applied when a spec is read.

A change of format adds one function here, from the format before to the one after; it takes the data as read from
YAML (texts, lists and objects) and gives new data. Digests are taken after the upgrade, so a part whose meaning an
upgrade changes waits for approval again, and every other one stays approved.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from mapspec.model import FORMAT

Upgrade = Callable[[dict[str, Any]], dict[str, Any]]
# By the format that a function reads; it gives the next one. Format 1 is the first there was.
UPGRADES: Final[dict[int, Upgrade]] = {}


def upgrade(
    data: Mapping[str, Any], *, steps: Mapping[int, Upgrade] = UPGRADES, newest: int = FORMAT
) -> dict[str, Any]:
    """The same spec in the newest format.

    Args:
        data: A spec as plain data; it is not changed. Without `format` it is taken to be of the newest.
        steps: Upgrade functions by the format they read.
        newest: The format to arrive at.

    Raises:
        ValueError: The format is no number, newer than this program, or no way leads from it; says what to do.
    """
    written = data.get("format", newest)
    if not re.fullmatch(r"[0-9]{1,6}", str(written)):
        raise ValueError(f"'format' is a whole number; this version reads format {newest}")
    found = int(str(written))
    if found > newest:
        raise ValueError(
            f"format {found} is not known to this version, which reads format {newest}: install a newer mapper-ai"
        )
    current = dict(data)
    while found < newest:
        step = steps.get(found)
        if step is None:
            raise ValueError(f"format {found} is not known to this version: nothing leads from it to format {newest}")
        found += 1
        try:
            current = {**step(copy.deepcopy(current)), "format": str(found)}
        except (AttributeError, LookupError, TypeError):
            raise ValueError(f"this is no spec of format {found - 1}: a member is missing or of another kind") from None
    return current
